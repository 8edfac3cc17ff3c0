"""Undos that wait for an attempt of which nobody has heard: what the conformance suite cannot show. R96, R97."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import DrainRequested, Error, How, LateEnd, Outcome, Settled, TimerFired, Verb
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.status.lines import rows
from sagadsl.virtual.calls import Attempt, Late
from sagadsl.virtual.world import World
from tests.engine.scenes import ID, Meddling, act, built, no, operator, plain, play, saga, scripted

TIMES = {"start_to_close": "2s", "settle": "4s"}
PATIENT = act("b", timeouts=TIMES)
UNDO_B = {"activity": "undo.b", "input": {"outcome": "{{ step.outcome }}", "output": "{{ step.output }}"}}


def _late(after: float, output: Any = None, error: str | None = None) -> Attempt:
    return Attempt(takes=1e9, late=Late(after, output, error))


def _late_end(at: float, outcome: Outcome = Outcome.SUCCEEDED, **how: Any) -> Meddling:
    """A report of the attempt of `b` in the scene below, which began with the world."""
    told: dict[str, Any] = {"call_id": "b", "attempt": 1, "began": None, **how}
    return at, lambda now: LateEnd(now, outcome=outcome, **told)


def _waiting(until: float = 3.0) -> World:
    """A saga whose undo waits for its first and only step."""
    world = World(scripted({"b": Attempt(takes=1e9)}))
    world.start(built(saga(PATIENT)))
    world.run(until)
    return world


@pytest.mark.parametrize("left_out", ["settle", "undo"])
def test_a_step_without_it_sets_no_timer(left_out: str) -> None:
    """R96: who does not ask for it pays nothing."""
    step = act("b", timeouts={"start_to_close": "2s"}) if left_out == "settle" else PATIENT
    script = {"b": _late(1, 7)} if left_out == "settle" else {}

    ran = play(saga(step, plain("last")), {**script, "last": no()} if left_out == "undo" else script)

    assert ran.events("timer") == ran.events("late") == []
    assert ran.commands["b"].settles is (left_out == "undo")


def test_the_status_says_until_when_an_undo_waits() -> None:
    world = _waiting()
    run = world.runs[ID]
    ran = play(saga(PATIENT), {"b": Attempt(takes=1e9)}, until=3)

    (step,) = ran.now["steps"]
    assert (step["compensation"]["status"], step["compensation"]["waits_until"][-7:]) == ("running", "26.000Z")
    assert run.state.timers.keys() == {"b.settle"}


def test_people_read_that_an_undo_waits() -> None:
    ran = play(saga(PATIENT), {"b": Attempt(takes=1e9)}, until=3)
    now = datetime.fromtimestamp(ran.state.now + 1, UTC)

    *_, undo = rows(ran.now, {}, now)

    assert (undo.note, undo.wait) == ("an attempt of the step may end late", timedelta(seconds=3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"call_id": "c"},
        {"call_id": "b#2"},
        {"call_id": "b.compensation"},
        {"attempt": 2},
        {"began": 1.0},
        {"outcome": Outcome.FAILED},  # without the moment of its beginning it may be an attempt before a reset
    ],
    ids=str,
)
def test_a_report_of_another_attempt_changes_nothing(wrong: dict[str, Any]) -> None:
    """R97: an operator's reset numbers attempts anew, and a repeat has another id."""
    ran = play(saga(PATIENT), {"b": Attempt(takes=1e9)}, _late_end(3, **wrong))

    assert (ran.took(), ran.record("b").outcome) == (6.1, Outcome.UNKNOWN)


@pytest.mark.parametrize(
    ("outcome", "began", "undone", "took"),
    [
        (Outcome.SUCCEEDED, None, "done", 3.1),
        (Outcome.SUCCEEDED, 0.0004, "done", 3.1),
        (Outcome.FAILED, -0.0004, "not_due", 3.0),
    ],
)
def test_a_report_of_the_attempt_ends_the_wait(outcome: Outcome, began: float | None, undone: str, took: float) -> None:
    """R97: clocks of SDKs cut a moment to milliseconds or microseconds."""
    start = World().begin
    how = {"began": None if began is None else start + began}

    ran = play(saga(PATIENT), {"b": Attempt(takes=1e9)}, _late_end(3, outcome, **how))

    assert (ran.took(), ran.record("b").outcome, ran.undo("b")) == (took, outcome, undone)


@pytest.mark.parametrize("at", [0.5, 1.9, 6.05, 7.0])
def test_a_report_before_the_timeout_or_after_the_undo_has_begun_changes_nothing(at: float) -> None:
    """R97."""
    ran = play(saga(PATIENT), {"b": Attempt(takes=1e9)}, _late_end(at))

    assert (ran.took(), ran.record("b").outcome, ran.undo("b")) == (6.1, Outcome.UNKNOWN, "done")


def test_a_report_is_taken_once() -> None:
    world = _waiting()
    run, fact = world.runs[ID], LateEnd(world.now, "b", Outcome.SUCCEEDED, 1, None, 7)
    assert [type(each).__name__ for each in decide(run.saga, run.state, fact)] == ["CancelTimer", "StartActivity"]

    before = snapshot(run.state)
    assert decide(run.saga, run.state, replace_output(fact, 8)) == []
    assert snapshot(run.state) == before


def replace_output(fact: LateEnd, output: Any) -> LateEnd:
    return LateEnd(fact.at, fact.call_id, fact.outcome, fact.attempt, fact.began, output)


def test_what_comes_late_is_for_the_compensation_alone() -> None:
    """R97: the step stays failed, and what a handler gave in its place stays what others read."""
    step = act("b", timeouts=TIMES, compensation=UNDO_B, on_error=[{"then": "continue", "output": "instead"}])
    rest = act("c", input="{{ steps.b.output }}")

    ran = play(saga(step, rest, plain("last")), {"b": _late(0.15, 7), "last": no()})

    assert ran.sent("c") == "instead"
    assert ran.sent("b.compensation") == {"outcome": "succeeded", "output": 7}
    assert ran.now["steps"][0]["status"] == "failed"


def test_an_earlier_step_is_undone_with_the_output_that_it_has_given_late() -> None:
    """R14, R97: also when the saga has gone on for long, and nothing waits any more."""
    step = act("b", timeouts=TIMES, compensation=UNDO_B, on_error="continue")

    ran = play(saga(step, plain("last")), {"b": _late(1, 7), "last": no(takes=60)})

    assert ran.sent("b.compensation") == {"outcome": "succeeded", "output": 7}
    assert ran.took() == 62.1


def test_a_step_that_an_operator_has_repeated_is_judged_by_its_last_call() -> None:
    """R5, R97: the first call may have happened, so that a clear no of the second leaves the outcome open."""
    step = act("b", timeouts=TIMES, compensation=UNDO_B, on_error="pause")
    script = {"b": Attempt(takes=1e9), "b#2": _late(1, error="Declined")}

    ran = play(saga(step), script, operator(3, Verb.RETRY_STEP, "b"), operator(8, Verb.ABORT, "b"))

    assert (ran.record("b").outcome, ran.undo("b")) == (Outcome.UNKNOWN, "done")
    assert ran.at("start", "b.compensation") == 8.0


def test_a_crash_takes_late_attempts_with_it() -> None:
    world = World(scripted({"b": _late(3, 7)}))
    world.start(built(saga(PATIENT)))
    world.clock.later(3, world.crash)
    world.run()

    assert world.runs[ID].state.records["b"].outcome is Outcome.UNKNOWN


def test_the_losers_of_a_block_wait_too_and_the_block_with_them() -> None:
    """R40, R96."""
    block = {
        "id": "g",
        "parallel": [PATIENT, plain("fast")],
        "complete_when": "completed == 1",
        "on_branch_failure": "wait",
    }

    ran = play(saga(block, plain("last")), {"b": _late(1, 7), "fast": Attempt(takes=2.5)})

    assert ran.calls == ["g/b", "g/fast", "g/b.compensation", "last"]
    assert (ran.at("start", "g/b.compensation"), ran.record("g/b").outcome) == (3.0, Outcome.SUCCEEDED)


def test_a_failed_try_of_a_block_is_undone_after_the_wait() -> None:
    """R92, R96."""
    block = {"id": "g", "retry": {"maximum_attempts": 2, "initial_interval": "100ms"}, "steps": [PATIENT]}

    ran = play(saga(block), {"b": Attempt(takes=1e9), "g/b@2#2": Attempt()})

    assert (ran.status, ran.calls) == ("completed", ["g/b", "g/b.compensation", "g/b@2#2"])
    assert ran.at("start", "g/b.compensation") == 6.0


def test_a_wait_goes_on_in_a_new_run() -> None:
    """R50, R96: nothing is in flight, so that the run may go on in a new one."""
    ran = play(saga(PATIENT), {"b": _late(2, 7)}, (3, DrainRequested))

    assert ran.events("continue_as_new") == [""]
    assert (ran.took(), ran.record("b").outcome) == (4.1, Outcome.SUCCEEDED)


def test_a_round_of_which_an_attempt_may_end_late_keeps_its_record() -> None:
    """R50, R97: what is packed away could not be told of its late end."""
    loop = {"id": "l", "for_each": {"items": "input"}, "steps": [act("b", timeouts=TIMES, on_error="continue")]}
    script = {"l[0]/b": _late(1, 7)}

    ran = play(saga(loop, plain("last")), {**script, "last": no()}, (2.05, DrainRequested), input_=[1, 2, 3])

    assert ran.events("continue_as_new") == [""]
    assert ran.record("l[0]/b").outcome is Outcome.SUCCEEDED


def test_a_paused_saga_begins_no_undo_when_the_wait_is_over() -> None:
    meddling = operator(3, Verb.PAUSE), operator(20, Verb.RESUME)

    ran = play(saga(PATIENT), {"b": Attempt(takes=1e9)}, *meddling)

    assert ran.at("start", "b.compensation") == 20.0


def test_a_run_that_was_killed_in_the_wait_waits_on_when_it_is_taken_up() -> None:
    """R31, R96."""
    world = _waiting()
    world.kill()
    world.take_up(How.UNDO)
    world.run()

    starts = [
        round(each.at - world.begin, 6)
        for each in world.events
        if (each.what, each.call) == ("start", "b.compensation")
    ]
    assert starts == [6.0]


def test_a_child_that_undoes_itself_later_uses_what_came_late() -> None:
    """R46, R97: its journal knows."""
    child = saga(act("b", timeouts=TIMES, compensation=UNDO_B, on_error="continue"), plain("x"), name="child")
    world = World(scripted({"b": _late(0.15, 7), "x": Attempt(takes=1), "last": no()}), sagas={"child": built(child)})
    world.start(built(saga({"id": "k", "saga": "child", "compensation": "auto"}, plain("last"))))
    world.run()

    child_run = next(run for id_, run in world.runs.items() if id_.endswith("/k"))
    assert world.report()["undone"] == ["k"]
    assert child_run.state.records["b"].outcome is Outcome.SUCCEEDED


def test_facts_about_the_wait_are_legal_in_every_state() -> None:
    """Rule 4 of the engine."""
    world = _waiting()
    run = world.runs[ID]
    late = LateEnd(world.now, "nowhere", Outcome.FAILED, 3, 0.0)
    for state in (restore(snapshot(run.state)), type(run.state)()):
        before = snapshot(state)
        assert decide(run.saga, state, late) == decide(run.saga, state, TimerFired(world.now, "x.settle")) == []
        assert {**snapshot(state), "now": 0} == {**before, "now": 0}


def test_a_length_that_cannot_be_computed_fails_the_step_before_it_begins() -> None:
    """R56."""
    step = act("b", timeouts={"start_to_close": "2s", "settle": "{{ input.patience }}"})

    ran = play(saga(step), input_={"patience": 5})

    assert (ran.why, ran.calls) == (("ExpressionError", "b"), [])
    assert ran.failure is not None
    assert "`settle` must be a duration" in ran.failure.message


def test_a_call_whose_end_was_reported_is_not_waited_for() -> None:
    """R96: its one attempt is over, whatever it has done."""
    ran = play(saga(PATIENT), {"b": no("Broken", clean=False)})

    assert (ran.record("b").outcome, ran.events("timer")) == (Outcome.UNKNOWN, [])


def test_what_a_terminated_run_has_lost_is_not_waited_for() -> None:
    """R31: `recover` has waited for it."""
    world = World(scripted({"b": Attempt(takes=1e9)}))
    run = world.start(built(saga(PATIENT)))
    ended = Settled(world.now, "b", Outcome.UNKNOWN, error=Error("terminated", "gone"), cancelled=True)
    world.tell(ID, ended)

    assert run.state.timers == {}
