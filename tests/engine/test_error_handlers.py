"""What ``on_error`` and ``failed_if`` lead to: on steps of every kind, in every block, with every ``then``."""

from __future__ import annotations

from functools import partialmethod
from typing import Any

import pytest

from sagadsl.engine.facts import Verb
from sagadsl.engine.journal import State
from tests.engine.scenes import Script, act, flaky, gives, lost, no, operator, plain, play, saga, slow


def _handled(step: dict[str, Any], **handler: Any) -> dict[str, Any]:
    return {**step, "on_error": [handler]}


@pytest.mark.parametrize(
    ("step", "script", "type_"),
    [
        (plain("b"), {"b": no("Broke")}, "Broke"),
        (plain("b", timeouts={"start_to_close": "2s"}), {"b": lost()}, "timeout"),
        (plain("b", failed_if={"if": "output == 'no'", "type": "Declined"}), {"b": gives("no")}, "Declined"),
        (plain("b", input="{{ nowhere }}"), {}, "ExpressionError"),
        ({"id": "b", "saga": "child"}, {"do.x": no("Broke")}, "Broke"),
        ({"id": "b", "saga": "missing"}, {}, "DefinitionNotFound"),
        ({"id": "b", "set": {"x": "{{ nowhere }}"}}, {}, "ExpressionError"),
        ({"id": "b", "fail": {"type": "Fraud", "message": "no"}}, {}, "Fraud"),
        ({"id": "b", "sleep": "{{ 'soon' }}"}, {}, "ExpressionError"),
        ({"id": "b", "wait_for": {"signal": "go", "timeout": "3s"}}, {}, "SignalTimeout"),
        ({"id": "b", "switch": [{"if": "false", "steps": [plain("x")]}]}, {}, "NoMatchingCase"),
        ({"id": "b", "steps": [plain("x")]}, {"x": no("Broke")}, "Broke"),
        ({"id": "b", "parallel": [plain("x"), plain("y")]}, {"y": no("Broke")}, "Broke"),
        ({"id": "b", "for_each": {"items": "[1, 2]"}, "steps": [plain("x")]}, {"x": no("Broke")}, "Broke"),
        ({"id": "b", "for_each": {"items": "7"}, "steps": [plain("x")]}, {}, "ExpressionError"),
        (
            {"id": "b", "repeat": {"until": "false", "maximum_attempts": 2}, "steps": [plain("x")]},
            {},
            "RepeatExhausted",
        ),
        ({"id": "b", "if": "nowhere", "activity": "do.b"}, {}, "ExpressionError"),
    ],
)
def test_a_step_of_any_kind_is_handled_by_the_type_of_its_error(step: Any, script: Script, type_: str) -> None:
    """R14: the handler's output stands for the step's; what was done before stays done."""
    steps = (
        act("a"),
        _handled(step, types=["Nothing", type_], output="{{ error.type }}"),
        plain("c", input="{{ steps.b }}"),
    )

    ran = play(saga(*steps), script, sagas=[saga(act("x"), name="child")])

    assert (ran.status, ran.undo("a"), ran.failure, ran.others) == ("completed", "registered", None, [])
    assert ran.sent("c")["status"] == "failed"
    assert ran.sent("c")["output"] == type_
    assert ran.sent("c")["error"]["type"] == type_


def test_an_error_that_no_handler_takes_fails_the_saga() -> None:
    """R14: types are compared as they were recorded, with their case."""
    handlers = [{"types": ["broke"]}, {"types": ["Brok"]}, {"types": ["Broke"], "if": "error.message == ''"}]

    ran = play(saga(act("a"), act("b", on_error=handlers)), {"b": no("Broke")})

    assert (ran.status, ran.why, ran.others) == ("compensated", ("Broke", "b"), [])


def test_an_error_is_handled_only_after_the_retries_are_used_up() -> None:
    """R14 of the cases."""
    step = act("b", retry={"maximum_attempts": 3}, on_error=[{"steps": [plain("fix")]}])

    ran = play(saga(step), {"b": [flaky(), flaky(), flaky()]})
    mended = play(saga(step), {"b": [flaky(), flaky(), gives(1)]})

    assert (ran.calls, ran.attempts("b")) == (["b", "b.on_error/fix"], 3)
    assert (mended.calls, mended.output) == (["b"], {"b": 1})


@pytest.mark.parametrize(
    ("types", "rules", "status"),
    [
        (["acme.Shop$Declined"], 3, "completed"),
        (["Declined"], 3, "completed"),
        (["Shop$Declined", "declined", "other.Shop$Declined"], 3, "compensated"),
        (["Declined"], 2, "compensated"),
        (["acme.Shop$Declined"], 2, "completed"),
    ],
)
def test_a_class_is_named_whole_or_by_its_own_name(
    types: list[str], rules: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Java reports a nested class as ``acme.Shop$Declined``; runs of earlier rules compare the whole."""
    monkeypatch.setattr(State, "__init__", partialmethod(State.__init__, rules=rules))
    handled = _handled(plain("b"), types=types, then="continue")
    block = {"id": "block", "steps": [plain("c")], "on_error": [{"types": types}]}

    assert play(saga(act("a"), handled), {"b": no("acme.Shop$Declined")}).status == status
    assert play(saga(act("a"), block), {"c": no("acme.Shop$Declined")}).status == status


def test_a_handler_without_output_gives_null() -> None:
    """Null, and not missing, since the author said to go on."""
    ran = play(saga(plain("b", on_error="continue"), plain("c", input="{{ [steps.b.output] }}")), {"b": no()})

    assert ran.sent("c") == [None]


def test_a_handlers_steps_run_in_order_and_are_undone_like_others() -> None:
    """R10, R14: newest first, before what came before the step."""
    step = act("b", on_error=[{"steps": [act("fix"), act("tell")]}])

    ran = play(saga(act("a"), step, act("c")), {"b": no(), "c": no("Last")})

    assert ran.calls == [
        *("a", "b", "b.on_error/fix", "b.on_error/tell", "c"),
        *("b.on_error/tell.compensation", "b.on_error/fix.compensation", "a.compensation"),
    ]
    assert ran.why == ("Last", "c")
    assert ran.sent("b.on_error/fix.compensation") == {"key": "saga-1/b.on_error/fix/do"}


def test_a_handler_may_run_steps_and_then_compensate() -> None:
    """R14, R23: with the error that it was for; what it did is undone too."""
    step = act("b", on_error=[{"steps": [act("fix")], "then": "compensate"}])

    ran = play(saga(act("a"), step, act("c")), {"b": no("Broke")})

    assert (ran.status, ran.why) == ("compensated", ("Broke", "b"))
    assert ran.calls == ["a", "b", "b.on_error/fix", "b.on_error/fix.compensation", "a.compensation"]


def test_a_handler_may_run_steps_and_then_stop() -> None:
    """Nothing is undone, and the report lists what could have been."""
    step = act("b", on_error=[{"steps": [act("fix")], "then": "stop"}])

    ran = play(saga(act("a"), step, act("c"), on_failure=[plain("alarm")]), {"b": no("Broke")})

    assert (ran.status, ran.why) == ("failed", ("Broke", "b"))
    assert ran.calls == ["a", "b", "b.on_error/fix", "on_failure/alarm"]
    assert ran.report["not_attempted"] == ["b.on_error/fix", "a"]


def test_a_step_of_a_handler_may_have_a_handler() -> None:
    """R14: each sees its own error."""
    inner = plain("fix", input="{{ error.type }}", on_error=[{"steps": [plain("mend", input="{{ error.type }}")]}])
    step = plain("b", on_error=[{"steps": [inner, plain("tell", input="{{ error.type }}")]}])

    ran = play(saga(step), {"b": no("Outer"), "fix": no("Inner")})

    assert ran.status == "completed"
    assert ran.calls == ["b", "b.on_error/fix", "b.on_error/fix.on_error/mend", "b.on_error/tell"]
    assert [ran.sent(call) for call in ran.calls[1:]] == ["Outer", "Inner", "Outer"]


@pytest.mark.parametrize("then", ["continue", "compensate"])
def test_a_handler_that_fails_lets_the_steps_own_error_go_on(then: str) -> None:
    """R23: to the handler of the block around it, which is asked for that error and not for the other."""
    step = plain("b", on_error=[{"steps": [plain("fix")], "then": then}])
    block = {"id": "block", "steps": [step], "on_error": [{"types": ["First"], "output": "{{ error.step }}"}]}

    ran = play(saga(block), {"b": no("First"), "fix": no("Second")})

    assert (ran.status, ran.output, ran.others) == ("completed", {"block": "block/b"}, ["Second"])


def test_the_blocks_around_are_asked_from_the_inside_out() -> None:
    """The first that takes it has it; `then: compensate` of an inner one does not hide it from an outer one."""
    inner = {"id": "inner", "steps": [plain("b")], "on_error": [{"types": ["Broke"], "then": "compensate"}]}
    middle = {"id": "middle", "steps": [inner, plain("not")], "on_error": [{"types": ["Other"]}]}
    outer = {"id": "outer", "steps": [middle, plain("nor")], "on_error": [{"output": "{{ error.step }}"}]}
    most = {"id": "most", "steps": [outer], "on_error": [{"output": "too late"}]}

    ran = play(saga(most, plain("c")), {"b": no("Broke")})

    assert (ran.status, ran.calls) == ("completed", ["most/outer/middle/inner/b", "c"])
    assert ran.output["most"] == {"outer": "most/outer/middle/inner/b"}


def test_a_handled_block_lets_its_parts_settle_first() -> None:
    """R12, R38: the handler's steps begin when nothing of the block runs any more."""
    block = {"id": "both", "parallel": [act("bad"), act("long")], "on_error": [{"steps": [plain("fix")]}]}

    ran = play(saga(block), {"bad": no(takes=1), "long": slow(5)})

    assert (ran.at("cancel", "both/long"), ran.at("start", "both.on_error/fix")) == (1.0, 5.0)
    assert ran.undo("both/long") == "registered"


def test_what_a_handled_block_did_is_undone_at_its_place_when_the_saga_fails_later() -> None:
    """R1, R10: the handler's steps first, since they came after it."""
    block = {"id": "block", "steps": [act("one"), act("two")], "on_error": [{"steps": [act("fix")]}]}

    ran = play(saga(act("a"), block, act("c")), {"two": no(), "c": no()})

    assert ran.calls[-3:] == ["block.on_error/fix.compensation", "block/one.compensation", "a.compensation"]


def test_a_handler_in_a_round_sees_its_round() -> None:
    """R7: the item, the error, its own keys; each is undone with its own data."""
    undo = {"activity": "undo.fix", "input": {"item": "{{ item }}", "key": "{{ step.idempotency_key }}"}}
    fix = act("fix", input=["{{ item }}", "{{ error.type }}"], compensation=undo)
    each = plain("take", input="{{ item }}", on_error=[{"steps": [fix], "output": "{{ item * 10 }}"}])
    loop = {"id": "lines", "for_each": {"items": "[1, 2]", "max_concurrency": 2}, "steps": [each]}

    ran = play(saga(loop, act("pay", input="{{ steps.lines.output }}")), {"take": no("Gone"), "pay": no()})

    assert ran.sent("pay") == [{"take": 10}, {"take": 20}]
    assert [ran.sent(f"lines[{index}]/take.on_error/fix") for index in (0, 1)] == [[1, "Gone"], [2, "Gone"]]
    assert ran.sent("lines[1]/take.on_error/fix.compensation") == {
        "item": 2,
        "key": "saga-1/lines[1]/take.on_error/fix/do",
    }


def test_a_round_that_is_handled_does_not_end_its_loop() -> None:
    """R38: only what nobody handles is a failure of the branch."""
    each = plain("take", on_error=[{"types": ["Gone"], "output": "none"}])
    loop = {"id": "lines", "for_each": {"items": "[1, 2, 3]"}, "steps": [each]}

    ran = play(saga(loop), {"lines[1]/take": no("Gone"), "do.take": gives("some")})
    other = play(saga(loop), {"lines[1]/take": no("Burnt"), "do.take": gives("some")})

    assert ran.output == {"lines": [{"take": "some"}, {"take": "none"}, {"take": "some"}]}
    assert (other.status, other.why) == ("compensated", ("Burnt", "lines[1]/take"))


def test_a_poll_goes_on_over_errors_that_are_handled() -> None:
    """W7: `until` sees the handler's output."""
    ask = plain("ask", on_error=[{"types": ["Busy"], "output": {"ready": False}}])
    poll = {"id": "poll", "repeat": {"until": "steps.ask.output.ready", "every": "5s"}, "steps": [ask]}

    ran = play(saga(poll), {"poll[0]/ask": no("Busy"), "do.ask": gives({"ready": True})})

    assert (ran.calls, ran.output) == (["poll[0]/ask", "poll[1]/ask"], {"poll": {"ask": {"ready": True}}})


@pytest.mark.parametrize("policy", ["cancel", "wait"])
def test_a_branch_whose_error_is_handled_counts_as_ended_well(policy: str) -> None:
    """R38, R40: nothing is cancelled because of it, and a quorum counts it with the handler's output."""
    branches = [act("x", on_error=[{"output": "instead"}]), act("y"), act("z")]
    block = {"id": "all", "parallel": branches, "on_branch_failure": policy, "complete_when": "completed == 2"}

    ran = play(saga(block), {"x": no(), "y": gives(2, takes=1), "z": slow(9)})

    assert ran.output == {"all": {"x": "instead", "y": 2}}
    assert ran.calls[-1] == "all/z.compensation"


def test_a_branch_that_is_being_handled_still_runs() -> None:
    """R12, R40: when the block has enough it is asked to stop like any other, and what the handler did is undone."""
    branch = act("x", on_error=[{"steps": [act("fix"), act("more")]}])
    block = {"id": "all", "parallel": [branch, act("y")], "complete_when": "completed == 1"}

    ran = play(saga(block, plain("c")), {"x": no(), "fix": slow(5), "y": slow(2)}, drained=False)

    assert (ran.status, ran.record("all/x").progress.value) == ("completed", "cancelled")
    assert ran.calls == ["all/x", "all/y", "all/x.on_error/fix", "all/x.on_error/fix.compensation", "c"]


def test_the_sagas_timeout_stops_a_handler() -> None:
    """R32, R9: the error that it was for is recorded beside it."""
    step = act("b", on_error=[{"steps": [act("fix"), act("never")]}])

    ran = play(saga(act("a"), step, timeout="3s"), {"b": no("First"), "fix": slow(9)})

    assert (ran.status, ran.why, ran.others) == ("compensated", ("SagaTimeout", ""), ["First"])
    assert ran.calls == ["a", "b", "b.on_error/fix", "b.on_error/fix.compensation", "a.compensation"]


def test_a_cancel_runs_no_handler() -> None:
    """It is not an error of the step, and a handler for everything does not swallow it."""
    step = act("b", timeouts={"start_to_close": "1h", "heartbeat": "9s"}, on_error=[{"steps": [act("fix")]}])
    block = {"id": "block", "steps": [step], "on_error": "continue"}

    ran = play(saga(act("a"), block, act("c")), {"b": slow(99)}, cancel_at=2)

    assert (ran.status, ran.why) == ("cancelled", ("cancelled", ""))
    assert ran.calls == ["a", "block/b", "block/b.compensation", "a.compensation"]


def test_what_the_step_itself_may_have_done_is_undone_after_its_handlers_steps() -> None:
    """R3, R10: nobody knows how it ended, so it stays to be undone, after what came after it."""
    step = act("b", timeouts={"start_to_close": "2s"}, on_error=[{"steps": [act("fix")]}])

    ran = play(saga(step, act("c")), {"b": lost(), "c": no()})

    assert ran.calls[-2:] == ["b.on_error/fix.compensation", "b.compensation"]


def test_errors_of_failure_handlers_are_handled_too_and_never_hide_the_first() -> None:
    """R23: in `on_failure` as anywhere, and `then: stop` there stops nothing that was undone."""
    alarm = plain("alarm", on_error=[{"types": ["Busy"], "steps": [plain("mail", input="{{ error.type }}")]}])
    last = plain("last", on_error=[{"then": "stop"}])

    ran = play(
        saga(act("a"), act("b"), on_failure=[alarm, last, plain("never")]),
        {"b": no("Broke"), "alarm": no("Busy"), "last": no("Late")},
    )

    assert (ran.status, ran.why, ran.others) == ("compensated", ("Broke", "b"), ["Late"])
    assert ran.calls[-3:] == ["on_failure/alarm", "on_failure/alarm.on_error/mail", "on_failure/last"]
    assert ran.sent("on_failure/alarm.on_error/mail") == "Busy"


def test_the_first_refusal_that_holds_names_the_error() -> None:
    """And rules after it are not asked."""
    rules = [
        {"if": "output < 0", "type": "Negative"},
        {"if": "output < 10", "type": "Small", "message": "only {{ output }}"},
        {"if": "output.nowhere", "type": "Never"},
    ]

    ran = play(saga(plain("b", failed_if=rules, on_error=[{"output": "{{ error.message }}"}])), {"b": gives(3)})
    unnamed = play(saga(plain("b", failed_if=rules[0])), {"b": gives(-1)})

    assert ran.output == {"b": "only 3"}
    assert unnamed.failure is not None
    assert unnamed.failure.message == "the result of `b` means no"


def test_a_refusal_leaves_nothing_to_undo_unless_the_step_says_so() -> None:
    """R3: `on: attempted` undoes it all the same."""
    undo = {"activity": "undo.b", "input": "{{ step.outcome }}", "on": "attempted"}
    step = act("b", failed_if={"if": "true", "type": "No"}, compensation=undo)

    ran = play(saga(step), {"b": gives(1)})

    assert ran.calls == ["b", "b.compensation"]
    assert ran.sent("b.compensation") == "failed"


def test_the_output_of_a_refused_step_is_not_there() -> None:
    """It failed; the handler's output is the one that counts."""
    step = plain("b", failed_if={"if": "true", "type": "No"}, on_error="continue")

    ran = play(saga(step, plain("c", input="{{ [steps.b.output, steps.b.status] }}")), {"b": gives(1)})

    assert ran.sent("c") == [None, "failed"]


def test_a_step_that_an_operator_repeats_is_handled_again() -> None:
    """R22, R44: under new calls and the same keys."""
    step = act("b", on_error=[{"types": ["Broke"], "steps": [act("fix")], "then": "compensate"}])

    ran = play(
        saga(plain("p", pivot=True), step),
        {"b": no("Broke"), "b#2": no("Broke")},
        operator(9, Verb.RETRY_STEP),
        until=20,
    )

    assert ran.calls == ["p", "b", "b.on_error/fix", "b#2", "b.on_error/fix#2"]
    assert ran.status == "paused"
    assert list(ran.state.attention) == ["b"]
