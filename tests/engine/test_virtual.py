"""The world in virtual time does with a call what a Temporal server and its workers do, event by event."""

from __future__ import annotations

import json
from functools import partial
from math import inf

import pytest

from sagadsl.engine.facts import OperatorAsked, SignalReceived, Status, Verb
from sagadsl.engine.journal import State
from sagadsl.engine.records import Progress, UndoProgress
from sagadsl.virtual.calls import LOST
from sagadsl.virtual.clock import Clock
from sagadsl.virtual.runs import Event
from sagadsl.virtual.world import World
from tests.engine.scenes import ID, act, built, no, plain, saga, scripted, slow
from tests.engine.virtual_runs import CHILD, SILENT, cause_of, events_of, how, record_of, run_in, world_of


def test_what_comes_from_outside_is_told() -> None:
    """Timelines show it: who asked for what, and when."""
    world = world_of({"b": no()})
    world.at(1, lambda at: OperatorAsked(at, Verb.PAUSE))
    world.at(2, lambda at: OperatorAsked(at, Verb.RESUME))
    world.at(4, lambda at: SignalReceived(at, "go", None))
    world.cancel_at(5)

    run_in(world, {"id": "a", "sleep": "3s"}, {"id": "b", "sleep": "9s"}, timeout="20s")

    assert [(round(each.at - world.begin, 3), *each[1:]) for each in world.events] == [
        (0, ID, "timer", "@timeout", 0, "set", ""),
        (0, ID, "timer", "a", 0, "set", ""),
        (1, ID, "operator", "", 0, "pause", ""),
        (2, ID, "operator", "", 0, "resume", ""),
        (3, ID, "timer", "a", 0, "fired", ""),
        (3, ID, "timer", "b", 0, "set", ""),
        (4, ID, "signal", "go", 0, "", ""),
        (5, ID, "cancel_request", "", 0, "", ""),
        (5, ID, "close", "", 0, "cancelled", ""),
    ]


def test_a_child_saga_is_told_from_its_start_to_its_end() -> None:
    """R46."""
    world = world_of({"do.inner": slow(2)})
    run = run_in(world, {"id": "nap", "sleep": "1s"}, {"id": "a", "saga": "child", "compensation": "none"})

    assert events_of(world) == [(1, "start", 0, "child", ""), (3, "end", 0, "succeeded", "")]
    assert events_of(world, "x", f"{ID}/a")[-1] == (3, "end", 1, "succeeded", "")
    assert [each.what for each in world.events[-4:]] == ["end", "close", "end", "close"]
    child = world.runs[f"{ID}/a"]
    assert (child.parent, child.since, run.children) == ((ID, "a"), 3, {})
    assert (child.state.saga_id, child.state.run_id) == (f"{ID}/a", f"run-{ID}/a")
    assert child.state.started_at == world.begin + 1


def test_a_child_saga_that_fails_tells_its_error_behind_how_it_ended() -> None:
    """R46, R23: as the message of the failed workflow does."""
    world = world_of({"do.inner": no("Broke")})
    run = run_in(world, {"id": "a", "saga": "child", "compensation": "none"})

    assert events_of(world)[-1] == (0.1, "end", 0, "failed", "Broke")
    error = cause_of(run)
    assert (error.type, error.message) == ("Broke", "step `x` failed: Broke: Broke! (0 undone)")
    assert error.causes == (("Broke", "Broke!"),)
    assert record_of(run).progress is Progress.FAILED


def test_a_child_saga_is_cancelled_with_its_parent() -> None:
    """R27, R46: and told as a child, not as what it calls."""
    child = saga(plain("x", activity="do.inner", timeouts={"start_to_close": "1m", "heartbeat": "5s"}), name="child")
    world = World(scripted({"do.inner": slow(9)}), sagas={"child": built(child)})
    world.cancel_at(2)
    run = run_in(world, {"id": "a", "saga": "child", "compensation": "none"})

    assert events_of(world)[1:] == [(2, "cancel", 0, "", ""), (2, "end", 0, "failed", "cancelled")]
    assert [each.what for each in world.events if each.saga == f"{ID}/a"][-4:] == [
        "cancel_request",
        "cancel",
        "end",
        "close",
    ]
    assert world.runs[f"{ID}/a"].state.now == world.begin + 2
    assert (run.state.status, record_of(run).progress) == (Status.CANCELLED, Progress.CANCELLED)


def test_a_child_saga_hears_of_a_cancel_when_its_parent_asks() -> None:
    """R27, R60: and shows it, though it waits for what runs."""
    world = world_of({"do.inner": slow(9)})
    world.start(built(saga({"id": "a", "saga": "child", "compensation": "none"})))
    world.cancel_at(2)
    world.run(3)

    child = world.runs[f"{ID}/a"]
    assert (child.close, child.state.now) == (None, world.begin + 2)


def test_a_child_saga_that_completed_is_undone_under_its_own_name() -> None:
    """R46, R47: from what it returned; later, and as another run."""
    child = saga(act("x"), name="child")
    world = World(scripted({"b": no()}), sagas={"child": built(child)})
    steps = {"id": "a", "saga": "child", "compensation": "auto"}, {"id": "nap", "sleep": "5s"}, plain("b")
    world.start(built(saga(*steps)))
    world.run()

    undone = world.runs[f"{ID}/a"]
    assert (undone.state.saga_id, undone.state.run_id, undone.state.undo_only) == (f"{ID}/a", f"run-{ID}/a", True)
    undo = undone.state.records["x"].undo
    assert undo is not None
    assert (undo.started_at, undo.progress) == (pytest.approx(world.begin + 5.2), UndoProgress.DONE)
    assert [each[1] for each in events_of(world, "a.compensation")] == ["start", "end"]


def test_a_child_saga_that_nobody_knows_fails_its_step() -> None:
    """R46, R56: as the real host does, with the same error."""
    world = world_of()
    run = run_in(world, {"id": "nap", "sleep": "1s"}, {"id": "a", "saga": "missing", "compensation": "none"})

    assert events_of(world) == [(1, "start", 0, "missing", ""), (1, "end", 0, "failed", "DefinitionNotFound")]
    assert how(run) == ("failed", "there is no saga `missing`", None)
    assert record_of(run).ended_at == world.begin + 1


@pytest.mark.parametrize("how", [{}, {"replay": True}, {"drain": True}])
def test_a_saga_always_knows_what_time_it_is(how: dict[str, bool]) -> None:
    """R50: whoever tells it something, whatever it has just gone through."""
    seen: list[tuple[bool, State]] = []
    world = World(
        scripted({"b": no(takes=3)}),
        sagas={"child": built(CHILD)},
        after_fact=lambda saga_id: seen.append((world.runs[saga_id].state.now == world.now, world.runs[saga_id].state)),
        **how,
    )
    child = {"id": "kid", "saga": "child", "compensation": "none"}
    run = world.start(built(saga(act("a"), {"id": "nap", "sleep": "1s"}, child, act("b"))))
    world.run()

    assert run.close is not None
    assert all(right for right, _ in seen)
    states = len({id(state) for _, state in seen})
    assert states == 2 if not how else states > 4


def test_what_is_due_happens_in_the_order_in_which_it_was_planned() -> None:
    """Also what should have happened before: it has no way back."""
    clock, happened = Clock(100.0), list[str]()
    for delay, what in ((1.0, "later"), (0.0, "now"), (-5.0, "late"), (0.0, "then")):
        clock.later(delay, partial(happened.append, what))
    clock.run(0.5)

    assert happened == ["now", "late", "then"]
    assert (clock.now, clock.begin) == (100.5, 100.0)


def test_what_is_carried_over_arrives_as_from_temporal() -> None:
    """R50: whose converter sorts the keys of objects."""
    world = World(drain=True)
    run = world.start(built(saga(plain("a"), plain("b"))), {"b": 1, "a": {"d": 2, "c": 3}})
    world.run()

    assert json.dumps(run.state.input) == '{"a": {"c": 3, "d": 2}, "b": 1}'


def test_a_saga_s_timeout_can_be_made_to_pass_now() -> None:
    """R32: and passes once."""
    world = world_of({"a": slow(5)})
    world.start(built(saga(act("a"), timeout="1h")))
    world.run(1)
    world.pass_timeout()
    world.pass_timeout()
    world.run()

    (passed,) = [each for each in world.events if each.what == "timeout"]
    assert passed == Event(world.begin + 1, ID, "timeout", "", 0, "", "")
    assert world.runs[ID].state.timed_out
    assert world.runs[ID].close is not None


def test_a_saga_without_a_timeout_has_none_to_pass() -> None:
    world = world_of()
    run = run_in(world, plain("a"))
    world.pass_timeout()

    assert not run.state.timed_out


def test_time_stops_where_it_is_told_to_and_goes_on_from_there() -> None:
    world = world_of({"a": slow(5)})
    run = world.start(built(saga(plain("a"))))

    world.run(2)
    assert (world.now - world.begin, run.close) == (2, None)
    world.run(5)
    assert world.now - world.begin == 5
    assert run.close is not None
    world.run(9)
    assert world.now - world.begin == 5, "nothing was due any more"


def test_time_does_not_wait_for_an_attempt_without_an_end() -> None:
    world = world_of({"a": SILENT})
    run_in(world, plain("a", timeouts={"schedule_to_close": "3s"}))

    assert world.now - world.begin == 3


def test_nobody_hears_of_a_lost_attempt_again() -> None:
    assert (LOST.takes, LOST.beats, LOST.starts) == (inf, False, True)
    assert how(run_in(world_of({"a": LOST}), plain("a", timeouts={"start_to_close": "3s"})))[0] == "unknown"
