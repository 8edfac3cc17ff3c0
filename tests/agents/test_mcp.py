"""`sagadsl mcp`: what a language model gets to know, and what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagadsl.agents import bounded, pages
from sagadsl.agents.folder import OpenFolder, ToolRefused
from sagadsl.agents.operating import OPERATING
from sagadsl.agents.tools import OF_FILES, OF_SAGAS
from tests.agents.model import Model, with_model
from tests.cli.shell import inside
from tests.cli.shop import lay_out

NOBODY = ("--address", "127.0.0.1:1")
WRONG = 'sagadsl: 1\nname: x\nsteps: [{id: a, activty: charge, input: {order: "1"}, compensation: none}]\n'
SUITE = """\
sagadsl_test: 1
saga: order.saga.yaml
cases:
  - name: all goes well
    given: {input: {order: "1"}, mocks: {ship: {output: {tracking: t}}}}
    then: {status: completed, output: {tracking: t}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    shop = lay_out(tmp_path / "shop")
    (shop / "order.saga-test.yaml").write_text(SUITE)
    (tmp_path / "outside.saga.yaml").write_text("secret: outside\n")
    return shop


def test_a_model_writes_checks_and_tries_a_definition(folder: Path) -> None:
    async def work(model: Model) -> None:
        tools = (await model.client.list_tools()).tools
        assert [each.name for each in tools] == [each.name for each in (*OF_FILES, *OF_SAGAS)]
        assert all(each.annotations is not None and each.annotations.read_only_hint for each in tools)
        installed = await model.ask("plugins")
        assert {"charge", "refund", "ship"} <= {each["name"] for each in installed["activities"]}
        found = await model.ask("validate", text=WRONG)
        assert [each["code"] for each in found["findings"]] == ["SD104"]
        assert found["findings"][0]["help"] == ["did you mean `activity`?"]
        assert "unknown key" in (await model.ask("explain", code="SD104"))["page"]
        assert (await model.ask("validate"))["exit_code"] == 0
        played = await model.ask(
            "simulate",
            file="order.saga.yaml",
            input={"order": "@/etc/hostname", "wait": True},
            signals=[{"name": "approve", "payload": {"by": "ann"}, "at": "5s"}],
            mocks={"ship": {"error": "AddressInvalid"}},
        )
        assert (played["exit_code"], played["status"]) == (10, "compensated")
        assert played["failure"]["type"] == "AddressInvalid"
        explored = await model.ask("explore", file="order.saga.yaml", faults=0, input={"order": "1"})
        assert explored["sagas"][0]["violations"] == []
        tested = await model.ask("test")
        assert (tested["passed"], tested["failed"]) == (1, 0)
        drawn, _ = await model.said("graph", file="order.saga.yaml")
        assert drawn.startswith("flowchart TD")
        same = await model.ask("diff", old="order.saga.yaml", new="./order.saga.yaml")
        assert same["changes"] == []
        timed = await model.ask("timing", paths=["order.saga.yaml"])
        assert timed["sagas"][0]["saga"] == "order 1.0.0"
        part, _ = await model.said("schema", part="wait_for_step")
        assert "wait_for" in json.loads(part)["properties"]

    with_model(work, folder)


def test_a_model_reads_the_guide_and_the_gallery(folder: Path) -> None:
    async def work(model: Model) -> None:
        listed = (await model.client.list_resources()).resources
        assert {each.uri for each in listed} >= {"sagadsl://authoring", "sagadsl://gallery/buy_goods"}
        read = (await model.client.read_resource("sagadsl://language")).contents[0]
        assert str(getattr(read, "text", "")).startswith("# The language\n")
        story, _ = await model.said("guide", page="gallery/buy-goods")
        assert "name: buy-goods" in story
        assert "sagadsl_test: 1" in story
        assert "there is no page `langage`; did you mean `language`?" in await model.refused("guide", page="langage")

    with_model(work, folder)


def test_a_model_stays_in_its_folder_and_changes_nothing(folder: Path) -> None:
    """No path, no link, no suite and no argument leads out; verbs have to be allowed."""
    (folder / "linked").mkdir()
    (folder / "linked" / "link.saga.yaml").symlink_to(folder.parent / "outside.saga.yaml")
    (folder / "leads").mkdir()
    (folder / "leads" / "out.saga-test.yaml").write_text(SUITE.replace("order.saga.yaml", "../../outside.saga.yaml"))
    (folder / "beside").mkdir()
    (folder / "beside" / "a.saga-test.yaml").write_text(SUITE.replace("order.saga.yaml", "../linked/top.saga.yaml"))
    (folder / "plain").symlink_to(folder.parent / "outside.saga.yaml")

    async def work(model: Model) -> None:
        for path in (
            "../outside.saga.yaml",
            str(folder.parent / "outside.saga.yaml"),
            "linked",
            "linked/link.saga.yaml",
        ):
            assert "leads out of the folder" in await model.refused("validate", paths=[path])
        assert "leads out of the folder" in await model.refused("test", paths=["leads"])
        assert "leads out of the folder" in await model.refused("test", paths=["beside"])
        assert "leads out of the folder" in await model.refused("start", saga="plain", why="to see what is in it")
        assert "is a pattern" in await model.refused("validate", paths=["**/*.saga.yaml"])
        assert "there is no such file" in await model.refused("simulate", file="--help")
        assert "`arguments.id`" in await model.refused("status", id="")
        assert "changes sagas and is not allowed" in await model.refused("cancel", id="x", why="y")
        assert "there is no tool `valdate`; did you mean `validate`?" in await model.refused("valdate")
        away = json.loads(await model.refused("status", id="--show-secrets"))
        assert away["error"]["code"] == "SD901"

    with_model(work, folder, "--allow", "start", *NOBODY)


def test_what_may_be_done_is_named(tmp_path: Path) -> None:
    ran = inside("mcp", "--allow", "retri", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "`--allow retri` is nothing that can be allowed; did you mean `retry`?" in ran.err


def test_a_long_answer_is_shortened_and_says_so() -> None:
    document = {"calls": [{"path": f"step[{number}]", "input": "x" * 500} for number in range(5_000)]}
    shown = bounded.text(document)
    assert len(shown) <= bounded.MOST
    assert json.loads(shown)["calls"][-1].endswith(" more")
    assert bounded.text({"a": 1}) == '{\n "a": 1\n}'


def test_a_path_is_made_relative_and_no_option(folder: Path) -> None:
    here = OpenFolder(folder)
    assert here.inside(str(folder / "order.saga.yaml")) == "./order.saga.yaml"
    assert here.inside("order.saga.yaml#order") == "./order.saga.yaml#order"
    with pytest.raises(ToolRefused, match="a character that no path has"):
        here.inside("a\0b")


def test_tools_have_schemas_that_clients_take() -> None:
    for tool in (*OF_FILES, *OF_SAGAS, *OPERATING):
        assert set(tool.needs) <= set(tool.takes), tool.name
        assert tool.about.endswith("."), tool.name
    for tool in OPERATING:
        assert "why" in tool.needs, tool.name
    assert next(each.name for each in pages.pages()) == pages.FIRST
