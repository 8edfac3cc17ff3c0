"""A worker is killed amid local calls, and something comes before another worker takes over (R134).

What the dead worker did stands nowhere in the history. The next one makes it again before it hears what came later, so
that a cancel, a request or a time limit undoes all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType

from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask.decisions import operate
from sagadsl.temporal.refusals import NotAnswered
from tests.conftest import Server
from tests.crash.stage import FORWARD, MOVED, UNDONE, UNTOUCHED, Stage, stage
from tests.crash.test_local_killed import LOCAL, Seen, seen_of
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

TIMED = LOCAL.replace('version: "1"\n', 'version: "1"\ntimeout: 2s\n', 1).replace(
    "  - id: give\n", "  - {id: beat, sleep: 100ms}\n  - id: give\n"
)
"""A timer has brought the workflow task that is lost, another one is the saga's own time limit."""

TRIED = LOCAL.replace("activity: held.deposit\n", "activity: held.down\n", 1).replace(
    "retry: {initial_interval: 100ms, maximum_attempts: 5}",
    "retry: {initial_interval: 100ms, maximum_interval: 100ms, maximum_attempts: 100000}",
    1,
)
"""Its second call is tried again and again by the worker itself."""

SENT_FIRST = LOCAL.replace("steps:\n", "steps:\n  - {id: begin, wait_for: {signal: begin, timeout: 1h}}\n")
"""A signal has brought the workflow task that is lost."""

CANCELLED = {
    "cancelled early": (LOCAL, "take@after"),
    "cancelled amid": (LOCAL, "give@after"),
    "cancelled late": (LOCAL, "fee@after"),
    "cancelled after a signal": (SENT_FIRST, "give@after"),
    "killed twice": (LOCAL, "give@after"),
}

HELD = {"tried": "take@after"}


@pytest.fixture(scope="module")
def aftermath(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    return asyncio.run(_overtake(server.address, tmp_path_factory.mktemp("crash")))


async def _overtake(address: str, folder: Path) -> Mapping[str, Seen]:
    async with stage(address, folder) as made:
        first = await made.worker()
        ids = {
            name: await made.start("overtaken", hold=place, definition=definition, wait=True)
            for name, (definition, place) in CANCELLED.items()
        }
        ids["too late"] = await made.start("overtaken", hold="give@after", definition=LOCAL)
        ids["paused"] = await made.start("overtaken", hold="give@after", definition=LOCAL, wait=True)
        ids["signalled"] = await made.start("overtaken", hold="give@after", definition=LOCAL, wait=True)
        ids["timed"] = await made.start("overtaken", hold="give@after", definition=TIMED, wait=True)
        ids["tried"] = await made.start("overtaken", hold="take@after", definition=TRIED, wait=True)
        await sagas.signal(made.client, ids["cancelled after a signal"], "begin")
        places = {name: place for name, (_, place) in CANCELLED.items()}
        for name, saga in ids.items():
            await made.until(saga, places.get(name, HELD.get(name, "give@after")))
        first.kill()

        for name in (*CANCELLED, "too late", "tried"):
            await made.client.get_workflow_handle(ids[name]).cancel()
        await sagas.signal(made.client, ids["signalled"], "go")
        pausing = asyncio.create_task(_pause(made, ids["paused"]))
        await _until_event(made, ids["timed"], EventType.EVENT_TYPE_TIMER_FIRED, 2)
        made.hold(ids["killed twice"], "fee@before")
        for name, saga in ids.items():
            made.let_go(saga, places.get(name, HELD.get(name, "give@after")))
        second = await made.worker()
        await made.until(ids["killed twice"], "fee@before")
        await pausing
        await operate(made.client, ids["paused"], Verb.RESUME)
        await sagas.signal(made.client, ids["paused"], "go")
        for name, saga in ids.items():
            if name != "killed twice":
                await made.end(saga)
        second.kill()
        made.let_go(ids["killed twice"], "fee@before")
        await made.worker()
        seen = {name: await seen_of(made, saga) for name, saga in ids.items()}
        assert made.bank.problems() == ()
        return seen


async def _pause(made: Stage, saga: str) -> None:
    """Ask for a pause until a worker answers; the same request counts once."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(NotAnswered):
                await operate(made.client, saga, Verb.PAUSE, request="pause it")
                return


async def _until_event(made: Stage, saga: str, kind: EventType.ValueType, times: int) -> None:
    handle = made.client.get_workflow_handle(saga)
    async with asyncio.timeout(PATIENCE):
        while True:
            kinds = [each.event_type async for each in handle.fetch_history_events()]
            if kinds.count(kind) >= times:
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", CANCELLED)
def test_a_cancel_after_the_death_undoes_what_the_dead_worker_did(name: str, aftermath: Mapping[str, Seen]) -> None:
    seen = aftermath[name]

    assert (seen.ended.status, seen.balances) == ("cancelled", UNTOUCHED)
    calls = {line.call for line in seen.lines}
    assert calls == {*FORWARD, *UNDONE} - {"judge"}


def test_a_saga_whose_calls_were_all_local_is_done_before_it_hears_the_cancel(aftermath: Mapping[str, Seen]) -> None:
    seen = aftermath["too late"]

    assert (seen.ended.status, seen.balances) == ("completed", MOVED)


def test_a_cancel_is_heard_although_a_call_is_tried_again_and_again(aftermath: Mapping[str, Seen]) -> None:
    """Its pauses are timers as long as something is kept back, and the first one lets the run hear of it."""
    seen = aftermath["tried"]

    assert (seen.ended.status, seen.balances) == ("cancelled", UNTOUCHED)


def test_a_time_limit_that_is_reached_after_the_death_undoes_all(aftermath: Mapping[str, Seen]) -> None:
    seen = aftermath["timed"]

    assert (seen.ended.status, seen.balances) == ("compensated", UNTOUCHED)
    assert seen.ended.error is not None
    assert seen.ended.error[0] == "SagaTimeout"
    assert (seen.ended.report or {})["undone"] == ["fee", "give", "take"]


@pytest.mark.parametrize("name", ["paused", "signalled"])
def test_a_request_or_a_signal_after_the_death_finds_what_the_dead_worker_did(
    name: str, aftermath: Mapping[str, Seen]
) -> None:
    seen = aftermath[name]

    assert (seen.ended.status, seen.balances) == ("completed", MOVED)
    keys = {(line.call, line.key) for line in seen.lines}
    assert len(keys) == len(FORWARD)
