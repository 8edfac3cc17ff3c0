"""The page of sagas that talk: its definitions have no findings, talk on a real server, and its suite passes."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from sagadsl.language.load import load
from sagadsl.temporal import client as sagas
from tests.cli.shell import inside
from tests.conftest import Server
from tests.temporal.play import SDK_RACE, stage

PAGE = (Path(__file__).parents[2] / "docs" / "patterns" / "talking.md").read_text("utf-8")
ORDER, SHOP, SUITE, PLAIN = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.parametrize("text", [ORDER, SHOP], ids=["order", "shop"])
def test_the_definitions_have_no_findings(text: str) -> None:
    assert [(each.code, each.message) for each in load(text).findings] == []


def test_the_step_that_sends_to_a_workflow_of_ones_own_has_no_findings() -> None:
    head = "sagadsl: 1\nname: noting\ninput: {required: [year], properties: {year: {type: integer}}}\nsteps:\n"
    assert [(each.code, each.message) for each in load(head + PLAIN).findings] == []


def test_the_suite_passes(tmp_path: Path) -> None:
    (tmp_path / "order.saga.yaml").write_text(ORDER, "utf-8")
    (tmp_path / "order.saga-test.yaml").write_text(SUITE, "utf-8")

    played = inside("test", "order.saga-test.yaml", "--no-plugins", cwd=tmp_path)

    assert played.code == 0, played.out + played.err
    assert "no call" not in played.out + played.err


@pytest.mark.temporal
@pytest.mark.filterwarnings(SDK_RACE)
def test_both_talk_on_a_server(server: Server) -> None:
    async def scenario() -> None:
        async with stage(server.address, definitions=[ORDER, SHOP]) as made:
            shop = await made.start(SHOP)
            order = await made.start(ORDER, {"shop": shop.id, "item": "tea"})
            assert (await made.end(order)).output == {"paid": 7}
            await sagas.signal(made.client, shop.id, "closed")
            assert (await made.end(shop)).output == {"asked_for": "tea"}

    asyncio.run(scenario())
