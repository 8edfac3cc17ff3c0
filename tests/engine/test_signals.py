"""Signals and those who wait for them."""

from __future__ import annotations

from typing import Any

from tests.engine.scenes import act, plain, play, saga, signal, slow


def _ask(id_: str = "ask", **more: Any) -> dict[str, Any]:
    return {"id": id_, "wait_for": {"signal": "go", **more}}


def test_the_payload_is_the_output() -> None:
    """W13."""
    ran = play(saga(_ask(), plain("note", input="{{ steps.ask.output.by }}")), None, signal(5, "go", {"by": "ann"}))

    assert (ran.status, ran.sent("note"), ran.at("start", "note")) == ("completed", "ann", 5)


def test_a_signal_before_its_wait_is_kept() -> None:
    """R59, X10."""
    ran = play(saga(act("a"), _ask()), {"a": slow(9)}, signal(1, "go", 1))

    assert (ran.status, ran.output, ran.took()) == ("completed", {"a": None, "ask": 1}, 9)


def test_a_second_signal_waits_for_the_next_wait_and_does_no_harm_without_one() -> None:
    """R59, X10: one signal, one wait; in the order in which they came."""
    signals = signal(1, "go", 1), signal(1, "go", 2), signal(1, "go", 3)

    ran = play(saga(act("a"), _ask("one"), _ask("two")), {"a": slow(9)}, *signals)

    assert (ran.output["one"], ran.output["two"], ran.status) == (1, 2, "completed")


def test_those_who_wait_at_the_same_time_are_served_in_the_order_of_their_asking() -> None:
    """X10: the position in a branch does not matter."""
    branches = [{"id": "late", "steps": [act("a"), _ask("second")]}, _ask("first")]

    ran = play(saga({"id": "both", "parallel": branches}), None, signal(5, "go", 1), signal(6, "go", 2))

    assert ran.now["waiting_for"] == {}
    assert ran.output["both"] == {"late": {"a": None, "second": 2}, "first": 1}


def test_the_status_says_who_waits_for_what() -> None:
    """R60."""
    ran = play(saga({"id": "both", "parallel": [_ask("x"), _ask("y")]}))

    assert ran.status == "running"
    assert ran.now["waiting_for"] == {"go": ["both/x", "both/y"]}


def test_a_wait_that_is_over_fails_and_undoes() -> None:
    """X10, W12."""
    ran = play(saga(act("a"), _ask(timeout="30s")))

    assert (ran.status, ran.why, ran.took()) == ("compensated", ("SignalTimeout", "ask"), 30.2)


def test_a_wait_that_is_over_goes_the_declared_way() -> None:
    """X10: the handler's output stands for the payload; a signal that comes later is kept, and does no harm."""
    ask = _ask(timeout="30s") | {"on_error": [{"types": ["SignalTimeout"], "output": {"by": "nobody"}}]}

    ran = play(saga(ask, {"id": "nap", "sleep": "1m"}), None, signal(40, "go", {"by": "ann"}))

    assert (ran.status, ran.output["ask"]) == ("completed", {"by": "nobody"})


def test_a_timeout_of_a_wait_may_be_computed() -> None:
    """R13 of the cases: and a bad one does not leave anybody waiting."""
    ask = _ask(timeout="{{ input }}")

    assert play(saga(ask), input_="5s").why == ("SignalTimeout", "ask")
    wrong = play(saga(ask), input_="soon")
    assert (wrong.why, wrong.now["waiting_for"]) == (("ExpressionError", "ask"), {})


def test_other_signals_do_not_answer() -> None:
    """R59."""
    ran = play(saga(_ask(timeout="30s")), None, signal(1, "stop", 1))

    assert ran.why == ("SignalTimeout", "ask")


def test_a_signal_during_the_compensations_and_after_the_end_changes_nothing() -> None:
    """R59."""
    ran = play(
        saga(act("a"), _ask(timeout="1s"), act("b")), {"a.compensation": slow(5)}, signal(3, "go"), signal(50, "go")
    )

    assert (ran.status, ran.calls) == ("compensated", ["a", "a.compensation"])


def test_a_signal_and_its_timeout_in_the_same_instant_give_one_end() -> None:
    """R39: whichever comes first."""
    ran = play(saga(_ask(timeout="5s"), act("a")), None, signal(5, "go", 1))

    assert ran.calls.count("a") + (ran.status == "compensated") == 1
