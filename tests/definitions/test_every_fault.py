"""Every shape and every shipped definition in virtual time: all goes well, then each call in turn does not."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from sagadsl.engine.facts import SignalReceived, StartActivity, Status
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.language.load import beside, load_many
from sagadsl.language.paths import is_compensation
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.test_shapes_run import CHILDREN, FILES, STORIES, Story

ENDED = {Status.COMPLETED, Status.COMPENSATED, Status.FAILED}
FAULTS = {
    "says no": Attempt(error="Refused", retryable=False),
    "is never heard of again": Attempt(takes=1e6),
    "happens and says no": Attempt(error="Refused", retryable=False, clean=False),
}
LIMIT = 7 * 24 * 3600.0
"""Seconds of virtual time after which a saga that is still open waits for a person."""


def _run(story: Story, call: str = "", fault: Attempt | None = None) -> tuple[World, VirtualRun]:
    """Tell a story without its failures, but for one *call* that ends in a *fault* at every attempt."""
    path = FILES[story.name]
    (loaded,) = load_many([path])
    assert loaded.saga is not None

    def participant(saga_id: str, command: StartActivity, attempt: int) -> Attempt:
        if fault is not None and f"{saga_id} {command.call_id}" == call:
            return fault
        return Attempt(output=story.answers.get(command.activity))

    world = World(participant, sagas={**CHILDREN, **beside(path, path.read_bytes()).sagas})
    run = world.start(loaded.saga, story.input)
    for name, (seconds, payload) in story.signals.items():
        world.at(seconds, lambda at, name=name, payload=payload: SignalReceived(at, name, payload))  # type: ignore[misc]
    world.run(until=LIMIT)
    return world, run


def _calls(world: World) -> list[str]:
    """Return the calls of activities, with the run that made them; of a loop only those of one round."""
    calls = [f"{event.saga} {event.call}" for event in world.events if event.what == "attempt"]
    return list({re.sub(r"\[\d+\]", "", call): call for call in calls}.values())


def _twice_undone(world: World) -> list[str]:
    """Return the compensations that took effect more than once."""
    ends = Counter(
        (event.saga, event.call)
        for event in world.events
        if event.what == "end" and is_compensation(event.call) and event.detail == "succeeded"
    )
    return [f"{saga} {call}" for (saga, call), count in ends.items() if count > 1]


def _still_open(run: VirtualRun) -> bool:
    """Whether a run is open though nobody is asked to do something, and nothing is tried any more."""
    return run.close is None and not run.state.attention and not run.calls and not run.children


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_all_participants_succeed_and_the_saga_ends(story: Story) -> None:
    """R1, R56: nothing that succeeded is left behind unless the saga completed."""
    world, run = _run(story)

    assert run.close is not None
    assert run.close.status in ENDED
    assert _twice_undone(world) == []
    assert (world.report()["not_undone"], world.report()["not_attempted"]) == ([], [])


def _faulty(story: Story) -> Iterator[tuple[str, str, World, VirtualRun]]:
    """Play every fault at every call of the good path."""
    for call in _calls(_run(story)[0]):
        for name, fault in FAULTS.items():
            yield (call, name, *_run(story, call, fault))


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_wherever_a_call_fails_the_saga_ends_or_asks_a_person_and_undoes_nothing_twice(story: Story) -> None:
    """R1, R3, R20, R43; and every saga that ended as compensated has undone all that it did.

    R10, R50: the order in which to undo survives the trip through Temporal, whose converter sorts the keys of objects.
    """
    for call, fault, world, run in _faulty(story):
        where = f"{call} {fault}"
        assert not _still_open(run), where
        assert _twice_undone(world) == [], where
        arrived = restore(json.loads(json.dumps(snapshot(run.state), sort_keys=True)))
        assert (arrived, list(arrived.undoable)) == (run.state, list(run.state.undoable)), where
        if run.close is not None:
            assert run.close.status in ENDED, where
        if run.close is not None and run.close.status is Status.COMPENSATED:
            assert (world.report()["not_undone"], world.report()["not_attempted"]) == ([], []), where
