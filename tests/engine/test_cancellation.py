"""A cancel, at any moment."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Began, CancelRequested, Close, Outcome, Settled, Status, Verb
from sagadsl.engine.journal import State
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import Ran, Script, act, beats, built, flaky, lost, no, operator, play, saga, signal, slow

CHILD = saga(act("x"), act("y"), name="child")
EVERY_KIND = saga(
    act("first"),
    {"id": "rest", "sleep": "1s"},
    {"id": "ask", "wait_for": {"signal": "go", "timeout": "1s"}, "on_error": "continue"},
    {"id": "both", "parallel": [beats("p"), {"id": "q", "steps": [act("q1"), act("q2")]}]},
    {
        "id": "lines",
        "for_each": {"items": "[1, 2, 3]", "max_concurrency": 2},
        "steps": [act("take"), {"id": "s", "set": {"a": 1}}],
    },
    {"id": "how", "switch": [{"if": "true", "steps": [act("road")]}]},
    {"id": "poll", "repeat": {"until": "item_index >= 1", "every": "500ms"}, "steps": [act("look")]},
    {"id": "trip", "saga": "child", "compensation": "auto"},
    act("flaky", retry={"maximum_attempts": 3, "initial_interval": "1s"}),
    act("lame", on_error=[{"steps": [act("crutch")]}]),
    {"id": "offers", "parallel": [act("fast"), act("late")], "complete_when": "completed >= 1"},
    act("last"),
)
SCRIPT: Script = {
    "p": slow(1),
    "flaky": [flaky(), Attempt()],
    "lame": no(),
    "late": slow(1),
    "late.compensation": slow(1),
}


def _cancelled_at(seconds: float) -> Ran:
    return play(EVERY_KIND, SCRIPT, sagas=[CHILD], cancel_at=seconds)


WHOLE = play(EVERY_KIND, SCRIPT, sagas=[CHILD])
TWENTIETHS = range(int(WHOLE.took() * 20) + 1)


@pytest.mark.parametrize("seconds", [twentieth / 20 for twentieth in TWENTIETHS])
def test_a_cancel_at_any_instant_undoes_all_that_was_done_and_closes_cancelled(seconds: float) -> None:
    """R25, R26, R12, R1: in an activity, a timer, a wait, a child, a back-off, or between steps.

    What was done, and in which order it is undone, is checked after each play.
    """
    ran = _cancelled_at(seconds)

    assert (ran.status, ran.why) == ("cancelled", ("cancelled", ""))
    assert all(ran.at("start", call) <= seconds for call in ran.calls if "compensation" not in call)
    assert _forward(ran) == _forward(WHOLE)[: len(_forward(ran))]
    assert ran.report["not_undone"] == ran.report["not_attempted"] == []


def _forward(ran: Ran) -> list[str]:
    return [call for call in ran.calls if "compensation" not in call]


def test_a_cancel_before_the_first_step_closes_at_once() -> None:
    """R26: nothing was done; and it is not compensated, but cancelled."""
    ran = play(saga({"id": "wait", "sleep": "1h"}, act("a")), cancel_at=5)

    assert (ran.status, ran.calls, ran.took()) == ("cancelled", [], 5)


def test_a_cancel_that_comes_before_the_run_begins_is_kept() -> None:
    """R26: a workflow may be cancelled before its first task."""
    model, state = built(saga(act("a"))), State()

    assert decide(model, state, CancelRequested(1.0)) == []
    commands = decide(model, state, Began(2.0, "s", "r", None))

    assert [type(command) for command in commands] == [Close]
    assert state.status is Status.CANCELLED


def test_a_second_cancel_changes_nothing() -> None:
    """R28: neither while it settles nor while it undoes."""
    once = play(saga(act("a"), act("b")), {"b": slow(5), "a.compensation": slow(5)}, cancel_at=1)
    often = play(
        saga(act("a"), act("b")),
        {"b": slow(5), "a.compensation": slow(5)},
        *((at, CancelRequested) for at in (2.0, 3.0, 6.0, 7.0, 8.0)),
        cancel_at=1,
    )

    asked = [event for event in often.world.events if event.what != "cancel_request"]
    assert asked == [event for event in once.world.events if event.what != "cancel_request"]
    assert (often.state.failure, often.state.others, often.status) == (once.state.failure, [], "cancelled")


@pytest.mark.parametrize("at", [2.5, 4.0, 8.0])
def test_a_cancel_during_compensation_interrupts_nothing(at: float) -> None:
    """R27: and the saga's failure is still the first one."""
    script = {"c": no(takes=1), "b.compensation": slow(3), "a.compensation": slow(3)}

    ran = play(saga(act("a"), act("b"), act("c")), script, cancel_at=at)

    assert (ran.status, ran.why, ran.report["undone"]) == ("compensated", ("Refused", "c"), ["b", "a"])
    assert ran.others == (["cancelled"] if at < 7 else [])
    assert "cancel" not in {event.what for event in ran.world.events}


def test_a_step_that_completes_while_the_cancel_is_pending_is_undone_with_its_output() -> None:
    """R29: it hears nothing of the cancel, and succeeds."""
    step = act("a", compensation={"activity": "undo.a", "input": "{{ step.output }}"})

    ran = play(saga(step, act("b")), {"a": Attempt(output={"ref": 1}, takes=5)}, cancel_at=1)

    assert ran.sent("a.compensation") == {"ref": 1}
    assert ran.record("a").progress.value == "completed"
    assert "b" not in ran.calls


def test_a_step_that_fails_while_the_cancel_is_pending_runs_no_handler() -> None:
    """The cancelled path, not the step's failure."""
    step = act("a", on_error=[{"steps": [act("fix")]}])

    ran = play(saga(step), {"a": no(takes=5)}, cancel_at=1)

    assert (ran.status, ran.calls, ran.others) == ("cancelled", ["a"], ["Refused"])


def test_a_heartbeating_step_stops_at_once_and_is_undone_since_nobody_knows() -> None:
    """R5, R37: its cancellation is no failure of the step."""
    ran = play(saga(beats("a")), {"a": slow(1000)}, cancel_at=5)

    assert (ran.at("end", "a"), ran.now["steps"][0]["status"]) == (5.0, "cancelled")
    assert ran.calls == ["a", "a.compensation"]
    assert ran.others == []


def test_a_step_without_heartbeats_is_waited_for_until_its_timeout() -> None:
    """R37: the wait is bounded by start_to_close."""
    step = act("a", timeouts={"start_to_close": "30s"}, retry={"maximum_attempts": 5})

    ran = play(saga(step), {"a": lost()}, cancel_at=5)

    assert (ran.at("end", "a"), ran.attempts("a")) == (30.0, 1)
    assert ran.calls == ["a", "a.compensation"]


def test_a_step_still_in_its_queue_is_not_undone() -> None:
    """R2, R5: nobody had taken it up."""
    ran = play(saga(act("z"), act("a")), {"a": Attempt(starts=False)}, cancel_at=5)

    assert ran.calls == ["z", "a", "z.compensation"]


def test_all_branches_get_the_cancel_and_are_awaited() -> None:
    """Three long activities that heartbeat, one that does not."""
    block = {"id": "all", "parallel": [beats("x"), beats("y"), act("deaf"), beats("z")]}

    ran = play(saga(block), dict.fromkeys(("x", "y", "z"), slow(1000)) | {"deaf": slow(20)}, cancel_at=5)

    assert sorted(ran.events("cancel")) == ["all/deaf", "all/x", "all/y", "all/z"]
    assert [ran.at("end", f"all/{name}") for name in ("x", "y", "z", "deaf")] == [5, 5, 5, 20]
    assert min(ran.at("start", call) for call in ran.calls if "comp" in call) == 20


def test_a_cancelled_wait_or_timer_ends_at_once_and_takes_no_later_signal() -> None:
    """Two steps follow, and none of them runs."""
    steps: list[Any] = [act("a"), {"id": "ask", "wait_for": {"signal": "go"}}, act("b"), act("c")]

    ran = play(saga(*steps), {"a.compensation": slow(5)}, signal(6, "go"), cancel_at=5)

    assert (ran.status, ran.calls, ran.took()) == ("cancelled", ["a", "a.compensation"], 10)


def test_a_cancel_ends_a_pause() -> None:
    """R25: a saga that is to stop has no use for it."""
    ran = play(saga(act("a"), act("b")), {"a": slow(2)}, operator(1, Verb.PAUSE), cancel_at=5)

    assert (ran.status, ran.calls, ran.now["paused"]) == ("cancelled", ["a", "a.compensation"], False)


def test_a_cancel_while_the_losers_are_undone_lets_that_end_first() -> None:
    """R27, R40: then all the rest."""
    block = {"id": "offers", "parallel": [act("x"), act("y")], "complete_when": "completed >= 1"}

    ran = play(saga(act("a"), block, act("b")), {"y": slow(1), "y.compensation": slow(9)}, cancel_at=3)

    assert (ran.status, ran.calls[-3:]) == (
        "cancelled",
        ["offers/y.compensation", "offers/x.compensation", "a.compensation"],
    )
    assert ran.at("start", "offers/x.compensation") == 10.1


def test_a_cancelled_saga_whose_undo_fails_is_failed_and_still_says_that_it_was_cancelled() -> None:
    """R20, R23: the table of states."""
    ran = play(
        saga(act("a"), act("b"), compensation={"on_failure": "continue"}),
        {"b": slow(9), "a.compensation": no("Down")},
        cancel_at=1,
    )

    assert (ran.status, ran.why) == ("failed", ("cancelled", ""))
    assert ran.report["not_undone"][0]["type"] == "Down"


def test_a_cancelled_loop_leaves_no_timer_behind() -> None:
    """R26: in the pause between two rounds."""
    poll = {"id": "poll", "repeat": {"until": "false", "every": "1h"}, "steps": [{"id": "x", "set": {"n": 1}}]}

    ran = play(saga(poll), cancel_at=5)

    assert (ran.status, ran.took(), ran.state.timers) == ("cancelled", 5, {})


def test_a_call_that_somebody_else_has_stopped_fails_its_step_even_if_no_host_says_why() -> None:
    """R23: there is always a first error."""
    model, state = built(saga(act("a", compensation="none"))), State()
    decide(model, state, Began(0.0, "s", "r", None))

    (close,) = decide(model, state, Settled(1.0, "a", Outcome.UNKNOWN, cancelled=True))

    assert isinstance(close, Close)
    assert close.failure is not None
    assert (close.status, close.failure.type, close.failure.step) == (Status.COMPENSATED, "cancelled", "a")
