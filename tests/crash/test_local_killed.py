"""A worker killed at any point of a saga whose calls are local (R53, R130, R131).

Its local calls leave nothing in the history before they have ended. So the next worker makes them again under the same
keys, and believes no error of them any more: what the dead worker may have done is undone.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType

from sagadsl.temporal.read import runs
from sagadsl.temporal.read.runs import Ended
from tests.conftest import Server
from tests.crash.stage import FORWARD, MOVED, TRANSFER, UNDONE, UNTOUCHED, Line, Stage, stage

pytestmark = pytest.mark.temporal

LOCAL = TRANSFER.replace("defaults:\n", "defaults:\n  local: true\n").replace(
    "&timeouts {start_to_close: 1m, heartbeat: 3s}", "&timeouts {start_to_close: 1m}"
)
REFUSING = LOCAL.replace(
    "  - id: fee\n    activity: held.deposit\n", "  - id: fee\n    activity: held.deposit_or_refuse\n"
)
FORGETFUL = LOCAL.replace("activity: held.judge\n", "activity: held.judge_once\n")
FORGIVING = LOCAL.replace("activity: held.deposit\n", "activity: held.deposit_again\n")
PLACES = [f"{call}@{place}" for call in (*FORWARD, *UNDONE) for place in ("before", "after")]

MIND_CHANGED = ("judge@after", "fee.compensation@before")
"""Where nothing is undone yet when the next worker hears another judgement."""
LATE = PLACES[PLACES.index("judge@after") :]
REACHED = {
    "give.compensation@after": ["give", "take"],
    "take.compensation@before": ["give", "take"],
    "take.compensation@after": ["take"],
}
"""What the next worker undoes, if that is not all: the first step that was undone already is refused."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one saga."""

    ended: Ended
    lines: list[Line]
    balances: tuple[int, int, int]
    outcomes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Aftermath:
    """All sagas after the kill, and what the bank's check says."""

    seen: dict[str, Seen]
    problems: tuple[str, ...]


@pytest.fixture(scope="module")
def aftermath(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """A worker on a busy machine may record calls before all sagas are where they shall be. Then it begins anew."""
    for _ in range(5):
        with contextlib.suppress(RecordedEarly):
            return asyncio.run(_kill(server.address, tmp_path_factory.mktemp("crash")))
    raise RecordedEarly


class RecordedEarly(Exception):
    """Calls stand in the history that the dead worker should not have told of."""


async def _kill(address: str, folder: Path) -> Aftermath:
    async with stage(address, folder) as made:
        await made.worker()
        ids = {place: await made.start("failing", hold=place, fail=True, definition=LOCAL) for place in PLACES}
        for name, definition in (("forgetful", FORGETFUL), ("forgiving", FORGIVING)):
            for place in LATE:
                ids[f"{name} {place}"] = await made.start(name, hold=place, fail=True, definition=definition)
        ids["good"] = await made.start("good", hold="give@after", definition=LOCAL)
        ids["refused"] = await made.start("refused", hold="fee@after", definition=REFUSING)
        ids["idle"] = await made.start("idle", wait=True, fail=True, definition=LOCAL)
        held_at = {"good": "give@after", "refused": "fee@after"}
        await made.replace_killed(ids, {name: held_at.get(name, name.split()[-1]) for name in ids if name != "idle"})
        for name in ids.keys() - {"idle"}:
            if await _recorded_before_the_death(made, ids[name]):
                raise RecordedEarly(name)
        return Aftermath({name: await seen_of(made, saga) for name, saga in ids.items()}, made.bank.problems())


async def _recorded_before_the_death(made: Stage, saga: str) -> bool:
    async for event in made.client.get_workflow_handle(saga).fetch_history_events(wait_new_event=True):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            return False
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            return True
    raise AssertionError(f"{saga} has lost no workflow task")


async def seen_of(made: Stage, saga: str) -> Seen:
    ended = await made.end(saga)
    status = await runs.status(made.client, saga)
    outcomes = {step["path"]: step["outcome"] for step in status["steps"] if step.get("outcome")}
    return Seen(ended, made.lines(saga), made.bank.balances(saga), outcomes)


@pytest.mark.parametrize("place", LATE)
def test_what_was_undone_is_not_done_although_the_no_was_forgotten(place: str, aftermath: Aftermath) -> None:
    """R133: no record was written before the undo. Who does again what was undone is refused, and goes back as well."""
    seen = aftermath.seen[f"forgetful {place}"]
    moved = ("completed", MOVED) if place in MIND_CHANGED else ("compensated", UNTOUCHED)

    assert (seen.ended.status, seen.balances) == moved


@pytest.mark.parametrize("place", LATE)
def test_what_was_undone_is_not_done_although_the_undo_was_forgotten(place: str, aftermath: Aftermath) -> None:
    """R133: who gives the same answer although it is undone: the one that said no says it again, too."""
    seen = aftermath.seen[f"forgiving {place}"]

    assert (seen.ended.status, seen.balances) == ("compensated", UNTOUCHED)
    assert seen.ended.error is not None
    refuses = place == "take.compensation@after"  # the withdrawal does not forget
    assert seen.ended.error[0] == ("AlreadyUndone" if refuses else "Judged")


@pytest.mark.parametrize("place", PLACES)
def test_what_a_killed_worker_has_done_is_undone_once(place: str, aftermath: Aftermath) -> None:
    """R1, R53: every call of the lost workflow task is made again, under its key."""
    seen = aftermath.seen[place]
    keys = {(line.call, line.key) for line in seen.lines}

    assert seen.ended.status == "compensated"
    assert (seen.ended.report or {})["undone"] == REACHED.get(place, ["fee", "give", "take"])
    assert seen.balances == UNTOUCHED
    assert len(keys) == len({line.call for line in seen.lines}) == len({line.key for line in seen.lines})


def test_an_error_that_the_next_worker_hears_proves_nothing(aftermath: Aftermath) -> None:
    """R5, R130: the money was moved by the worker that died; the next one is refused, and it is moved back."""
    seen = aftermath.seen["refused"]

    assert seen.ended.status == "compensated"
    assert seen.ended.error is not None
    assert seen.ended.error[0] == "Refused"
    assert seen.outcomes["fee"] == "unknown"
    assert (seen.ended.report or {})["undone"] == ["fee", "give", "take"]
    assert seen.balances == UNTOUCHED


def test_a_saga_that_is_killed_on_its_good_path_completes(aftermath: Aftermath) -> None:
    seen = aftermath.seen["good"]

    assert (seen.ended.status, seen.ended.output) == ("completed", {"left": 70})
    assert seen.balances == MOVED


def test_a_worker_that_dies_while_nothing_runs_leaves_no_doubt(aftermath: Aftermath) -> None:
    """R130: nobody had the next workflow task, so the error of the local call in it says that nothing was done."""
    seen = aftermath.seen["idle"]

    assert seen.ended.status == "compensated"
    assert seen.outcomes["judge"] == "failed"
    assert seen.balances == UNTOUCHED


def test_no_money_was_made_or_lost(aftermath: Aftermath) -> None:
    """The bank's own check: balances, postings and keys agree, and each key moved money at most once."""
    assert aftermath.problems == ()
