"""Signals that a saga sends to another workflow. R105, R106, R107."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    Command,
    Error,
    Given,
    OperatorAsked,
    Outcome,
    SendSignal,
    Settled,
    TimerFired,
    Verb,
)
from sagadsl.engine.journal import State
from sagadsl.engine.projection import status
from sagadsl.language.own_errors import SIGNAL_NOT_DELIVERED
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, built, no, operator, plain, play, saga, slow

NOBODY = no(SIGNAL_NOT_DELIVERED)


def _tell(to: str = "order-7", **more: Any) -> dict[str, Any]:
    return {"id": "tell", "send": {"signal": "paid", "to": to, "payload": {"by": "{{ saga.id }}"}}, **more}


def _begun(*steps: Any, input_: Any = None, saga_id: str = "pay-1") -> tuple[Any, State, list[Command]]:
    model, state = built(saga(*steps)), State()
    return model, state, decide(model, state, Began(0.0, saga_id, "run-1", input_))


def test_the_key_of_the_call_is_the_id_of_the_request() -> None:
    """R106."""
    _, _, commands = _begun(_tell())

    assert commands == [SendSignal("tell", "order-7", "paid", ({"by": "pay-1"},), "pay-1/tell/do")]


def test_a_key_that_is_too_long_for_a_request_is_cut_and_still_its_own() -> None:
    """R106: whoever receives it reads ids of at most 200 characters."""
    requests = []
    for end in "ab":
        _, _, (command,) = _begun(_tell(), saga_id="p" * 240 + end)
        assert isinstance(command, SendSignal)
        requests.append(command.request)

    assert [len(each) for each in requests] == [200, 200]
    assert requests[0] != requests[1]


def test_a_workflow_that_is_no_saga_gets_the_payload_alone() -> None:
    bare = {"id": "tell", "send": {"signal": "paid", "to": "ledger", "plain": True}}

    assert _begun(bare)[2] == [SendSignal("tell", "ledger", "paid")]


@pytest.mark.parametrize(
    ("to", "type_", "message"),
    [
        ("{{ input.n }}", "ExpressionError", "`to` must be a text, found `7`"),
        ("{{ input.empty }}", "ExpressionError", "`to` must be a text, found `''`"),
        ("{{ input.long }}", "ExpressionError", "`to` has at most 255 characters, found 256"),
        ("{{ saga.id }}", SIGNAL_NOT_DELIVERED, "signal `paid` cannot be sent: a saga sends itself no signal"),
    ],
    ids=["a number", "nothing", "too long", "itself"],
)
def test_where_a_signal_cannot_go_nothing_is_sent(to: str, type_: str, message: str) -> None:
    """R105: what the server would refuse for ever never leaves the saga."""
    ran = play(saga(act("a"), _tell(to)), input_={"n": 7, "empty": "", "long": "x" * 256})

    assert ran.failure == Error(type_, message, "tell")
    assert (ran.status, ran.calls) == ("compensated", ["a", "a.compensation"])


def test_a_further_try_sends_the_same_to_the_same() -> None:
    """R106: what the receiver may have counted must not change behind its back."""
    handler = [{"types": [SIGNAL_NOT_DELIVERED], "then": "retry", "maximum_attempts": 2, "initial_interval": "1s"}]
    model, state, _ = _begun(_tell("{{ saga.now }}", on_error=handler))
    failed = Settled(5.0, "tell", Outcome.FAILED, error=Error(SIGNAL_NOT_DELIVERED, "nobody", "tell"))
    first = state.records["tell"].to

    decide(model, state, failed)
    (command,) = _fire(model, state)

    assert isinstance(command, SendSignal)
    assert (command.call_id, command.workflow_id, command.request) == ("tell#2", first, "pay-1/tell/do")


def _fire(model: Any, state: State) -> list[Command]:
    ((timer, due),) = state.timers.items()
    return decide(model, state, TimerFired(due, timer))


@pytest.mark.parametrize(("new_key", "request_"), [(False, "pay-1/tell/do"), (True, "pay-1/tell@2/do")])
def test_an_operator_sends_it_again_under_its_key_or_under_another_one(new_key: bool, request_: str) -> None:
    model, state, _ = _begun(_tell(on_error="pause"))
    decide(model, state, Settled(1.0, "tell", Outcome.FAILED, error=Error(SIGNAL_NOT_DELIVERED, "nobody", "tell")))

    given = Given(input=({"by": "ann"},), new_key=new_key)
    (command,) = decide(model, state, OperatorAsked(2.0, Verb.RETRY_STEP, "tell", given=given))

    assert isinstance(command, SendSignal)
    assert (command.arguments, command.request) == (({"by": "ann"},), request_)


def test_a_cancel_waits_for_the_end_of_a_signal_under_way_and_undoes_it() -> None:
    """R107."""
    undo = {"send": {"signal": "reversed", "to": "order-7", "payload": "{{ step.outcome }}"}}
    ran = play(saga(_tell(compensation=undo), plain("b")), {"tell": slow(9)}, cancel_at=2)

    assert (ran.status, ran.at("end", "tell"), ran.undo("tell")) == ("cancelled", 9, "done")
    assert ran.sent("tell.compensation") == "succeeded"
    assert ran.record("tell").outcome is Outcome.SUCCEEDED


def test_behind_the_pivot_nobody_there_is_for_a_person_to_decide() -> None:
    """R44."""
    script = {"tell": NOBODY, "tell#2": Attempt()}
    waiting = play(saga(plain("a", pivot=True), _tell()), script)
    decided = play(saga(plain("a", pivot=True), _tell()), script, operator(5, Verb.RETRY_STEP, "tell"))

    assert (waiting.status, list(waiting.state.attention)) == ("paused", ["tell"])
    assert (decided.status, decided.calls) == ("completed", ["a", "tell", "tell#2"])


def test_a_signal_may_be_the_pivot() -> None:
    delivered = play(saga(act("a"), _tell(pivot=True), plain("b")), {"b": [no(), Attempt()]})
    nobody = play(saga(act("a"), _tell(pivot=True), plain("b")), {"tell": NOBODY})

    assert (delivered.status, delivered.state.pivot_passed) == ("paused", True)
    assert (nobody.status, nobody.undo("a")) == ("compensated", "done")


def test_a_loop_undoes_what_it_has_sent_with_the_item_of_the_round() -> None:
    one = {
        "id": "tell",
        "send": {"signal": "paid", "to": "{{ item }}"},
        "compensation": {"send": {"signal": "reversed", "to": "{{ item }}", "payload": "{{ item }}"}},
    }
    each = {"id": "each", "for_each": {"items": ["x", "y"]}, "steps": [one]}
    ran = play(saga(each, plain("b")), {"b": no()})

    assert ran.status == "compensated"
    undone = [call for call in ran.calls if "compensation" in call]
    assert [ran.sent(call) for call in undone] == ["y", "x"]
    assert [ran.commands[call].summary for call in undone] == ["signal reversed to y", "signal reversed to x"]


def test_the_status_says_to_whom() -> None:
    ran = play(saga(_tell()))
    (step,) = status(ran.run.saga, ran.state)["steps"]

    assert {key: step[key] for key in ("kind", "signal", "to", "outcome")} == {
        "kind": "send",
        "signal": "paid",
        "to": "order-7",
        "outcome": "succeeded",
    }
