"""Any saga, any faults, a cancel at any instant: the rules hold, and it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagadsl.engine.facts import OperatorAsked, SignalReceived, Verb
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.language.build import build
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.engine.any_saga import CHILD, Maker
from tests.engine.invariants import check
from tests.engine.scenes import ID, scripted

FAULTS = st.sampled_from(
    [
        Attempt(error="Refused", retryable=False),
        Attempt(error="Busy"),
        Attempt(error="Busy", clean=False),
        Attempt(takes=1e6),
        Attempt(starts=False),
        Attempt(output={"ok": False}),
        Attempt(output={"ok": True}, takes=3),
    ]
)


@dataclass(frozen=True)
class _Drawn:
    draw: st.DrawFn

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))


@dataclass(frozen=True)
class Case:
    definition: Mapping[str, Any]
    script: Mapping[str, list[Attempt]]
    cancel_at: float | None
    pause_at: float | None = None
    verbs: tuple[Verb, ...] = ()


@st.composite
def cases(draw: st.DrawFn, *, sequential: bool = False) -> Case:
    maker = Maker(_Drawn(draw), sequential)
    definition = maker.saga()
    names = sorted({*maker.calls, "act.x", "act.y", "undo.one", "undo.two", "undo.x", "act.probe"})
    faulty = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    script = {name: draw(st.lists(FAULTS, min_size=1, max_size=2)) for name in faulty}
    if "act.probe" not in script:
        script["act.probe"] = [Attempt(output=maker.pick(True, False))]
    if maker.chance(3):
        script["signal go"] = [Attempt(error="SignalNotDelivered", retryable=False)]
    if sequential:  # in the same instant a new run may hear of things in another order
        definition.pop("timeout", None)
        script["act.one"] = [Attempt(output={"ok": True})]
        definition = _reading(definition, draw(st.integers(10, 90)))
        definition |= draw(st.sampled_from([{}, {"output": "reads nothing"}]))
        return Case(definition, script, None, verbs=(Verb.RETRY_STEP,) * draw(st.integers(0, 4)))
    cancel_at = draw(st.none() | st.integers(0, 120).map(lambda twentieths: twentieths / 20))
    pause_at = draw(st.none() | st.none() | st.integers(0, 60).map(lambda tenths: tenths / 10))
    verbs = draw(st.lists(st.sampled_from([Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT]), max_size=3))
    return Case(definition, script, cancel_at, pause_at, tuple(verbs))


def _reading(part: Any, length: int) -> Any:
    """Return a part of a definition in which blocks are ended early by what all their branches have given."""
    if isinstance(part, list):
        return [_reading(each, length) for each in part]
    if not isinstance(part, dict):
        return part
    made = {key: _reading(each, length) for key, each in part.items()}
    return made | {"complete_when": f"(outputs | to_json | length) > {length}"} if "complete_when" in made else made


def played(case: Case, *, replay: bool = False, drain: bool = False) -> tuple[World, VirtualRun]:
    """Run it to its end: an operator does what the case says, then skips; whatever waits for a signal gets it."""
    world = World(scripted(case.script), sagas={"child": build(CHILD)}, replay=replay, drain=drain)
    if case.cancel_at is not None:
        world.cancel_at(case.cancel_at)
    if case.pause_at is not None:
        world.at(case.pause_at, lambda at: OperatorAsked(at, Verb.PAUSE))
    run = world.start(build(case.definition), {"n": 2})
    world.run()
    verbs = [*case.verbs, *[Verb.SKIP_STEP] * 200]
    for verb in verbs:
        waiting = [(saga_id, each) for saga_id, each in world.runs.items() if each.close is None]
        if run.close is not None:
            break
        for saga_id, each in waiting:
            now = world.now - world.begin
            if each.state.attention:
                path = next(iter(each.state.attention))
                world.at(now, partial(OperatorAsked, verb=verb, path=path, by="ann", why="because"), saga_id)
                break
            if each.state.paused:
                world.at(now, partial(OperatorAsked, verb=Verb.RESUME), saga_id)
                break
            if each.state.waiting:
                world.at(now, lambda at: SignalReceived(at, "go", None), saga_id)
                break
        else:
            raise AssertionError("it waits, and nobody can tell for what")
        world.run()
    return world, run


@settings(deadline=None, max_examples=250, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_any_saga_ends_and_keeps_the_rules(case: Case) -> None:
    """R1, R2, R3, R10, R12, R43, R56, and the same again from a state that was written down after every fact."""
    world, run = played(case)

    assert run.close is not None
    for saga_id, each in world.runs.items():
        check(world.events, saga_id, each)
    again, same = played(case, replay=True)
    assert again.events == world.events
    assert same.state == run.state


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_any_saga_survives_continue_as_new_at_every_moment(case: Case) -> None:
    """R50: what is carried over is all that is needed."""
    world, run = played(case, drain=True)

    assert run.close is not None
    for saga_id, each in world.runs.items():
        check(world.events, saga_id, each)
    assert restore(json.loads(json.dumps(snapshot(run.state)))) == run.state
    assert ID in world.runs


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(case=cases(sequential=True))
def test_any_saga_that_does_one_thing_at_a_time_does_the_same_in_new_runs(case: Case) -> None:
    """R49, R50: the same calls with the same data, the same end, and the report says the same of them."""
    (world, run), (continued, other) = played(case), played(case, drain=True)

    assert [event.call for event in continued.events if event.what == "start"] == [
        event.call for event in world.events if event.what == "start"
    ]
    assert (other.state.status, other.state.output) == (run.state.status, run.state.output)
    assert continued.report() == world.report()
