"""The saga's own timeout, the timeouts of calls, timers, retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Began, DrainRequested, OperatorAsked, Outcome, Settled, StartActivity, TimerFired, Verb
from sagadsl.engine.journal import FIRST_RULES, State
from sagadsl.engine.run import TIMEOUT_TIMER
from sagadsl.engine.scope import iso
from sagadsl.virtual.calls import Attempt
from tests.engine.scenes import act, beats, built, flaky, lost, no, operator, plain, play, saga, slow


def test_the_timeout_stops_and_undoes_and_says_so() -> None:
    """R32: a timer inside, so that expiry still compensates."""
    ran = play(saga(act("a"), beats("b"), act("c"), timeout="5s"), {"b": slow(60)})

    assert (ran.status, ran.why) == ("compensated", ("SagaTimeout", ""))
    assert (ran.at("cancel", "b"), ran.calls) == (5, ["a", "b", "b.compensation", "a.compensation"])
    assert ran.now["timed_out"]


def test_the_timeout_does_not_bound_the_compensation() -> None:
    """R33."""
    ran = play(saga(act("a"), act("b"), timeout="5s"), {"b": no(), "a.compensation": slow(50)})

    assert (ran.status, ran.took(), ran.others) == ("compensated", 50.2, [])


def test_the_timeout_survives_continue_as_new() -> None:
    """R34, R50: the timer is set again to the same instant."""
    ran = play(
        saga(act("a"), {"id": "nap", "sleep": "1h"}, timeout="10s"), None, *((at, DrainRequested) for at in (2.0, 7.0))
    )

    assert ran.events("continue_as_new") == ["", ""]
    assert (ran.why, ran.at("start", "a.compensation")) == (("SagaTimeout", ""), 10)


def test_an_expression_gives_the_timeout() -> None:
    """R13 of the cases: and one that gives no duration fails the saga before anything runs."""
    definition = saga(beats("a"), timeout="{{ input.sla }}")

    assert play(definition, {"a": slow(60)}, input_={"sla": "5s"}).at("end", "a") == 5
    for wrong in ("soon", None, 5, "-1s"):
        ran = play(definition, input_={"sla": wrong})
        assert (ran.status, ran.why, ran.calls) == ("compensated", ("ExpressionError", ""), [])


def test_after_the_pivot_the_timeout_only_raises_an_alarm() -> None:
    """R35: the saga goes on, and the status says that it is late."""
    ran = play(saga(act("a"), act("p", pivot=True), act("b"), timeout="5s"), {"b": slow(30)})

    assert (ran.status, ran.took()) == ("completed", 30.2)
    assert (ran.now["timed_out"], ran.others) == (True, ["SagaTimeout"])


def test_a_timeout_while_the_pivot_runs_waits_for_what_becomes_of_it() -> None:
    """R35, R43: it passed, so the timeout comes too late."""
    ran = play(saga(act("a"), act("p", pivot=True), act("b"), timeout="5s"), {"p": slow(9)})

    assert (ran.status, ran.calls) == ("completed", ["a", "p", "b"])
    assert (ran.now["timed_out"], ran.others) == (True, ["SagaTimeout"])


def test_every_call_has_a_bound() -> None:
    """R36: what says nothing gets a minute an attempt."""
    ran = play(saga(act("a"), act("b")), {"b": no()})

    for call in ran.calls:
        assert ran.commands[call].start_to_close == timedelta(minutes=1)


@pytest.mark.parametrize("field", ["start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"])
@pytest.mark.parametrize("value", ["soon", "0s", None, 7])
def test_a_computed_timeout_that_cannot_be_fails_the_step_before_it_is_scheduled(field: str, value: Any) -> None:
    """R13 of the cases, R56: Temporal would refuse the command, for ever."""
    step = act("b", timeouts={"start_to_close": "1m"} | {field: "{{ input.limit }}"})

    ran = play(saga(act("a"), step), input_={"limit": value})

    assert (ran.why, ran.calls) == (("ExpressionError", "b"), ["a", "a.compensation"])
    assert f"`{field}`" in (ran.failure.message if ran.failure else "")


def test_a_computed_undo_timeout_that_cannot_be_waits_for_an_operator() -> None:
    """R15: the record stays."""
    undo = {"activity": "undo.a", "timeouts": {"start_to_close": "{{ input.limit }}"}}

    ran = play(saga(act("a", compensation=undo), act("b")), {"b": no()}, input_={"limit": "soon"})

    assert (ran.status, list(ran.state.attention)) == ("paused", ["a.compensation"])


@pytest.mark.parametrize(("attempts", "executions"), [(3, 3), (1, 1)])
def test_the_number_counts_attempts(attempts: int, executions: int) -> None:
    ran = play(saga(act("a", retry={"maximum_attempts": attempts})), {"a": flaky()})

    assert (ran.attempts("a"), ran.record("a").attempts) == (executions, executions)


def test_the_pause_grows_by_its_factor_up_to_its_maximum() -> None:
    """1, 2, 4, 5, 5 seconds; a factor of 1 gives the same gap each time."""
    retry = {"maximum_attempts": 6, "maximum_interval": "5s"}
    even = {"maximum_attempts": 4, "initial_interval": "2s", "backoff_coefficient": 1}

    grown = play(saga(act("a", retry=retry)), {"a": flaky(takes=0)})
    constant = play(saga(act("a", retry=even)), {"a": flaky(takes=0)})

    assert (grown.at("end", "a"), constant.at("end", "a")) == (17, 6)


def test_a_timed_out_attempt_is_tried_again() -> None:
    """The plain timeout is that of one attempt."""
    step = act("a", timeouts={"start_to_close": "2s"}, retry={"maximum_attempts": 3})

    ran = play(saga(step), {"a": [lost(), Attempt()]})

    assert (ran.status, ran.attempts("a")) == ("completed", 2)


def test_timeout_among_the_types_that_are_not_retried_ends_the_attempts() -> None:
    """R55: once after a timeout, again after a refused connection."""
    retry = {"maximum_attempts": 5, "non_retryable_error_types": ["timeout"]}

    assert play(saga(act("a", retry=retry)), {"a": lost()}).attempts("a") == 1
    assert play(saga(act("a", retry=retry)), {"a": [flaky(), lost()]}).attempts("a") == 2


def test_types_that_are_not_retried_match_by_their_recorded_name() -> None:
    """R55."""
    retry = {"maximum_attempts": 5, "non_retryable_error_types": ["acme.errors.CardDeclined"]}

    ran = play(saga(act("a", retry=retry)), {"a": flaky("CardDeclined")})

    assert (ran.attempts("a"), ran.why) == (1, ("CardDeclined", "a"))


def test_the_total_timeout_shows_the_last_real_error() -> None:
    """R16 of the cases."""
    step = act(
        "a", timeouts={"schedule_to_close": "10s", "start_to_close": "9s"}, retry={"maximum_attempts": "unlimited"}
    )

    ran = play(saga(step), {"a": [flaky("Busy"), lost()]})

    assert ran.failure is not None
    assert (ran.failure.type, ran.failure.message) == (
        "timeout",
        "schedule_to_close timeout of 10s; the last error was Busy: Busy!",
    )
    assert ran.failure.causes == (("Busy", "Busy!"),)
    assert ran.report["failure"]["causes"] == [{"type": "Busy", "message": "Busy!"}]


def test_the_report_shows_type_message_step_and_attempts() -> None:
    """R17 of the cases."""
    ran = play(saga(act("a", retry={"maximum_attempts": 2})), {"a": flaky("ValueError")})

    assert ran.report["failure"] == {"type": "ValueError", "message": "ValueError!", "step": "a"}
    assert ran.now["steps"][0]["attempts"] == 2


@pytest.mark.parametrize(
    ("moment", "means"),
    [
        (1_800_000_000_000, "a number counts seconds since 1970, so divide milliseconds by 1000"),
        (1e300, "a number counts seconds since 1970"),
        ("9999-12-31T09:00:00Z", "give an earlier time"),
    ],
)
def test_a_moment_that_nobody_can_have_meant_is_an_error(moment: Any, means: str) -> None:
    """N14: milliseconds would wait for 57,000 years, and 1e300 did not wait at all."""
    ran = play(saga(act("a"), {"id": "until", "sleep_until": "{{ input }}"}), input_=moment)

    assert (ran.status, ran.failure.type if ran.failure else "") == ("compensated", "ExpressionError")
    assert ran.failure is not None
    assert "more than 100 years from now" in ran.failure.message
    assert ran.failure.message.endswith(means)


def test_runs_of_the_first_rules_wait_for_it() -> None:
    """What they have begun is replayed; their status can be shown."""
    model = built(saga({"id": "until", "sleep_until": "{{ input }}"}))
    state = State(rules=FIRST_RULES)
    decide(model, state, Began(0.0, "s", "r", 1_800_000_000_000))

    assert list(state.timers.values()) == [1_800_000_000_000.0]
    assert iso(state.timers["until"]) == "9999-12-31T23:59:59.000Z"


def test_sleep_and_sleep_until_end_at_their_moment() -> None:
    """R32: absolute instants; one that has passed ends at once."""
    steps = (
        {"id": "nap", "sleep": "90s"},
        {"id": "until", "sleep_until": "2023-11-14T22:20:00Z"},
        {"id": "past", "sleep_until": "1999-01-01T00:00:00+02:00"},
        {"id": "number", "sleep_until": "{{ 1700001000 }}"},
        plain("a"),
    )

    ran = play(saga(*steps))

    assert [ran.now["steps"][index]["ended_at"] for index in range(4)] == [
        "2023-11-14T22:14:50.000Z",
        "2023-11-14T22:20:00.000Z",
        "2023-11-14T22:20:00.000Z",
        "2023-11-14T22:30:00.000Z",
    ]


@pytest.mark.parametrize("moment", ["not a date", "2030-01-01", "2030-01-01T00:00:00", True, None, [1]])
def test_a_moment_that_is_none_fails_the_step(moment: Any) -> None:
    """R56: also one without its zone."""
    ran = play(saga(act("a"), {"id": "until", "sleep_until": "{{ input }}"}), input_=moment)

    assert (ran.status, ran.why) == ("compensated", ("ExpressionError", "until"))


def test_a_paused_saga_is_stopped_by_its_timeout_and_undone_when_it_is_resumed() -> None:
    """R32, R22, B14: nobody resumed it in time, but nothing begins behind the back of who holds it, no undo either."""
    definition, script = saga(act("a"), act("b"), timeout="10s"), {"a": slow(2)}
    held = play(definition, script, operator(1, Verb.PAUSE))
    resumed = play(definition, script, operator(1, Verb.PAUSE), operator(50, Verb.RESUME))

    assert (held.status, held.why, held.calls) == ("paused", ("SagaTimeout", ""), ["a"])
    assert (resumed.status, resumed.calls, resumed.took()) == ("compensated", ["a", "a.compensation"], 50.1)


def test_a_pause_stops_no_timer_and_the_timeout_stops_what_runs() -> None:
    """R22, R32, B14: the step is asked to end, though the saga is held."""
    ran = play(saga(beats("a"), timeout="10s"), {"a": slow(60)}, operator(1, Verb.PAUSE))

    assert (ran.status, ran.at("cancel", "a"), ran.at("end", "a")) == ("paused", 10, 10)


def test_a_cancel_ends_a_pause() -> None:
    """R25, B14: it is a person's word, and the later one."""
    ran = play(saga(act("a"), act("b"), timeout="10s"), {"a": slow(2)}, operator(1, Verb.PAUSE), cancel_at=5)

    assert (ran.status, ran.took()) == ("cancelled", 5.1)


def test_runs_of_the_first_rules_are_undone_by_their_timeout_though_they_are_held() -> None:
    """B14: what an older release has begun goes on as it began."""
    state = State(rules=1)
    definition = built(saga(act("a"), act("b"), timeout="10s"))
    decide(definition, state, Began(0.0, "s", "r", None))
    decide(definition, state, OperatorAsked(1.0, Verb.PAUSE))
    decide(definition, state, Settled(2.0, "a", Outcome.SUCCEEDED))
    (undo,) = decide(definition, state, TimerFired(10.0, TIMEOUT_TIMER))

    assert isinstance(undo, StartActivity)
    assert (undo.call_id, state.paused) == ("a.compensation", False)


def test_the_status_tells_when_time_is_over() -> None:
    """B14: of the saga and of a step that waits, also while it is held."""
    ran = play(saga({"id": "nap", "sleep": "1h"}, timeout="2h"), None, operator(1, Verb.PAUSE), until=5)

    assert (ran.now["timeout_at"], ran.now["steps"][0]["due_at"]) == (
        "2023-11-15T00:13:20.000Z",
        "2023-11-14T23:13:20.000Z",
    )


def test_a_computed_first_pause_raises_the_longest_one() -> None:
    """Temporal refuses a maximum below the first pause, for ever."""
    step = plain("a", retry={"initial_interval": "{{ input }}"})

    ran = play(saga(step), input_="5m")

    assert ran.commands["a"].retry.maximum_interval == timedelta(minutes=5)


def test_the_longest_pause_can_be_computed_too() -> None:
    step = plain("a", retry={"maximum_attempts": 4, "maximum_interval": "{{ input }}"})

    ran = play(saga(step), {"a": flaky(takes=0)}, input_="1500ms")

    assert ran.commands["a"].retry.maximum_interval == timedelta(seconds=1.5)
    assert ran.at("end", "a") == 4  # 1, 1.5 and 1.5 s


def test_a_cancel_after_the_timeout_does_not_hide_it() -> None:
    """R9, R32: it came during the compensations, and is recorded beside it."""
    definition = saga(act("a"), {"id": "nap", "sleep": "1h"}, timeout="10s")

    ran = play(definition, {"a.compensation": slow(5)}, cancel_at=12)

    assert (ran.status, ran.now["timed_out"], ran.others) == ("compensated", True, ["cancelled"])
