"""Workers that are stopped and replaced, by the same definitions or by others, while sagas are under way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.crash.stage import FORWARD, MOVED, TRANSFER, UNDONE, UNTOUCHED, Process, Stage, stage

pytestmark = pytest.mark.temporal


def test_a_worker_that_is_told_to_stop_lets_what_runs_end(server: Server, tmp_path: Path) -> None:
    """SIGTERM drains: the activity's result is kept, nothing is repeated, and the exit code is 0."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            first = await made.worker()
            saga = await made.start("drained", hold="give@before")
            await made.until(saga, "give@before")
            first.stop()
            await first.said("stopping")
            made.let_go(saga, "give@before")
            assert await first.exit_code() == 0
            assert made.calls(saga)[-1] == "give"
            await made.worker()
            assert (await made.end(saga)).status == "completed"
            assert (made.calls(saga), made.repeated(saga)) == ([*FORWARD], set())
            assert made.bank.balances(saga) == MOVED
            assert made.bank.problems() == ()

    asyncio.run(play())


def test_what_does_not_end_in_time_is_repeated_by_the_next_worker(server: Server, tmp_path: Path) -> None:
    """R5: a worker that stops in the middle of a call leaves doubt about it, and says so at once."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            first = await made.worker("--drain", "0.2")
            saga = await made.start("hurried", hold="give@after", fail=True)
            await made.until(saga, "give@after")
            first.stop()
            assert await first.exit_code() == 0
            made.let_go(saga, "give@after")
            await made.worker()
            assert (await made.end(saga)).status == "compensated"
            assert (made.calls(saga), made.repeated(saga)) == ([*FORWARD, *UNDONE], {"give"})
            assert made.bank.balances(saga) == UNTOUCHED
            assert made.bank.problems() == ()

    asyncio.run(play())


def test_a_rolling_update_in_the_middle_of_the_compensations(server: Server, tmp_path: Path) -> None:
    """The peer suite's scenario: the next worker goes on at the right place with nothing doubled (R53)."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            old = await made.worker()
            saga = await made.start("rolling", hold="give.compensation@after", fail=True)
            await made.until(saga, "give.compensation@after")
            new = await made.worker()
            old.stop()
            await old.said("stopping")
            made.let_go(saga, "give.compensation@after")
            assert await old.exit_code() == 0
            assert (await made.end(saga)).status == "compensated"
            assert (made.calls(saga), made.repeated(saga)) == ([*FORWARD, *UNDONE], set())
            by = {line.call: line.pid for line in made.lines(saga)}
            assert (by["give.compensation"], by["take.compensation"]) == (old.pid, new.pid)
            assert made.bank.balances(saga) == UNTOUCHED
            assert made.bank.problems() == ()

    asyncio.run(play())


# The second version has a new first step, and undoes the withdrawal through another activity.
NEXT = TRANSFER.replace('version: "1"', 'version: "2"').replace(
    "steps:\n",
    "steps:\n"
    "  - {id: greet, activity: held.judge, input: {fail: false}, compensation: none}\n",
    1,
).replace("compensation: {activity: held.undo_withdraw,", "compensation: {activity: held.put_back,")  # fmt: skip


async def _serve(made: Stage, definition: str) -> Process:
    """Write a definition over the one in the workers' folder, and start a worker that takes none from elsewhere."""
    folder = made.folder / "definitions"
    folder.mkdir(exist_ok=True)
    (folder / "held_transfer.saga.yaml").write_text(definition, encoding="utf-8")
    return await made.worker(str(folder), "--no-inline-definitions")


def test_a_run_keeps_the_definition_with_which_it_was_started(server: Server, tmp_path: Path) -> None:
    """The file is edited and the worker started anew while a run is open; R48: no non-determinism either."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            old = await _serve(made, TRANSFER)
            before = await made.start("before", hold="give@before", definition="held-transfer", fail=True)
            await made.until(before, "give@before")
            old.kill()
            made.let_go(before, "give@before")
            await _serve(made, NEXT)
            after = await made.start("after", definition="held-transfer", fail=True)

            assert (await made.end(before)).status == "compensated"
            assert (await made.end(after)).status == "compensated"
            assert made.calls(before) == [*FORWARD, *UNDONE]
            assert made.calls(after) == ["greet", *FORWARD, *UNDONE]
            undone_by = {saga: made.lines(saga)[-1].activity for saga in (before, after)}
            assert undone_by == {before: "held.undo_withdraw", after: "held.put_back"}
            assert made.bank.balances(before) == made.bank.balances(after) == UNTOUCHED
            assert made.bank.problems() == ()

    asyncio.run(play())


def test_a_paused_run_keeps_its_definition_too(server: Server, tmp_path: Path) -> None:
    """B23, R48: the file is edited while an operator holds the run, and another worker lets it go on."""

    async def play() -> None:
        async with stage(server.address, tmp_path) as made:
            old = await _serve(made, TRANSFER)
            saga = await made.start("paused", hold="give@before", definition="held-transfer", fail=True)
            await made.until(saga, "give@before")
            assert await sagas.operate(made.client, saga, Verb.PAUSE) == "paused"
            old.kill()
            made.let_go(saga, "give@before")
            await _serve(made, NEXT)
            await sagas.operate(made.client, saga, Verb.RESUME)

            assert (await made.end(saga)).status == "compensated"
            assert made.calls(saga) == [*FORWARD, *UNDONE]
            assert made.lines(saga)[-1].activity == "held.undo_withdraw"
            assert made.bank.balances(saga) == UNTOUCHED

    asyncio.run(play())
