"""The point of no return."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.facts import HistoryFull, Verb
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, beats, flaky, gives, lost, no, operator, plain, play, saga, slow

PROBE = {"activity": "ask.p", "retry": "none"}


def _saga(*after: Any, probe: bool = False, **more: Any) -> dict[str, Any]:
    pivot = plain("p", pivot=True, **({"probe": PROBE} if probe else {}), **more)
    return saga(act("a"), pivot, *after)


def test_before_the_pivot_a_failure_undoes() -> None:
    """R43: the pivot itself said no, so it did not happen."""
    ran = play(_saga(act("b")), {"p": no()})

    assert (ran.status, ran.calls) == ("compensated", ["a", "p", "a.compensation"])


def test_after_the_pivot_a_step_is_tried_without_limit() -> None:
    """R44: what leaves open how often; fifty attempts here."""
    ran = play(_saga(act("b", retry=...)), {"b": [*[flaky()] * 49, Attempt()]})

    assert (ran.status, ran.attempts("b")) == ("completed", 50)


def test_before_the_pivot_the_same_step_has_its_three_attempts() -> None:
    """R44: only what comes after it."""
    ran = play(saga(act("b", retry=...), plain("p", pivot=True)), {"b": flaky()})

    assert (ran.status, ran.attempts("b")) == ("compensated", 3)


def test_a_step_that_is_done_without_keeps_its_three_attempts() -> None:
    """R44, R14 of the cases: its author said how to go on, so nobody waits for ever."""
    ran = play(_saga(act("tell", retry=..., on_error="continue"), act("b")), {"tell": flaky()})

    assert (ran.status, ran.attempts("tell"), ran.calls) == ("completed", 3, ["a", "p", "tell", "b"])


@pytest.mark.parametrize(
    ("verb", "status", "calls"),
    [
        (Verb.RETRY_STEP, "completed", ["b", "b#2", "c"]),
        (Verb.SKIP_STEP, "completed", ["b", "c"]),
        (Verb.ABORT, "failed", ["b"]),
    ],
)
def test_after_the_pivot_a_step_that_gives_up_waits_for_an_operator(verb: Verb, status: str, calls: list[str]) -> None:
    """R44, R22: no way back, so a person decides."""
    definition = _saga(act("b"), act("c"))
    paused = play(definition, {"b": no("Broke")})
    ran = play(definition, {"b": no("Broke"), "b#2": Attempt()}, operator(60, verb))

    assert (paused.status, list(paused.state.attention)) == ("paused", ["b"])
    assert (ran.status, ran.calls[2:]) == (status, calls)
    if verb is Verb.ABORT:
        assert (ran.why, ran.report["why_not"]) == (("Broke", "b"), "the pivot had passed")
        assert ran.report["not_attempted"] == ["a"]
    if verb is Verb.SKIP_STEP:
        assert ran.now["steps"][2]["status"] == "failed"


def test_after_the_pivot_a_handler_still_takes_its_error() -> None:
    """R44: of the step, or of a block around it."""
    block = {"id": "block", "steps": [act("b"), act("c")], "on_error": [{"types": ["Broke"]}]}

    ran = play(_saga(block, act("d")), {"b": no("Broke")})

    assert (ran.status, ran.calls) == ("completed", ["a", "p", "b".join(["block/", ""]), "d"])


@pytest.mark.parametrize("error", ["Worse", "Broke"])
def test_a_handlers_own_failure_after_the_pivot_waits_for_an_operator(error: str) -> None:
    """R44: the saga neither ends nor undoes; a handler does not take what happens in itself."""
    step = act("b", on_error=[{"types": ["Broke"], "steps": [act("fix")]}])

    script = {"b": no("Broke"), "fix": no(error)}

    assert list(play(_saga(step), script).state.attention) == ["b.on_error/fix"]
    ran = play(_saga(step), script, operator(60, Verb.SKIP_STEP))

    assert (ran.status, ran.calls) == ("completed", ["a", "p", "b", "b.on_error/fix"])


def test_a_handler_that_wants_to_compensate_after_the_pivot_waits_for_an_operator() -> None:
    """R43, R44."""
    ran = play(_saga(act("b", on_error=[{"then": "compensate"}])), {"b": no()})

    assert (ran.status, list(ran.state.attention)) == ("paused", ["b"])


@pytest.mark.parametrize("kind", ["fail", "switch", "repeat", "wait_for", "set", "if"])
def test_any_mistake_after_the_pivot_waits_for_an_operator(kind: str) -> None:
    """R44, R56: of whatever kind the step is."""
    steps: dict[str, Any] = {
        "fail": {"fail": {"type": "Fraud"}},
        "switch": {"switch": [{"if": "false", "steps": [plain("x")]}]},
        "repeat": {"repeat": {"until": "false", "maximum_attempts": 1}, "steps": [plain("x")]},
        "wait_for": {"wait_for": {"signal": "go", "timeout": "1s"}},
        "set": {"set": {"x": "{{ nowhere }}"}},
        "if": {"if": "nowhere", "set": {"x": 1}},
    }

    ran = play(_saga({"id": "b", **steps[kind]}, act("c")))
    skipped = play(_saga({"id": "b", **steps[kind]}, act("c")), None, operator(60, Verb.SKIP_STEP))

    assert (ran.status, list(ran.state.attention)) == ("paused", ["b"])
    assert (skipped.status, skipped.calls[-1]) == ("completed", "c")


@pytest.mark.parametrize("at", [0.25, 5, 15])
def test_a_cancel_after_the_pivot_does_not_undo(at: float) -> None:
    """R30: the saga goes on; the request is recorded."""
    ran = play(_saga(act("b"), {"id": "nap", "sleep": "10s"}, act("c")), {"b": slow(9)}, cancel_at=at)

    assert (ran.status, ran.calls, ran.others) == ("completed", ["a", "p", "b", "c"], ["cancelled"])


def test_a_cancel_while_the_pivot_runs_waits_for_what_becomes_of_it() -> None:
    """R30, R43, R29: it succeeded, so the cancel comes too late."""
    ran = play(_saga(act("b")), {"p": slow(9)}, cancel_at=5)

    assert (ran.status, ran.calls, ran.others) == ("completed", ["a", "p", "b"], ["cancelled"])


def test_a_cancel_while_the_pivot_runs_undoes_if_it_said_no() -> None:
    """R25, R43."""
    ran = play(_saga(act("b")), {"p": no(takes=9)}, cancel_at=5)

    assert (ran.status, ran.calls, ran.others) == ("cancelled", ["a", "p", "a.compensation"], ["Refused"])


@pytest.mark.parametrize("after", [(), ("b",)])
def test_a_history_that_is_full_while_the_pivot_runs_ends_the_saga_behind_it(after: tuple[str, ...]) -> None:
    """R43, R51: nothing more begins, since the server would end the run; a saga that is done is completed."""
    ran = play(_saga(*map(act, after)), {"p": slow(10)}, (5, HistoryFull))

    assert (ran.status, ran.calls) == ("failed" if after else "completed", ["a", "p"])
    if after:
        assert (ran.why, ran.report["why_not"]) == (("HistoryFull", ""), "the pivot had passed")


def test_nothing_more_begins_beside_a_pivot_once_somebody_wants_the_saga_to_stop() -> None:
    """R25: until it is known whether it will."""
    beside = {"id": "beside", "steps": [act("one"), act("two")]}
    script = {"one": slow(6), "p": slow(9)}
    block = {"id": "both", "parallel": [plain("p", pivot=True), beside]}

    ran = play(saga(act("a"), block), script, cancel_at=5)
    refused = play(saga(act("a"), block), script | {"p": no(takes=9)}, cancel_at=5)

    assert (ran.at("end", "both/beside/one"), ran.at("start", "both/beside/two")) == (6.1, 9.1)
    assert ran.status == "completed"
    assert "both/beside/two" not in refused.calls
    assert refused.status == "cancelled"


def test_a_paused_saga_stays_paused_when_the_cancel_comes_too_late() -> None:
    """R22, R30."""
    ran = play(_saga(act("b")), {"p": slow(9)}, operator(1, Verb.PAUSE), cancel_at=5)

    assert (ran.status, ran.calls) == ("paused", ["a", "p"])


def test_an_unknown_pivot_pauses() -> None:
    """R43: neither undo nor go on by guess."""
    ran = play(_saga(act("b")), {"p": lost()})

    assert (ran.status, ran.calls, list(ran.state.attention)) == ("paused", ["a", "p"], ["p"])


@pytest.mark.parametrize(
    ("verb", "status", "calls"),
    [
        (Verb.SKIP_STEP, "completed", ["b"]),
        (Verb.ABORT, "compensated", ["a.compensation"]),
        (Verb.RETRY_STEP, "completed", ["p#2", "b"]),
    ],
)
def test_an_operator_says_whether_an_unknown_pivot_happened(verb: Verb, status: str, calls: list[str]) -> None:
    """R22, R43: skip: it did; abort: it did not; retry: the same key makes that safe."""
    ran = play(_saga(act("b"), input="{{ idempotency_key }}"), {"p": lost(), "p#2": Attempt()}, operator(99, verb))

    assert (ran.status, ran.calls[2:]) == (status, calls)
    if verb is Verb.RETRY_STEP:
        assert ran.sent("p") == ran.sent("p#2") == "saga-1/p/do"
    if verb is Verb.ABORT:
        assert ran.why == ("timeout", "p")


def test_a_retried_pivot_that_no_worker_takes_is_as_unknown_as_before() -> None:
    """R43: that it was not begun again says nothing of the first time, of which nobody has heard."""
    nobody = Attempt(starts=False)
    ran = play(_saga(act("b")), {"p": lost(), "p#2": nobody}, operator(99, Verb.RETRY_STEP), cancel_at=120)

    assert (ran.status, ran.calls, list(ran.state.attention)) == ("paused", ["a", "p", "p#2"], ["p"])


def test_abort_undoes_although_the_pivots_error_would_have_been_handled() -> None:
    """R22: an operator who gives up does not want the saga to go on."""
    ran = play(_saga(act("b"), on_error="continue"), {"p": lost()}, operator(99, Verb.ABORT))

    assert (ran.status, ran.calls) == ("compensated", ["a", "p", "a.compensation"])


@pytest.mark.parametrize(
    ("found", "status", "calls"),
    [
        (gives(True), "completed", ["p.probe", "b"]),
        (gives(False), "compensated", ["p.probe", "a.compensation"]),
        (gives("perhaps"), "paused", ["p.probe"]),
        (no("Down"), "paused", ["p.probe"]),
        (lost(), "paused", ["p.probe"]),
    ],
)
def test_a_probe_finds_out_whether_an_unknown_pivot_happened(found: Attempt, status: str, calls: list[str]) -> None:
    """R43: or a person has to."""
    ran = play(_saga(act("b"), probe=True), {"p": lost(), "p.probe": found})

    assert (ran.status, ran.calls[2:]) == (status, calls)
    if status == "compensated":
        assert ran.why == ("timeout", "p")


def test_a_probe_that_cannot_be_called_leaves_it_to_a_person() -> None:
    """R43, R56."""
    pivot = plain("p", pivot=True, probe=PROBE | {"input": "{{ nowhere }}"})

    ran = play(saga(act("a"), pivot), {"p": lost()})

    assert (ran.status, ran.calls, ran.others) == ("paused", ["a", "p"], ["ExpressionError"])


@pytest.mark.parametrize(("found", "status"), [(True, "completed"), (False, "cancelled")])
def test_a_cancel_while_the_probe_asks_waits_for_its_answer(found: bool, status: str) -> None:
    """R30, R43."""
    ran = play(_saga(act("b"), probe=True), {"p": lost(), "p.probe": gives(found, takes=9)}, cancel_at=65)

    assert ran.status == status


def test_a_cancelled_pivot_that_heartbeats_is_unknown() -> None:
    """R5, R43: a person decides; skip says that it happened, and the cancel came too late."""
    definition = saga(act("a"), beats("p", pivot=True, compensation=...), act("b"))

    ran = play(definition, {"p": slow(60)}, cancel_at=5)
    went_on = play(definition, {"p": slow(60)}, operator(9, Verb.SKIP_STEP), cancel_at=5)
    undone = play(definition, {"p": slow(60)}, operator(9, Verb.ABORT), cancel_at=5)

    assert (ran.status, list(ran.state.attention)) == ("paused", ["p"])
    assert (went_on.status, went_on.calls) == ("completed", ["a", "p", "b"])
    assert (undone.status, undone.why, undone.others) == ("cancelled", ("cancelled", ""), ["cancelled"])
    assert undone.record("p").progress.value == "failed"  # it was decided that it did not happen


def test_a_sibling_that_fails_beside_a_doubtful_pivot_does_not_decide_for_it() -> None:
    """R43: the block waits for the operator."""
    block = {"id": "both", "parallel": [plain("p", pivot=True, timeouts={"start_to_close": "2s"}), act("x")]}
    script = {"p": lost(), "x": no(takes=5)}

    ran = play(saga(act("a"), block), script)
    undone = play(saga(act("a"), block), script, operator(60, Verb.ABORT))

    assert (ran.status, ran.calls, list(ran.state.attention)) == ("paused", ["a", "both/p", "both/x"], ["both/p"])
    assert (undone.status, undone.calls[-1]) == ("compensated", "a.compensation")
    assert undone.state.pivot_at == ""


def test_a_result_of_the_pivot_that_nobody_can_read_is_doubtful() -> None:
    """R43: it did happen, but does it mean yes or no?"""
    ran = play(_saga(act("b"), failed_if={"if": "output.nowhere"}), {"p": gives({})})
    said_no = play(_saga(act("b"), failed_if={"if": "output.bad"}), {"p": gives({"bad": True})})

    assert (ran.status, ran.calls) == ("paused", ["a", "p"])
    assert (said_no.status, said_no.calls) == ("compensated", ["a", "p", "a.compensation"])


def test_a_pivot_does_not_begin_in_a_saga_that_has_failed_already() -> None:
    """R42, R43: a branch beside it waits for a sibling to settle; going past the pivot would make that final."""
    inner = {"id": "inner", "parallel": [act("bad"), act("long")]}
    other = {"id": "other", "steps": [act("one"), plain("p", pivot=True)]}

    ran = play(saga({"id": "both", "parallel": [inner, other]}), {"bad": no(), "long": slow(9), "one": slow(2)})

    assert (ran.status, ran.why) == ("compensated", ("Refused", "both/inner/bad"))
    assert "both/other/p" not in ran.calls
    error = ran.record("both/other/p").error
    assert error is not None
    assert (error.type, error.message) == ("cancelled", "the saga has failed already, so its pivot does not begin")


def test_losers_after_the_pivot_are_still_undone() -> None:
    """R40, R43: they are not the way back."""
    block = {"id": "all", "parallel": [act("x"), act("y")], "complete_when": "completed >= 1"}

    ran = play(_saga(block), {"y": slow(2)})

    assert (ran.status, ran.report["undone"]) == ("completed", ["all/y"])


def test_an_output_that_cannot_be_computed_after_the_pivot_leaves_the_saga_completed() -> None:
    """N16, R43, R56."""
    ran = play(_saga(act("b")) | {"output": "{{ nowhere }}"})

    assert (ran.status, ran.calls, ran.output) == ("completed", ["a", "p", "b"], None)
    assert [warning.type for warning in ran.state.warnings] == ["ExpressionError"]


def test_a_repeated_block_repeats_its_child_sagas_under_new_ids() -> None:
    """R22, R49: what a child has done and undone under its keys must not answer for the second one."""
    trip = {"id": "trip", "saga": "child", "compensation": "none"}
    poll = {"id": "poll", "repeat": {"until": "steps.trip.output == 'there'", "maximum_attempts": 1}, "steps": [trip]}
    child = saga(act("x", input="{{ idempotency_key }}"), name="child", output="{{ steps.x.output }}")

    ran = play(
        saga(plain("p", pivot=True), poll), {"do.x": gives("there")}, operator(60, Verb.RETRY_STEP), sagas=[child]
    )
    again = play(
        saga(plain("p", pivot=True), poll), {"do.x": gives("away")}, operator(60, Verb.RETRY_STEP), sagas=[child]
    )

    assert (ran.status, ran.calls) == ("completed", ["p", "poll[0]/trip"])
    assert again.calls == ["p", "poll[0]/trip", "poll[0]/trip#2"]
    assert again.commands["saga-1/poll[0]/trip#2:x"].arguments == ("saga-1/poll[0]/trip#2/x/do",)


@pytest.mark.parametrize("handler", [{"steps": [act("fix")]}, {"then": "stop"}, {"output": 1}])
def test_a_refused_pivot_runs_no_handler_once_somebody_wants_the_saga_to_stop(handler: dict[str, Any]) -> None:
    """R43: the probe found that it had not happened."""
    pivot = plain("p", pivot=True, probe=PROBE, on_error=[handler])

    ran = play(saga(act("a"), pivot), {"p": lost(), "p.probe": gives(False, takes=9)}, cancel_at=65)

    assert (ran.status, ran.calls) == ("cancelled", ["a", "p", "p.probe", "a.compensation"])
    assert ran.others == ["timeout"]


@pytest.mark.parametrize("found", [True, False])
def test_a_sibling_that_fails_while_the_probe_asks_waits_for_its_answer(found: bool) -> None:
    """R43, R12: and no handler of the pivot runs in a block that has failed."""
    handled = [{"steps": [act("fix")]}]
    pivot = plain("p", pivot=True, probe=PROBE, on_error=handled, timeouts={"start_to_close": "2s"})
    script = {"p": lost(), "p.probe": gives(found, takes=9), "x": no(takes=5)}

    ran = play(saga(act("a"), {"id": "both", "parallel": [pivot, act("x")]}), script)

    assert ran.calls[:4] == ["a", "both/p", "both/x", "both/p.probe"]
    assert ran.status == ("paused" if found else "compensated")
    assert ran.calls[4:] == ([] if found else ["a.compensation"])


def test_a_sibling_that_fails_beside_a_pivot_that_passes_waits_for_an_operator() -> None:
    """R43, R44: the failure is not the saga's until somebody says so."""
    block = {"id": "both", "parallel": [plain("p", pivot=True), act("x")]}
    script = {"p": slow(9), "x": no("Broke", takes=2)}

    ran = play(saga(act("a"), block, act("end")), script)
    went_on = play(saga(act("a"), block, act("end")), script, operator(20, Verb.SKIP_STEP))

    assert (ran.status, list(ran.state.attention), ran.failure) == ("paused", ["both"], None)
    assert (went_on.status, went_on.failure, went_on.calls[-1]) == ("completed", None, "end")


def test_a_timeout_after_a_cancel_does_not_replace_it() -> None:
    """R9: both came while the pivot ran, which then said no."""
    ran = play(_saga(act("b")) | {"timeout": "5s"}, {"p": no(takes=9)}, cancel_at=3)

    assert (ran.status, ran.why, sorted(ran.others)) == ("cancelled", ("cancelled", ""), ["Refused", "SagaTimeout"])


def test_after_the_pivot_a_step_that_says_how_often_is_tried_so_often() -> None:
    """R44: then it waits for an operator."""
    ran = play(_saga(act("b", retry={"maximum_attempts": 2})), {"b": flaky()})

    assert (ran.status, ran.attempts("b")) == ("paused", 2)


def test_a_handler_outside_takes_the_error_that_an_inner_handler_could_not_mend() -> None:
    """R44: it is the step's own error that goes outwards, so nobody has to decide."""
    step = act("b", on_error=[{"steps": [act("fix")]}])
    block = {"id": "block", "steps": [step], "on_error": [{"types": ["Broke"]}]}

    ran = play(_saga(block, act("c")), {"b": no("Broke"), "fix": no("Worse")})

    assert (ran.status, ran.calls[-1]) == ("completed", "c")


def test_failure_handlers_after_the_pivot_wait_for_nobody() -> None:
    """R44, R23: they are the end of the saga, not a part of its way."""
    definition = _saga(act("b")) | {"on_failure": [act("alarm")]}

    ran = play(definition, {"b": no("Broke"), "alarm": no("Mute")}, operator(20, Verb.ABORT))

    assert (ran.status, ran.why, ran.others) == ("failed", ("Broke", "b"), ["Mute"])


def test_a_pivot_that_is_cancelled_between_its_attempts_waits_for_somebody_who_knows() -> None:
    """R25, R26, R43: the server says only that it was cancelled, not how its attempts had ended."""
    pivot = plain("p", pivot=True, retry={"maximum_attempts": 5, "initial_interval": "1m"})

    ran = play(saga(act("a"), pivot, act("b")), {"p": flaky()}, cancel_at=5)

    assert (ran.status, ran.calls, list(ran.state.attention)) == ("paused", ["a", "p"], ["p"])
