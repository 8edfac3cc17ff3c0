"""Runs are found by the search attributes of their definitions, and never blocked by them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.test_operate import QUEUE, Shop, serving_shop
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

FOUND = """\
sagadsl: 1
name: found
input: {type: object, required: [order], properties: {order: {type: string}, amount: {type: integer, default: 7}}}
search_attributes:
  OrderId: {type: keyword, value: "{{ input.order }}"}
  OrderAmount: {type: int, value: "{{ input.amount }}"}
  OrderTracking: {type: keyword, value: "{{ steps.ship.output.tracking }}"}
  OrderTags: {type: keyword_list, value: ["a", "{{ input.order }}"]}
  OrderSince: {type: datetime, value: "{{ saga.started_at }}"}
  OrderRate: {type: double, value: 0.5}
  OrderIsNew: {type: bool, value: "{{ steps.ship.output is none }}"}
  OrderNote: {type: text, value: "{{ input.order }} is new"}
steps:
  - {id: ship, activity: ship, input: {order: "{{ input.order }}", how: ok}, compensation: none}
"""


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    for shop in serving_shop(server, tmp_path_factory.mktemp("found")):
        (shop.folder / "found.saga.yaml").write_text(FOUND, encoding="utf-8")
        yield shop


def _listed(shop: Shop, where: str, ids: set[str]) -> None:
    """Wait until exactly these runs are found: the index lags behind."""
    deadline = time.monotonic() + PATIENCE
    while True:
        ran = shop.run("list", "--where", where, "--json")
        assert ran.code == 0, ran.err
        found = {row["id"] for row in json.loads(ran.out)["sagas"]}
        if found == ids:
            return
        assert time.monotonic() < deadline, (where, found)
        time.sleep(0.2)


def test_a_run_is_found_by_what_its_definition_says_once_the_server_has_the_attributes(shop: Shop) -> None:
    """R112: before that, the run goes on without them, and says so."""
    sets = ("--set", "order=k1", "--task-queue", QUEUE)
    ran = shop.run("run", "found.saga.yaml", "--id", "not-found", *sets)
    assert ran.code == 0, ran.err
    stood: dict[str, Any] = shop.status("not-found")
    assert set(stood["not_indexed"]) >= {"OrderId", "OrderTags"}
    assert "search attribute OrderId is not set" in shop.run("status", "not-found").out

    created = shop.run("doctor", "found.saga.yaml", "--create", "--task-queue", QUEUE)
    assert "OrderId" in created.out, created.out + created.err

    ran = shop.run("run", "found.saga.yaml", "--id", "found-1", *sets)
    assert ran.code == 0, ran.err
    assert "not_indexed" not in shop.status("found-1")
    for where in (
        'OrderId = "k1" and OrderAmount >= 7',
        "OrderTracking = 't_k1'",
        "OrderTags = 'k1'",
        "OrderRate = 0.5 and OrderIsNew = false",
        "OrderNote = 'new'",
        "OrderSince > '2020-01-01T00:00:00Z'",
    ):
        _listed(shop, where, {"found-1"})


def test_a_condition_that_cannot_be_read_is_said(shop: Shop) -> None:
    ran = shop.run("list", "--where", "OrderId = 1) or (1 = 1")

    assert ran.code == 2
    assert "error[SD968]: the condition cannot be read from `) or (1 = 1` on" in ran.err


def test_a_condition_on_an_attribute_that_the_server_does_not_have_is_refused(shop: Shop) -> None:
    ran = shop.run("list", "--where", "Nobodys = 1")

    assert ran.code == 2, ran.err
    assert "Nobodys" in ran.err
    assert "Traceback" not in ran.err
