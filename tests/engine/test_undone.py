"""What is undone, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Began, Outcome, StartActivity
from sagadsl.engine.journal import State
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, built, flaky, gives, lost, no, plain, play, saga, slow

FOUR = saga(act("a"), act("b"), act("c"), act("d"))


def test_when_all_four_steps_succeed_nothing_is_undone() -> None:
    """R1, a peer's suite: the happy path."""
    ran = play(FOUR)

    assert (ran.status, ran.calls) == ("completed", ["a", "b", "c", "d"])
    assert ran.report["undone"] == []


@pytest.mark.parametrize(
    ("fails", "undone"),
    [("a", []), ("b", ["a"]), ("c", ["b", "a"]), ("d", ["c", "b", "a"])],
)
def test_what_succeeded_before_the_failure_is_undone_newest_first(fails: str, undone: list[str]) -> None:
    """R1, R2, R10, a peer's suite: the first, third and fourth step fail."""
    ran = play(FOUR, {fails: no()})

    assert ran.status == "compensated"
    assert ran.calls == [*"abcd"[: len(undone) + 1], *(f"{path}.compensation" for path in undone)]
    assert ran.report["undone"] == undone
    assert ran.why == ("Refused", fails)


def test_a_compensation_that_needs_a_retry_has_its_effect_once() -> None:
    """R1, R19, a peer's suite."""
    steps = act("a", compensation={"activity": "undo.a"}), act("b")

    ran = play(saga(*steps), {"b": no(), "a.compensation": [flaky(), Attempt()]})

    assert (ran.status, ran.attempts("a.compensation")) == ("compensated", 2)
    assert ran.calls.count("a.compensation") == 1
    assert ran.now["steps"][0]["compensation"]["attempts"] == 2


def test_a_skipped_step_is_never_undone() -> None:
    """R2: the hotel was not booked."""
    ran = play(saga(act("car"), act("hotel", **{"if": "false"}), act("flight")), {"flight": no()})

    assert ran.calls == ["car", "flight", "car.compensation"]
    assert ran.now["steps"][1]["status"] == "skipped"


def test_the_arm_that_was_not_taken_is_never_undone() -> None:
    """R2: the same for a switch."""
    switch = {"id": "how", "switch": [{"if": "false", "steps": [act("rail")]}, {"else": [act("road")]}]}

    ran = play(saga(switch, act("pay")), {"pay": no()})

    assert ran.calls == ["how/road", "pay", "how/road.compensation"]


FAILED, UNKNOWN, NOT_STARTED = no(), lost(), Attempt(starts=False)


@pytest.mark.parametrize(
    ("on", "how", "undone"),
    [
        ("auto", FAILED, False),
        ("auto", UNKNOWN, True),
        ("auto", NOT_STARTED, False),
        ("completed", FAILED, False),
        ("completed", UNKNOWN, False),
        ("completed", NOT_STARTED, False),
        ("attempted", FAILED, True),
        ("attempted", UNKNOWN, True),
        ("attempted", NOT_STARTED, False),
    ],
)
def test_what_a_failing_step_may_have_done_decides_whether_it_is_undone(on: str, how: Attempt, undone: bool) -> None:
    """R3, R5: a refusal left nothing behind, a lost answer may have."""
    step = act(
        "b",
        timeouts={"start_to_close": "5s", "schedule_to_start": "7s"},
        compensation={
            "activity": "undo.b",
            "on": on,
            "input": {"was": "{{ step.output }}", "is": "{{ step.outcome }}"},
        },
    )

    ran = play(saga(act("a"), step), {"b": how})

    assert ("b.compensation" in ran.calls) is undone
    assert ran.status == "compensated"
    if undone:
        assert ran.sent("b.compensation") == {"was": None, "is": "unknown" if how is UNKNOWN else "failed"}


@pytest.mark.parametrize(
    ("attempts", "undone"),
    [
        ([flaky(), no()], False),
        ([lost(), no()], True),
        ([flaky(clean=False), no()], True),
        ([flaky(), lost()], True),
        ([lost(), lost()], True),
    ],
)
def test_one_attempt_that_nobody_heard_of_makes_the_outcome_unknown(attempts: list[Attempt], undone: bool) -> None:
    """R5, R8: every earlier attempt has to have ended in a reported error."""
    ran = play(saga(act("a", retry={"maximum_attempts": 2})), {"a": attempts})

    assert ("a.compensation" in ran.calls) is undone
    assert ran.attempts("a") == 2


@pytest.mark.parametrize(
    ("first", "timeouts", "undone"),
    [
        (Attempt(starts=False), {"schedule_to_close": "3s"}, False),
        (lost(), {"schedule_to_close": "3s"}, True),
        (lost(), {"start_to_close": "1h", "heartbeat": "1s", "schedule_to_close": "3s"}, True),
        (flaky(), {"start_to_close": "1h", "schedule_to_close": "3s"}, False),
    ],
)
def test_a_total_timeout_is_unknown_only_if_an_attempt_may_have_done_something(
    first: Attempt, timeouts: dict[str, Any], undone: bool
) -> None:
    """R5: nobody took it up, or somebody did and was never heard of, or it waited between two attempts."""
    step = act("a", timeouts=timeouts, retry={"maximum_attempts": 9, "initial_interval": "2s"})

    ran = play(saga(step), {"a": first})

    assert ("a.compensation" in ran.calls) is undone
    assert ran.status == "compensated"


def test_compensation_none_says_that_there_is_nothing_to_undo() -> None:
    """R6: and a step that says nothing is passed over in silence too."""
    ran = play(saga(act("a"), plain("b"), act("c", compensation=...), act("d")), {"d": no()})

    assert ran.calls == ["a", "b", "c", "d", "a.compensation"]
    assert ran.report["not_attempted"] == []


def test_every_round_of_a_loop_is_undone_with_its_own_data() -> None:
    """R7: one record a round; R11: newest first."""
    step = act("take", input="{{ line }}", compensation={"activity": "undo.take", "input": "{{ [line, item_index] }}"})
    loop = {"id": "lines", "for_each": {"items": "input.lines", "as": "line"}, "steps": [step]}

    ran = play(saga(loop, act("pay")), {"pay": no()}, input_={"lines": ["x", "y", "z"]})

    undos = [f"lines[{index}]/take.compensation" for index in (2, 1, 0)]
    assert ran.calls[4:] == undos
    assert [ran.sent(undo) for undo in undos] == [["z", 2], ["y", 1], ["x", 0]]


def test_an_undo_that_says_nothing_gets_its_own_rounds_input() -> None:
    """R7, R15: left out, the input of a compensation is its step's."""
    step = act("take", input={"line": "{{ item }}"}, compensation={"activity": "undo.take"})
    loop = {"id": "lines", "for_each": {"items": "[1, 2]"}, "steps": [step]}

    ran = play(saga(loop, act("pay")), {"pay": no()})

    assert ran.sent("lines[1]/take.compensation") == {"line": 2}
    assert ran.sent("lines[0]/take.compensation") == {"line": 1}


def test_a_step_retried_by_its_policy_is_undone_once() -> None:
    """R8."""
    ran = play(saga(act("a", retry={"maximum_attempts": 3}), act("b")), {"a": [flaky(), flaky(), Attempt()], "b": no()})

    assert (ran.attempts("a"), ran.calls.count("a.compensation")) == (3, 1)


def test_a_failure_a_cancel_and_a_timeout_make_one_pass_and_the_first_is_the_failure() -> None:
    """R9, R23: the sibling takes long to settle, and meanwhile somebody cancels, and the time is up."""
    block = {"id": "both", "parallel": [act("bad"), act("long")]}

    ran = play(saga(act("a"), block, timeout="3s"), {"bad": no(), "long": slow(5)}, cancel_at=2)

    assert (ran.status, ran.why) == ("compensated", ("Refused", "both/bad"))
    assert ran.others == ["cancelled", "SagaTimeout"]
    assert ran.calls == ["a", "both/bad", "both/long", "both/long.compensation", "a.compensation"]


def test_a_failure_that_a_handler_may_take_is_not_yet_the_sagas() -> None:
    """R9: the block would have gone on, so it is the cancel that makes the saga stop; no handler runs."""
    block = {"id": "both", "parallel": [act("bad"), act("long")], "on_error": "continue"}

    ran = play(saga(act("a"), block, act("next")), {"bad": no(), "long": slow(5)}, cancel_at=2)

    assert (ran.status, ran.why) == ("cancelled", ("cancelled", ""))
    assert ran.others == ["Refused"]
    assert "next" not in ran.calls


@pytest.mark.parametrize(("policy", "status"), [("cancel", "compensated"), ("wait", "cancelled")])
def test_a_failure_of_a_block_that_may_end_early_is_the_sagas_unless_the_rest_may_be_enough(
    policy: str, status: str
) -> None:
    """R9, R38: a cancel comes between the failure and the end of what runs beside it."""
    block = {"id": "both", "parallel": [act("bad"), act("long")], "complete_when": "completed == 1"}

    ran = play(saga(block | {"on_branch_failure": policy}), {"bad": no(), "long": slow(5)}, cancel_at=2)

    assert ran.status == status
    assert {ran.why[0], *ran.others} == {"Refused", "cancelled"}


def test_a_result_that_means_no_fails_the_step_and_leaves_nothing_to_undo() -> None:
    """The call went well, the business did not; retries do not apply."""
    rules = [
        {"if": "output.status == 'UNSURE'", "type": "Unsure"},
        {"if": "output.status == 'DECLINED'", "type": "Declined", "message": "card: {{ output.why }}"},
    ]
    step = act("pay", retry={"maximum_attempts": 5}, failed_if=rules)

    ran = play(saga(act("a"), step), {"pay": gives({"status": "DECLINED", "why": "limit"})})

    assert ran.calls == ["a", "pay", "a.compensation"]
    assert (ran.why, ran.failure and ran.failure.message) == (("Declined", "pay"), "card: limit")
    assert ran.attempts("pay") == 1
    assert ran.record("pay").outcome.value == "failed"


def test_a_failed_if_that_cannot_be_computed_fails_the_step_and_what_it_did_is_undone() -> None:
    """R56: the call did happen."""
    ran = play(saga(act("pay", failed_if={"if": "output.nowhere > 1"})), {"pay": gives({})})

    assert ran.why == ("ExpressionError", "pay")
    assert ran.calls == ["pay", "pay.compensation"]


@pytest.mark.parametrize("then", ["stop", "compensate"])
def test_an_error_may_be_declared_not_to_compensate(then: str) -> None:
    """It ends failed, says that nothing was undone, and why; only what could have been undone is listed."""
    step = act("call", on_error=[{"types": ["CircuitOpen"], "then": then}])

    ran = play(saga(act("a"), step), {"call": no("CircuitOpen")})

    if then == "compensate":
        assert (ran.status, ran.report["undone"]) == ("compensated", ["a"])
        return
    assert (ran.status, ran.calls) == ("failed", ["a", "call"])
    assert ran.report["not_attempted"] == ["a"]
    assert ran.report["why_not"] == "an error handler said `then: stop`"


def test_stop_in_one_branch_lets_the_others_settle_and_undoes_nothing() -> None:
    """R12."""
    bad = act("bad", on_error=[{"then": "stop"}])
    block = {"id": "both", "parallel": [bad, act("long")], "on_branch_failure": "wait"}

    ran = play(saga(act("a"), block, act("b")), {"bad": no(), "long": slow(5)})

    assert (ran.status, ran.calls) == ("failed", ["a", "both/bad", "both/long"])
    assert ran.took() == 5.1
    assert ran.report["not_attempted"] == ["both/long", "a"]


def test_fail_undoes_what_was_done_and_fails_with_its_type() -> None:
    """A decision, not an exception."""
    check = {
        "id": "fraud",
        "if": "steps.a.output > 3",
        "fail": {"type": "Fraud", "message": "score {{ steps.a.output }}"},
    }

    ran = play(saga(act("a"), check, act("b")), {"a": gives(5)})

    assert ran.calls == ["a", "a.compensation"]
    assert (ran.why, ran.failure and ran.failure.message) == (("Fraud", "fraud"), "score 5")


def test_the_five_ways_to_end_have_five_words() -> None:
    """And an open saga has others."""
    steps = saga(act("a"), act("b"), compensation={"on_failure": "continue"})

    ended = {
        "completed": play(steps),
        "compensated": play(steps, {"b": no()}),
        "failed": play(steps, {"b": no(), "a.compensation": no()}),
        "cancelled": play(steps, {"b": slow(9)}, cancel_at=1),
        "compensating": play(steps, {"b": no(), "a.compensation": slow(9)}, until=3),
        "running": play(steps, {"b": slow(9)}, until=3),
    }

    assert {word: ran.status for word, ran in ended.items()} == {word: word for word in ended}
    for word, ran in ended.items():
        assert ran.report["status"] == word


def test_an_ignored_failure_comes_after_the_retries_and_undoes_nothing() -> None:
    """R14 of the cases: three attempts first; the step stays visible as failed."""
    step = act("b", retry={"maximum_attempts": 3}, on_error="continue")

    ran = play(saga(act("a"), step, plain("c")), {"b": flaky()})

    assert (ran.status, ran.calls, ran.attempts("b")) == ("completed", ["a", "b", "c"], 3)
    assert ran.now["steps"][1]["status"] == "failed"
    assert ran.now["steps"][1]["error"]["type"] == "Unreachable"


def test_what_an_ignored_failure_may_have_done_is_undone_when_the_saga_fails_later() -> None:
    """R3: ignored does not mean that it left nothing behind."""
    ran = play(saga(act("b", on_error="continue"), act("c")), {"b": lost(), "c": no()})

    assert ran.calls == ["b", "c", "b.compensation"]


def test_stop_passes_every_handler_around_it_and_begins_nothing_more() -> None:
    """It was said to end the saga, not the block."""
    bad = act("bad", on_error=[{"then": "stop"}])
    branch = {"id": "branch", "steps": [act("one"), act("two")]}
    block = {"id": "both", "parallel": [bad, branch], "on_branch_failure": "wait", "on_error": "continue"}

    ran = play(saga(act("a"), {"id": "outer", "steps": [block], "on_error": "continue"}, act("b")), {"bad": no()})

    assert (ran.status, ran.why) == ("failed", ("Refused", "outer/both/bad"))
    assert ran.calls == ["a", "outer/both/bad", "outer/both/branch/one"]


def test_the_record_of_a_compensation_exists_before_its_step_is_scheduled() -> None:
    """R4, R15: a crash right after the command loses nothing, and what the undo needs is computed."""
    undo = {"activity": "undo.a", "input": {"who": "{{ input }}", "got": "{{ step.output }}"}}
    model, state = built(saga(act("a", compensation=undo))), State()

    (command,) = decide(model, state, Began(0.0, "s", "r", "ann"))

    assert isinstance(command, StartActivity)
    kept = restore(json.loads(json.dumps(snapshot(state))))
    assert list(kept.undoable) == ["a"]
    record = kept.records["a"]
    assert record.undo is not None
    assert (record.undo.early, record.outcome) == ([{"who": "ann"}], Outcome.UNKNOWN)
