"""A reset runs a saga again from an earlier point, side effects included; the keys make that safe (R58)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.crash.stage import FORWARD, MOVED, UNDONE, UNTOUCHED, stage
from tests.temporal.play import reset

pytestmark = pytest.mark.temporal


def test_a_completed_saga_that_is_reset_moves_no_money_again(server: Server, tmp_path: Path) -> None:
    """R49, R58: every call comes a second time, with the key of the first, and gets its answer."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            await made.worker()
            saga = await made.start("again")
            first = await made.end(saga)
            await reset(made.client, saga)
            second = await made.end(saga)

            assert (second.status, second.output) == (first.status, first.output) == ("completed", {"left": 70})
            begun = [line.call for line in made.lines(saga) if line.place == "before"]
            assert begun == [*FORWARD, *FORWARD]
            assert len({line.key for line in made.lines(saga)}) == len(FORWARD)
            assert made.bank.balances(saga) == MOVED
            assert made.bank.problems() == ()

    asyncio.run(play())


def test_a_compensated_saga_that_is_reset_stays_undone(server: Server, tmp_path: Path) -> None:
    """R58: what was undone under a key cannot be done under it again, so the second run ends at its first step."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            await made.worker()
            saga = await made.start("undone", fail=True)
            assert (await made.end(saga)).status == "compensated"
            await reset(made.client, saga)
            second = await made.end(saga)

            assert second.status == "compensated"
            assert second.error is not None
            assert second.error[0] == "AlreadyUndone"
            assert made.bank.balances(saga) == UNTOUCHED
            assert made.bank.problems() == ()

    asyncio.run(play())


def test_a_saga_that_is_reset_while_it_compensates_is_undone_once(server: Server, tmp_path: Path) -> None:
    """R1, R58: the old run's compensation may still be under way when the new run begins."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            await made.worker()
            saga = await made.start("halfway", hold="give.compensation@after", fail=True)
            await made.until(saga, "give.compensation@after")
            await reset(made.client, saga)
            made.let_go(saga, "give.compensation@after")
            ended = await made.end(saga)

            assert ended.status == "compensated"
            assert (ended.report or {})["not_undone"] == []
            assert made.calls(saga)[: len(FORWARD)] == [*FORWARD]
            assert made.calls(saga)[-1] == UNDONE[-1]
            assert made.bank.balances(saga) == UNTOUCHED
            assert made.bank.problems() == ()

    asyncio.run(play())
