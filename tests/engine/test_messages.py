"""What people read of a run: messages of errors, and the lines that a host shows beside its calls."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    CancelRequested,
    CancelTimer,
    Command,
    Error,
    Fact,
    Outcome,
    Resumed,
    Settled,
    StartChild,
    StartTimer,
)
from sagadsl.engine.journal import State
from sagadsl.language.model import Saga
from sagadsl.virtual import world
from tests.engine.scenes import act, built, flaky, gives, lost, no, plain, play, saga, signal, slow


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """Everything that sagas ask of the virtual host."""
    seen: list[Command] = []

    def listening(model: Saga, state: State, fact: Fact) -> list[Command]:
        asked = decide(model, state, fact)
        seen.extend(asked)
        return asked

    monkeypatch.setattr(world, "decide", listening)
    return seen


def _failure(*steps: Any, input_: Any = None, **top: Any) -> Error:
    ran = play(saga(*steps, **top), input_=input_)
    assert ran.failure is not None
    return ran.failure


@pytest.mark.parametrize(
    ("items", "kind"),
    [({"a": 1}, "an object"), ("x", "text"), (True, "a boolean"), (None, "null"), (3, "a number"), (0.5, "a number")],
)
def test_items_that_are_no_list_are_named_by_what_they_are(items: Any, kind: str) -> None:
    """R56."""
    failure = _failure({"id": "each", "for_each": {"items": "input"}, "steps": [plain("x")]}, input_=items)

    assert (failure.type, failure.message) == ("ExpressionError", f"`items` must give a list, found {kind}")


@pytest.mark.parametrize(("message", "said"), [("{{ input }} left", "7 left"), ("{{ input }}", "7"), ("none", "none")])
def test_a_failure_s_message_is_always_text(message: str, said: str) -> None:
    """R56: a number on its own would stay a number."""
    failure = _failure({"id": "no", "fail": {"type": "SoldOut", "message": message}}, input_=7)

    assert failure.message == said


def _doubted(probe: dict[str, Any]) -> dict[str, Any]:
    return saga(act("a"), plain("p", pivot=True, probe={"activity": "ask.p"} | probe))


def test_a_probe_says_what_it_asks_and_goes_where_its_expression_says() -> None:
    """R43."""
    ran = play(_doubted({"task_queue": "{{ input }}", "retry": "none"}), {"p": lost()}, input_="desk")

    assert ran.commands["p.probe"].summary == "did p happen?"
    assert ran.commands["p.probe"].task_queue == "desk"


def test_a_probe_has_three_attempts_and_its_error_is_kept() -> None:
    """R43, R44: it comes before the pivot is passed, so that it is not tried without limit."""
    ran = play(_doubted({}), {"p": lost(), "p.probe": flaky()})

    assert (ran.status, ran.attempts("p.probe"), ran.others) == ("paused", 3, ["Unreachable"])


def test_a_probe_that_cannot_be_computed_says_why() -> None:
    """R43, R56."""
    ran = play(_doubted({"input": {"x": "{{ input.x }}"}}), {"p": lost()}, input_={})

    assert (ran.status, [error.step for error in ran.state.others]) == ("paused", ["p"])
    assert "x" in ran.state.others[0].message
    assert ran.state.others[0].message != "None"


def test_what_a_block_could_not_undo_is_its_failure() -> None:
    """R40."""
    block = {"id": "all", "parallel": [act("x"), act("y")], "complete_when": "completed >= 1"}
    script = {"x": slow(2), "y": slow(1), "x.compensation": no()}

    ran = play(saga(block, compensation={"on_failure": "continue"}), script)

    assert ran.failure is not None
    assert ran.failure.message == "what `all` left behind could not be undone"


NAP = {"id": "nap", "sleep": "1h"}
WAIT = {"id": "w", "wait_for": {"signal": "go", "timeout": "1h"}}


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (WAIT, "signal `go` did not come in time"),
        ({"id": "nap", "sleep": "{{ 5 }}"}, "`sleep` must be a duration such as `30s`, found `5`"),
        (
            {"id": "w", "wait_for": {"signal": "go", "timeout": "{{ 5 }}"}},
            "`timeout` must be a duration such as `30s`, found `5`",
        ),
        (plain("a", task_queue="{{ 5 }}"), "`task_queue` must be a text, found `5`"),
        ({"id": "c", "saga": "child", "task_queue": "{{ 5 }}"}, "`task_queue` must be a text, found `5`"),
        *(
            (plain("a", timeouts={limit: "{{ 5 }}"}), f"`{limit}` must be a duration such as `30s`, found `5`")
            for limit in ("start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat")
        ),
        *(
            (plain("a", timeouts={limit: "{{ '0s' }}"}), f"`{limit}` must be longer than `0s`")
            for limit in ("start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat")
        ),
        *(
            (plain("a", retry={limit: "{{ 5 }}"}), f"`{limit}` must be a duration such as `30s`, found `5`")
            for limit in ("initial_interval", "maximum_interval")
        ),
        (
            {"id": "s", "switch": [{"if": "false", "steps": [plain("x")]}]},
            "no case of switch `s` holds, and it has no `else`",
        ),
        (
            {"id": "r", "repeat": {"until": "false", "maximum_attempts": 2, "every": "1s"}, "steps": [plain("x")]},
            "`until` did not hold in 2 rounds",
        ),
        (
            {"id": "r", "repeat": {"until": "false", "every": "{{ item_index }}"}, "steps": [plain("x")]},
            "`every` must be a duration such as `30s`, found `0`",
        ),
        (
            {"id": "nap", "sleep_until": "{{ 'noon' }}"},
            "`sleep_until` must be a time with its zone such as `2030-01-31T09:00:00Z`, found `'noon'`",
        ),
    ],
)
def test_what_ends_a_step_says_so_in_a_sentence(step: dict[str, Any], message: str) -> None:
    """R56, R59."""
    assert _failure(step).message == message


def test_a_saga_s_own_timeout_says_so() -> None:
    """R35."""
    failure = _failure(NAP, timeout="1m")

    assert (failure.type, failure.message) == ("SagaTimeout", "the saga did not end within its timeout")


def test_a_saga_s_own_timeout_may_depend_on_the_input_and_on_the_saga() -> None:
    """R13, R35."""
    ran = play(saga(NAP, timeout="{{ input }}{{ saga.name[0] }}", name="m"), input_=2)

    assert (ran.why, ran.took()) == (("SagaTimeout", ""), 120)
    assert _failure(NAP, timeout="{{ 5 }}").message == "`timeout` must be a duration such as `30s`, found `5`"


def test_timers_say_what_they_are_for(commands: list[Command]) -> None:
    polled = {"id": "r", "repeat": {"until": "item_index == 1", "every": "1s"}, "steps": [plain("x")]}

    play(saga(NAP, WAIT, polled, timeout="9h"), None, signal(4000, "go"))

    assert {each.summary for each in commands if isinstance(each, StartTimer)} == {
        "sleep in nap",
        "signal go for w",
        "next round of r",
        "timeout of scene",
    }


def test_a_timer_that_nobody_needs_any_more_is_taken_back(commands: list[Command]) -> None:
    """R51: on a server it would cost events."""
    play(saga(WAIT, timeout="9h"), None, signal(60, "go"))

    assert {each.timer_id for each in commands if isinstance(each, CancelTimer)} == {"w", "@timeout"}


def test_a_timer_that_goes_on_in_another_run_is_known_by_its_step() -> None:
    """R50: the state keeps no sentence for it."""
    model, state = built(saga(NAP)), State()
    decide(model, state, Began(0.0, "s", "r", None))

    assert decide(model, state, Resumed(5.0, "r2")) == [StartTimer("nap", 3600.0, "nap")]


@pytest.mark.parametrize(("by", "why", "kept"), [("ann", "", 1), ("", "too late", 1), ("", "", 0)])
def test_who_asked_for_a_cancel_or_why_is_kept(by: str, why: str, kept: int) -> None:
    """R28: as far as they said."""
    model, state = built(saga(NAP)), State()
    decide(model, state, Began(0.0, "s", "r", None))
    decide(model, state, CancelRequested(5.0, by, why))

    assert [(each.verb, each.by, each.why) for each in state.actions] == [("cancel", by, why)] * kept


def test_calls_say_what_they_are_for(commands: list[Command]) -> None:
    """A step by its description, or its path; what undoes it by its step."""
    child = saga(act("x"), name="child")
    trip = {"id": "c", "saga": "child", "input": {"n": 1}, "compensation": "auto"}
    ran = play(saga(act("a", description="Hold the room"), act("b"), trip, plain("no")), {"no": no()}, sagas=[child])

    summaries = {call: command.summary for call, command in ran.commands.items() if ":" not in call}
    assert summaries == {
        "a": "Hold the room",
        "b": "b",
        "no": "no",
        "b.compensation": "undo b",
        "a.compensation": "undo a",
    }
    forward, undo = {each.call_id: each for each in commands if isinstance(each, StartChild)}.values()
    assert (forward.summary, forward.input, forward.wants_journal) == ("c", {"n": 1}, True)
    assert (undo.summary, undo.input, undo.wants_journal) == ("undo c", {"n": 1}, False)


def test_a_saga_that_undoes_a_step_is_told_where_it_runs_and_what_for(commands: list[Command]) -> None:
    """R13: its input is the step's, if it names none; a step without one gives it an empty object."""
    undoing = saga(act("u"), name="undoing")
    undo = {"saga": "undoing", "task_queue": "{{ input }}"}

    ran = play(saga(act("a", compensation=undo), plain("no")), {"no": no()}, input_="desk", sagas=[undoing])

    (child,) = {each.call_id: each for each in commands if isinstance(each, StartChild)}.values()
    assert (child.task_queue, child.summary, child.wants_journal, child.input) == ("desk", "undo a", False, {})
    assert ran.report["undone"] == ["a"]


def test_what_undoes_a_step_goes_where_its_expression_says() -> None:
    """R13."""
    undo = {"activity": "undo.a", "task_queue": "{{ step.output }}"}
    ran = play(saga(act("a", compensation=undo), plain("no")), {"a": gives("desk"), "no": no()})

    assert ran.commands["a.compensation"].task_queue == "desk"


def test_a_result_that_nobody_can_judge_says_why() -> None:
    """R56."""
    step = act("a", failed_if=[{"if": "output.nothing", "type": "No"}])

    assert "nothing" in play(saga(step), {"a": gives({})}).state.failure.message  # type: ignore[union-attr]


def test_lengths_of_time_and_moments_see_the_input() -> None:
    """R13."""
    slept = play(saga({"id": "nap", "sleep": "{{ input.s }}s"}), input_={"s": 40})
    until = play(saga({"id": "nap", "sleep_until": "{{ input.t }}"}), input_={"t": 1_700_000_030})

    assert (slept.took(), until.took()) == (40, 30)


def test_what_somebody_else_has_stopped_is_told_so() -> None:
    """R26: a host that knows no more than that it was cancelled says so without an error."""
    model, state = built(saga(act("a"), act("b"))), State()
    for fact in (Began(0.0, "s", "r", None), Settled(1.0, "a", Outcome.SUCCEEDED)):
        decide(model, state, fact)

    decide(model, state, Settled(2.0, "b", Outcome.NOT_STARTED, cancelled=True))
    assert state.failure == Error("cancelled", "it was cancelled from outside the saga", "b")

    decide(model, state, Settled(3.0, "a.compensation", Outcome.NOT_STARTED, cancelled=True))
    cancelled_error = Error("cancelled", "it was cancelled from outside the saga", "a.compensation")
    assert state.attention == {"a.compensation": cancelled_error}


def test_mistakes_of_handlers_and_conditions_are_told_with_their_place() -> None:
    """R56: they help nobody if they say no more than that there was one."""
    bad = "{{ input.nothing }}"
    when = play(saga(act("a", on_error=[{"if": "input.nothing"}])), {"a": no()}, input_={})
    output = play(saga(act("a", on_error=[{"output": bad}])), {"a": no()}, input_={})
    block = {"id": "all", "parallel": [plain("x"), plain("y")], "complete_when": "input.nothing"}

    for ran in (when, output):
        assert [(error.type, error.step) for error in ran.state.others] == [("ExpressionError", "a")]
        assert "nothing" in ran.state.others[0].message
    assert "nothing" in _failure(block, input_={}).message


def test_past_the_pivot_no_step_is_the_pivot_any_more() -> None:
    """R43."""
    ran = play(saga(act("a"), plain("p", pivot=True)))

    assert (ran.state.pivot_passed, ran.state.pivot_at) == (True, "")


def test_a_child_saga_that_was_not_needed_is_told_so(commands: list[Command]) -> None:
    """R40, R46: nothing failed, and it undoes itself all the same."""
    child = saga(act("x"), name="child")
    loser = {"id": "l", "steps": [{"id": "c", "saga": "child", "compensation": "auto"}, act("y")]}
    block = {"id": "all", "parallel": [act("w"), loser], "complete_when": "completed >= 1"}

    ran = play(saga(block), {"w": slow(1), "y": slow(5)}, sagas=[child], drained=False)

    assert ran.report["undone"] == ["all/l/y", "all/l/c"]
    *_, undo = (each for each in commands if isinstance(each, StartChild) and each.journal is not None)
    assert undo.failure == Error("NotNeeded", "the block was complete without this step", "all/l/c")
