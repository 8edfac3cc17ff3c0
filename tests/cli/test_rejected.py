"""A saga that says no: nothing is wrong, and every command says which no it is. R111."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.shop import DEFINITION
from tests.cli.test_operate import QUEUE, Shop, serving_shop
from tests.conftest import Server

pytestmark = pytest.mark.temporal

CHOOSY = (
    DEFINITION.replace("name: order", "name: choosy")
    + """\
on_failure:
  - {id: alarm, activity: ship, input: {order: alarm, how: ok}, compensation: none}
"""
).replace(
    "  - id: approval",
    "  - id: refused\n    if: input.order == '13'\n"
    "    fail: {type: Unlucky, message: no order has this number, result: {accepted: false}}\n  - id: approval",
)
PARENT = """\
sagadsl: 1
name: parent
steps:
  - id: order
    saga: choosy
    input: {order: "13"}
    compensation: auto
    on_error: [{types: [Unlucky], output: "{{ error.result }}"}]
output: "{{ steps.order.output }}"
"""
RESULT = {"accepted": False}


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    for shop in serving_shop(server, tmp_path_factory.mktemp("choosy")):
        (shop.folder / "choosy.saga.yaml").write_text(CHOOSY, encoding="utf-8")
        (shop.folder / "parent.saga.yaml").write_text(PARENT, encoding="utf-8")
        yield shop


def test_a_no_has_its_own_word_and_exit_code_and_gives_its_result(shop: Shop) -> None:
    """R111: on a real server, as a script and as a person see it."""
    run = shop.run("run", "choosy.saga.yaml", "--set", "order=13", "--id", "unlucky-1", "--task-queue", QUEUE)
    assert (run.code, json.loads(run.out)) == (17, RESULT), run.err
    assert "said no" in run.err
    assert "error: Unlucky: no order has this number" in run.err

    result = shop.run("result", "unlucky-1", "--json")
    document = json.loads(result.out)
    assert (result.code, document["status"], document["output"]) == (17, "rejected", RESULT)
    assert document["error"] == {"type": "Unlucky", "message": "no order has this number"}

    stood = shop.status("unlucky-1")
    assert (stood["status"], stood["close_status"]) == ("rejected", "completed")
    assert stood["failure"]["result"] == RESULT
    assert stood["steps"][0]["compensation"]["status"] == "done"
    assert "alarm" not in [each["path"] for each in stood["steps"]]
    assert "was rejected" in shop.run("explain-run", "unlucky-1").out

    shop.until_listed("unlucky-1", lambda rows: [row["status"] for row in rows] == ["rejected"])
    for word, found in (("rejected", 1), ("completed", 0), ("compensated", 0)):
        listed = shop.run("list", "--status", word, "--query", "WorkflowId = 'unlucky-1'", "--json")
        assert len(json.loads(listed.out)["sagas"]) == found, word


def test_a_child_that_says_no_is_handled_by_its_parent_and_is_listed_as_rejected(shop: Shop) -> None:
    """R111, R46: for Temporal the child has failed."""
    run = shop.run("run", "parent.saga.yaml", "--id", "unlucky-2", "--task-queue", QUEUE)
    assert (run.code, json.loads(run.out)) == (0, RESULT), run.err

    child = json.loads(shop.run("result", "unlucky-2/order", "--json").out)
    assert (child["status"], child["output"]) == ("rejected", RESULT)
    shop.until_listed("unlucky-2/order", lambda rows: [row["status"] for row in rows] == ["rejected"])


def test_a_saga_that_has_said_no_is_not_taken_up(shop: Shop) -> None:
    """R45, R111"""
    shop.run("run", "choosy.saga.yaml", "--set", "order=13", "--id", "unlucky-3", "--task-queue", QUEUE)

    refused = shop.run("redrive", "unlucky-3")

    assert refused.code == 4
    assert "it has said no, and all that it had done is undone" in refused.err
