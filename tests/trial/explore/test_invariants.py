"""Each kind of violation is found: in a definition made for it, or with an interpreter that has one mistake."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sagadsl.engine import blocks, decide, ends, journal, operator, phases, undo
from sagadsl.engine.facts import Given, OperatorAsked, Outcome, Settled, Status
from sagadsl.engine.journal import Closing, Frame, Phase, State
from sagadsl.engine.records import Record
from sagadsl.engine.run import Run
from sagadsl.immutable import replace
from sagadsl.language.model import Saga
from sagadsl.status.narrative import NOTHING_LEFT
from sagadsl.trial import invariants
from sagadsl.trial.explore import judging, search
from sagadsl.trial.explore.run import Task, explore
from sagadsl.virtual.runs import Event
from tests.engine.scenes import act, plain, saga

AB = saga(act("a"), act("b"), plain("c"))
PIVOT = saga(act("a"), plain("p", pivot=True), plain("b"))
BRANCHES = saga({"id": "all", "parallel": [act("a"), act("b")]})


def _found(definition: dict[str, Any], most: int = 2) -> dict[str, set[str]]:
    """Return the paths of the violations by their kinds, with the rules."""
    found: dict[str, set[str]] = {}
    for violation in explore(Task(definition, most=most)).summary.violations.values():
        found.setdefault(f"{violation.kind} {violation.rule}", set()).add(violation.path)
    return found


@pytest.mark.parametrize("definition", [AB, PIVOT, BRANCHES])
def test_with_the_interpreter_as_it_is_nothing_is_found(definition: dict[str, Any]) -> None:
    """So that what the other tests find is the mistake that they plant."""
    assert _found(definition) == {}


def test_what_did_not_happen_must_not_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """R3: a step that the participant refused."""
    monkeypatch.setattr(undo, "is_due", lambda compensation, outcome: True)

    assert _found(AB)["undone-without-effect R3"] == {"a", "b"}


def test_what_happened_must_not_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: nothing is undone, and the saga says that all is well."""
    monkeypatch.setattr(undo, "is_due", lambda compensation, outcome: False)
    found = _found(AB)

    assert found["forgotten R1"] >= {"a", "b"}
    assert found["effect-left R1"] >= {"a", "b"}


def test_the_order_must_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """R10: the oldest is undone first."""
    real = journal.Unwind
    monkeypatch.setattr(undo, "Unwind", lambda key, pending, **more: real(key, pending[::-1], **more))

    assert _found(AB)["wrong-order R10"] == {"a"}


def test_nothing_must_be_undone_while_something_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """R12: a block that fails does not wait for its branches."""
    real = blocks.advance

    def hasty(run: Run, frame: Frame) -> None:
        if frame.closing is Closing.FAILED:
            frame.open.clear()
        real(run, frame)

    monkeypatch.setattr(blocks, "advance", hasty)

    assert "undo-before-settled R12" in _found(BRANCHES, 1)


def test_nothing_must_be_undone_behind_the_pivot(monkeypatch: pytest.MonkeyPatch) -> None:
    """R43."""

    def back(run: Run) -> None:
        run.state.phase = Phase.COMPENSATING
        undo.begin(run, "", list(run.state.undoable))

    monkeypatch.setattr(phases, "compensate", back)

    assert _found(PIVOT)["undo-after-pivot R43"] == {"a"}


def test_a_pivot_in_doubt_must_not_be_taken_for_one_that_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    """R43: its effect stands, and the saga has gone back."""

    def guess(run: Run, _step: Any, record: Record, error: Any) -> None:
        run.state.pivot_at = ""
        ends.fail_for_good(run, record)

    monkeypatch.setattr(ends, "doubt", guess)

    assert _found(PIVOT)["effect-left R1"] == {"p"}


def test_nothing_must_be_undone_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1."""
    real = undo.next_action

    def again(run: Run, record: Record) -> None:
        assert record.undo is not None
        if record.undo.repeats == 0:
            record.undo.repeats = 1
            run.todo.append(("action", record.path))
        else:
            real(run, record)

    monkeypatch.setattr(undo, "next_action", again)

    assert _found(AB, 1)["undone-twice R1"] == {"a", "b"}


def test_a_compensation_that_failed_must_not_be_called_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1, R20."""
    monkeypatch.setattr(undo, "failed", lambda run, record, error: undo.next_action(run, record))
    found = _found(AB)

    assert found["undo-untrue R1"] == {"a", "b"}
    assert found["effect-left R1"] == {"a", "b"}


def test_a_saga_must_not_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """R56: it is open, and nobody will ever tell it anything."""
    monkeypatch.setattr(blocks, "finish", lambda run, frame: None)

    assert _found(AB, 0) == {"never-ends R56": {""}}


def test_a_poll_that_nothing_bounds_goes_on_and_on() -> None:
    """R56: the participant says `not yet` for ever; with a timeout of the saga all is well."""
    poll = {
        "id": "poll",
        "repeat": {"until": "steps.ask.output.state == 'ready'", "every": "1h"},
        "steps": [plain("ask")],
    }

    assert _found(saga(poll), 1) == {"never-ends R56": {""}}
    assert _found(saga(poll, timeout="1d"), 1) == {}


def test_an_operator_must_have_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """R22."""
    monkeypatch.setattr(operator, "refusal", lambda *_, **more: "no")

    assert _found(AB)["no-way-out R22"] == {"a.compensation", "b.compensation"}


def test_a_decision_must_lead_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """R22: skipped, and it waits again."""
    real = operator._skip

    def stubborn(run: Run, path: str, given: Given) -> None:
        error = run.state.attention[path]
        real(run, path, given)
        run.state.attention[path] = error

    monkeypatch.setattr(operator, "_skip", stubborn)

    assert _found(AB)["no-way-out R22"] == {"a.compensation", "b.compensation"}


def test_an_interpreter_that_breaks_is_a_violation_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """R56: in a workflow, its task would be blocked for ever."""

    def broken(run: Run, fact: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(phases, "stop_forward", broken)

    assert _found(AB, 1) == {"interpreter-breaks R56": {""}}


def test_a_fact_that_comes_twice_must_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """R49, R59."""
    real = decide._settled

    def forgetful(run: Run, fact: Settled) -> None:
        if fact.call_id not in run.state.calls:
            run.state.stopped = True
        real(run, fact)

    monkeypatch.setattr(decide, "_settled", forgetful)

    assert _found(AB, 0) == {"redelivery R59": {"a", "b"}}


def test_the_status_must_be_true(monkeypatch: pytest.MonkeyPatch) -> None:
    """R20: compensated is said of a saga of which something was not undone."""

    def close(run: Run) -> None:
        run.state.status = Status.COMPENSATED

    monkeypatch.setattr(phases, "_close", close)
    found = _found(AB)

    assert found["status-untrue R20"] == {""}


def test_a_report_must_not_say_undone_of_what_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1, R20: whatever is undone in truth, the books decide."""
    real = judging.report
    monkeypatch.setattr(judging, "report", lambda saga, state: real(saga, state) | {"undone": ["a", "b"]})

    assert _found(AB)["report-untrue R1"] == {"a", "b"}


def test_what_is_explained_must_be_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """R20: of a failed saga that something is left, and what."""
    monkeypatch.setattr(judging, "sentences", lambda status: iter([NOTHING_LEFT]))

    assert "views-disagree R20" in _found(AB)


def test_all_views_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """R60: the status says something else than the end."""
    real = judging.status_of
    monkeypatch.setattr(judging, "status_of", lambda saga, state: real(saga, state) | {"status": "completed"})

    assert _found(AB, 1) == {"views-disagree R60": {""}}


def test_completed_must_not_be_said_of_what_did_not_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    """R1: the interpreter takes a no for a yes."""
    real = decide._settled

    def deaf(run: Run, fact: Settled) -> None:
        real(run, replace(fact, outcome=Outcome.SUCCEEDED) if fact.outcome is Outcome.FAILED else fact)

    monkeypatch.setattr(decide, "_settled", deaf)

    assert _found(AB, 1)["effect-missing R1"] == {"a", "b", "c"}


def test_a_decision_that_comes_late_must_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """R22: it has been carried out, and comes once more."""
    real = operator.asked

    def eager(run: Run, fact: OperatorAsked) -> None:
        run.state.stopped = operator.refusal(run.state, fact.verb, fact.path) is not None
        real(run, fact)

    monkeypatch.setattr(decide.operator, "asked", eager)

    assert _found(AB)["redelivery R22"] == {"a.compensation", "b.compensation"}


def test_a_decision_about_an_earlier_failure_must_not_be_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """R22: an operator had it retried, it failed again, and what was said about the first time comes."""
    real = operator.refusal
    monkeypatch.setattr(
        operator, "refusal", lambda state, verb, path="", occurrence=None, **more: real(state, verb, path, **more)
    )

    assert _found(AB, 3)["late-decision R22"] == {"a.compensation", "b.compensation"}


def test_a_signal_must_not_count_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """R59: sent once more with the same request."""
    ask = {"id": "ask", "wait_for": {"signal": "go", "timeout": "1h"}}
    assert _found(saga(act("a"), ask, act("b")), 0) == {}
    monkeypatch.setattr(Run, "taken_in", lambda run, request, became: None)

    assert _found(saga(act("a"), ask, act("b")), 0) == {"redelivery R59": {"go"}}


def test_what_is_handed_on_to_a_new_run_must_be_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """R50: the new run does not know what the old one did."""
    real = search.pack

    def careless(saga: Saga, state: State) -> None:
        real(saga, state)
        state.undoable.clear()

    monkeypatch.setattr(search, "pack", careless)

    assert _found(AB)["effect-left R1"] >= {"a"}


def test_keys_must_not_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """R49."""
    monkeypatch.setattr(invariants, "key_of_activity_id", lambda saga_id, activity_id: "the same")

    assert _found(AB, 0) == {"key-shared R49": {"b", "c"}}


def test_a_saga_that_is_begun_anew_must_not_use_the_keys_of_the_run_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """R49: the first run was undone under them, so that they are refused, or undo what is not theirs."""
    compensation = {"activity": "undo.a", "input": "{{ step.idempotency_key }}"}
    definition = saga(act("a", input="{{ idempotency_key }}", compensation=compensation), plain("b"))
    assert _found(definition) == {}
    monkeypatch.setattr(State, "caller", property(lambda state: state.saga_id))

    assert _found(definition) == {"key-shared R49": {"a"}}


def test_nothing_must_be_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """R12: the saga closes, and a timer of it is still set."""
    monkeypatch.setattr(Run, "drop_timer", lambda run, timer_id: None)

    assert _found(saga(act("a"), timeout="1h"), 0) == {"left-open R12": {""}}


@pytest.mark.parametrize(
    ("whats", "kind"),
    [(["start", "start"], "began-twice"), (["start", "end", "end"], "ended-twice"), (["end"], "ended-twice")],
)
def test_a_call_begins_and_ends_once(whats: list[str], kind: str) -> None:
    """R8."""
    events = [Event(0.0, "s", what, "a") for what in whats]

    assert [breach.kind for breach in invariants.spans(events, "s")[1]] == [kind]


EXPRESSIONS = {
    "an input": (saga(act("a"), act("b", input={"x": "{{ input.nothing }}"}), input={"type": "object"}), "b"),
    "a condition": (saga(plain("a", **{"if": "input.n"}), input={"properties": {"n": {"enum": [1]}}}), "a"),
    "a compensation's input": (
        saga(act("a", compensation={"activity": "undo.a", "input": "{{ step.output.id }}"}), plain("b")),
        "a",
    ),
    "the saga's output": (
        saga(act("a", on_error="continue", compensation="none"), output="Got {{ steps.a.output.x }}"),
        "",
    ),
}


@pytest.mark.parametrize("name", list(EXPRESSIONS))
def test_an_expression_that_fails_on_some_way_is_found(name: str) -> None:
    """R14 to R17, R56."""
    definition, path = EXPRESSIONS[name]
    found = explore(Task(definition, most=2)).summary.violations

    assert ("expression-fails", path) in found
    assert re.search(r"in `.+`", found["expression-fails", path].message)
