"""Signals and those who wait for them."""

from __future__ import annotations

from typing import Any

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    CancelRequested,
    Close,
    Error,
    Outcome,
    Settled,
    SignalReceived,
    StartActivity,
    TimerFired,
)
from sagadsl.engine.journal import State
from sagadsl.engine.projection import status
from sagadsl.engine.run import REQUESTS_KEPT
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.engine.waits import Fate, fate_of, is_doubtful
from tests.engine.scenes import act, built, plain, play, saga, signal, slow


def _ask(id_: str = "ask", **more: Any) -> dict[str, Any]:
    return {"id": id_, "wait_for": {"signal": "go", **more}}


def test_the_payload_is_the_output() -> None:
    ran = play(saga(_ask(), plain("note", input="{{ steps.ask.output.by }}")), None, signal(5, "go", {"by": "ann"}))

    assert (ran.status, ran.sent("note"), ran.at("start", "note")) == ("completed", "ann", 5)


def test_a_signal_before_its_wait_is_kept() -> None:
    """R59."""
    ran = play(saga(act("a"), _ask()), {"a": slow(9)}, signal(1, "go", 1))

    assert (ran.status, ran.output, ran.took()) == ("completed", {"a": None, "ask": 1}, 9)


def test_a_second_signal_waits_for_the_next_wait_and_does_no_harm_without_one() -> None:
    """R59: one signal, one wait; in the order in which they came."""
    signals = signal(1, "go", 1), signal(1, "go", 2), signal(1, "go", 3)

    ran = play(saga(act("a"), _ask("one"), _ask("two")), {"a": slow(9)}, *signals)

    assert (ran.output["one"], ran.output["two"], ran.status) == (1, 2, "completed")


def test_those_who_wait_at_the_same_time_are_served_in_the_order_of_their_asking() -> None:
    """The position in a branch does not matter."""
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
    ran = play(saga(act("a"), _ask(timeout="30s")))

    assert (ran.status, ran.why, ran.took()) == ("compensated", ("SignalTimeout", "ask"), 30.2)


def test_a_wait_that_is_over_goes_the_declared_way() -> None:
    """The handler's output stands for the payload; a signal that comes later is kept, and does no harm."""
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


def test_a_signal_that_is_heard_when_the_time_is_over_is_late() -> None:
    """R59, N9: after an outage it is told before the timer, and nobody can say which came first: no false approval."""
    definition = built(saga(_ask(timeout="30s"), act("a")))
    state = State()
    decide(definition, state, Began(0.0, "s", "r", None))
    heard = decide(definition, state, SignalReceived(30.0, "go", "yes"))
    over = decide(definition, state, TimerFired(30.0, "ask"))

    assert heard == []
    assert isinstance(over[-1], Close)
    assert state.failure == Error(
        "SignalTimeout",
        "signal `go` did not come in time; it came when the time was over, and is kept for a later wait",
        "ask",
    )
    assert status(definition, state)["kept_signals"] == {"go": 1}


def test_a_signal_that_came_in_time_counts_however_late_it_is_heard_of() -> None:
    """R59, N9: if the host knows when it came."""
    definition = built(saga(_ask(timeout="30s"), act("a")))
    state = State()
    decide(definition, state, Began(0.0, "s", "r", None))
    late = decide(definition, state, SignalReceived(99.0, "go", "no", came_at=30.0))
    in_time = decide(definition, state, SignalReceived(99.0, "go", "yes", came_at=29.9))

    assert (late, is_doubtful(state, "go", 99.0), is_doubtful(State(), "go", 99.0)) == ([], False, False)
    assert state.records["ask"].output == "yes"
    assert in_time != []


def test_a_late_signal_goes_to_a_wait_whose_time_is_not_over() -> None:
    """R59, N9."""
    branches = [_ask("short", timeout="30s"), _ask("long", timeout="1h")]
    definition = built(saga({"id": "both", "parallel": branches, "on_branch_failure": "wait"}))
    state = State()
    decide(definition, state, Began(0.0, "s", "r", None))
    decide(definition, state, SignalReceived(31.0, "go", "yes"))

    assert state.records["both/long"].output == "yes"
    assert state.waiting == {"go": ["both/short"]}


def test_runs_of_the_first_rules_take_a_signal_as_long_as_they_wait() -> None:
    """N9: what an older release has begun goes on as it began."""
    definition, state = built(saga(_ask(timeout="30s"))), State(rules=1)
    decide(definition, state, Began(0.0, "s", "r", None))
    decide(definition, state, SignalReceived(31.0, "go", "yes"))

    assert state.records["ask"].output == "yes"


def test_a_wait_may_count_from_now() -> None:
    """R59, B12: what came before it is kept for others."""
    steps = act("a"), _ask("new", since="now"), _ask("old")

    ran = play(saga(*steps), {"a": slow(9)}, signal(1, "go", "early"), signal(20, "go", "late"))

    assert (ran.output["new"], ran.output["old"]) == ("late", "early")


def test_a_signal_and_its_timeout_in_the_same_instant_give_one_end() -> None:
    """R39: whichever comes first."""
    ran = play(saga(_ask(timeout="5s"), act("a")), None, signal(5, "go", 1))

    assert ran.calls.count("a") + (ran.status == "compensated") == 1


def test_a_signal_with_an_id_counts_once() -> None:
    """B6, R59: of four eyes, one click is two; another click counts, and so does one without an id."""
    steps = _ask("one"), _ask("two"), _ask("three")

    ran = play(saga(*steps), None, *(signal(at, "go", at, request="k") for at in (1, 2)), signal(3, "go", 3))

    assert (ran.status, ran.now["waiting_for"]) == ("running", {"go": ["three"]})
    assert ran.state.requests == {"k": "one"}


def test_the_ids_of_signals_are_bounded_and_carried_along() -> None:
    """B6, R50: the newest are kept; one that was kept for later is remembered, too."""
    state = State()
    definition = built(saga({"id": "nap", "sleep": "1h"}, _ask()))
    decide(definition, state, Began(0.0, "s", "r", None))
    for number in range(REQUESTS_KEPT + 1):
        decide(definition, state, SignalReceived(1.0, "go", number, f"k{number}"))
    restored = restore(snapshot(state))
    decide(definition, restored, SignalReceived(2.0, "go", "again", f"k{REQUESTS_KEPT}"))

    assert list(restored.requests) == [f"k{number}" for number in range(1, REQUESTS_KEPT + 1)]
    assert len(restored.signals["go"]) == REQUESTS_KEPT + 1


def test_a_wait_that_takes_a_kept_signal_says_so() -> None:
    """B12, R60."""
    ran = play(saga(act("a"), _ask("early"), _ask("late")), {"a": slow(9)}, signal(1, "go"), signal(20, "go"))

    assert [step.get("took_kept") for step in ran.now["steps"]] == [None, True, None]


def test_who_sent_a_signal_is_kept_with_the_wait_that_takes_it() -> None:
    """R59: also when the signal came early, and when others before it do not say who sent them."""
    definition = built(saga(act("a"), _ask("one"), _ask("two"), _ask("three"), _ask("four")))
    state = State()
    decide(definition, state, Began(0.0, "s", "r", None))
    decide(definition, state, SignalReceived(1.0, "go", 1))
    decide(definition, state, SignalReceived(2.0, "go", 2, by="ann", why="fine"))
    decide(definition, state, SignalReceived(3.0, "go", 3))
    kept = restore(snapshot(state))
    assert status(definition, kept)["kept_senders"] == {
        "go": [{"at": "1970-01-01T00:00:02.000Z", "by": "ann", "why": "fine"}]
    }
    decide(definition, kept, Settled(4.0, "a", Outcome.SUCCEEDED))
    decide(definition, kept, SignalReceived(9.0, "go", 4, came_at=8.0, by="bob"))

    senders = {step["path"]: step.get("sender") for step in status(definition, kept)["steps"]}
    assert kept.senders == {}
    assert (senders["one"], senders["three"]) == (None, None)
    assert senders["two"] == {"at": "1970-01-01T00:00:02.000Z", "by": "ann", "why": "fine"}
    assert senders["four"] == {"at": "1970-01-01T00:00:08.000Z", "by": "bob", "why": ""}


def test_a_signal_may_come_as_long_as_a_wait_for_it_is_open_or_ahead() -> None:
    """R59: not past its last wait, and not once the saga is undone."""
    definition = built(saga(_ask("one"), act("a"), _ask("two", signal="other"), act("b")))
    state = State()
    decide(definition, state, Began(0.0, "s", "r", None))

    def told(*names: str) -> list[str]:
        return [fate_of(definition, state, name, state.now).value for name in names]

    assert told("go", "other", "nix") == ["taken", "kept", "not awaited"]
    decide(definition, state, SignalReceived(1.0, "go", 1))
    assert told("go", "other") == ["not awaited", "kept"]
    decide(definition, state, CancelRequested(2.0))
    assert told("go", "other") == ["not awaited", "not awaited"]


def test_a_signal_is_too_early_when_only_waits_that_count_from_now_are_ahead() -> None:
    """R59: it is kept where another wait may take it; one that comes when the time of a wait is over is too late."""
    early = built(saga(act("a"), _ask("one", since="now", timeout="5s"), name="early"))
    both = built(saga(act("a"), _ask("one", since="now"), _ask("two"), name="both"))
    state, other = State(), State()
    (start,) = (each for each in decide(early, state, Began(0.0, "s", "r", None)) if isinstance(each, StartActivity))
    decide(both, other, Began(0.0, "s", "r", None))

    assert (fate_of(early, state, "go", 1.0), fate_of(both, other, "go", 1.0)) == (Fate.TOO_EARLY, Fate.KEPT)
    decide(early, state, Settled(2.0, start.call_id, Outcome.SUCCEEDED))
    assert [fate_of(early, state, "go", at).value for at in (3.0, 7.0)] == ["taken", "too early"]
