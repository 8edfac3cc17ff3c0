"""What a definition leaves open is filled in by ``build``, the same way every time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from sagadsl.engine.calls import retry_plan
from sagadsl.language.build import build, digest
from sagadsl.language.calls import ActivityCall, Compensation, On, Retry, SagaCall, Timeouts
from sagadsl.language.model import (
    Expected,
    Fail,
    ForEach,
    Group,
    Handler,
    OnFailure,
    Order,
    Parallel,
    Repeat,
    Sleep,
    Step,
    Switch,
    Then,
    WaitFor,
)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def _definition(*steps: Mapping[str, Any], **top: Any) -> dict[str, Any]:
    return {"sagadsl": 1, "name": "order", "version": "1", **top, "steps": list(steps)}


def _step(step: Mapping[str, Any], **top: Any) -> Step:
    return build(_definition({"id": "pay", **step}, **top)).steps[0]


def _call(step: Mapping[str, Any], **top: Any) -> ActivityCall:
    body = _step({"activity": "bank.pay", **step}, **top).body
    assert isinstance(body, ActivityCall)
    return body


def _undo(compensation: Any, step: Mapping[str, Any] | None = None, **top: Any) -> Compensation:
    built = _step({"activity": "bank.pay", **(step or {}), "compensation": compensation}, **top).compensation
    assert built is not None
    return built


def test_a_step_that_says_nothing_gets_three_attempts_and_a_minute_for_each() -> None:
    """The defaults are finite and written down."""
    assert _call({}) == ActivityCall(
        "bank.pay",
        timeouts=Timeouts(start_to_close=MINUTE),
        retry=Retry(3, SECOND, 2.0, MINUTE, (), explicit=False),
    )


def test_retry_fields_are_merged_one_by_one_from_step_defaults_and_language() -> None:
    """A partial block takes the rest from the defaults."""
    defaults = {"retry": {"initial_interval": "2s", "maximum_attempts": 5}}

    retry = _call({"retry": {"backoff_coefficient": 1}}, defaults=defaults).retry

    assert retry == Retry(5, timedelta(seconds=2), 1.0, MINUTE, (), explicit=True)


@pytest.mark.parametrize(
    ("said", "attempts", "explicit"),
    [
        ({"retry": "none"}, 1, True),
        ({"retry": {"maximum_attempts": "unlimited"}}, None, True),
        ({"retry": {"maximum_attempts": 1}}, 1, True),
        ({"retry": {"initial_interval": "5s"}}, 3, False),
        ({}, 3, False),
    ],
)
def test_how_often_is_explicit_only_when_it_was_said(
    said: dict[str, Any], attempts: int | None, explicit: bool
) -> None:
    """R44: only what the author left open becomes unlimited after a pivot. The number counts attempts."""
    retry = _call(said).retry

    assert (retry.maximum_attempts, retry.explicit) == (attempts, explicit)


def test_retry_none_in_the_defaults_holds_until_a_step_says_how_often() -> None:
    defaults = {"retry": "none"}

    assert _call({}, defaults=defaults).retry.maximum_attempts == 1
    assert _call({"retry": {"maximum_attempts": 4}}, defaults=defaults).retry.maximum_attempts == 4


def test_a_long_first_pause_raises_a_maximum_that_nobody_wrote() -> None:
    """Temporal refuses a maximum below the first pause, so a default must not cause one."""
    assert _call({"retry": {"initial_interval": "5m"}}).retry.maximum_interval == timedelta(minutes=5)
    written = _call({"retry": {"initial_interval": "10s", "maximum_interval": "5s"}}).retry
    assert written.maximum_interval == timedelta(seconds=5)


def test_qualified_error_types_also_match_by_their_class_name() -> None:
    """`acme.errors.CardDeclined` is recorded as `CardDeclined` by Python, in full by Java."""
    written = ["acme.errors.CardDeclined", "acme.Shop$Gone", "timeout", "card.declined"]
    retry = _call({"retry": {"non_retryable_error_types": written}}).retry

    assert retry.non_retryable_error_types == tuple(written)
    assert retry_plan(retry, {}, patient=False).non_retryable_error_types == (
        *("CardDeclined", "acme.errors.CardDeclined", "Gone", "acme.Shop$Gone"),
        *("timeout", "card.declined"),
    )
    fail = _step({"fail": {"type": "acme.errors.Fraud", "message": "no"}}).body
    assert isinstance(fail, Fail)
    assert fail.type == "Fraud"


@pytest.mark.parametrize(
    ("step", "defaults", "expected"),
    [
        ({}, {}, Timeouts(MINUTE)),
        ({"schedule_to_close": "5m"}, {}, Timeouts(None, timedelta(minutes=5))),
        ({"schedule_to_close": "5m"}, {"start_to_close": "10s"}, Timeouts(timedelta(seconds=10), timedelta(minutes=5))),
        ({"heartbeat": "5s"}, {}, Timeouts(MINUTE, heartbeat=timedelta(seconds=5))),
        ({"start_to_close": "0s"}, {"start_to_close": "10s"}, Timeouts(timedelta(0))),
        ({"schedule_to_start": "1h30m"}, {}, Timeouts(MINUTE, schedule_to_start=timedelta(minutes=90))),
    ],
)
def test_every_call_is_bounded_and_a_total_bound_is_enough(
    step: dict[str, str], defaults: dict[str, str], expected: Timeouts
) -> None:
    """R36: every activity has start_to_close or schedule_to_close. The total is a field of its own."""
    assert _call({"timeouts": step}, defaults={"timeouts": defaults}).timeouts == expected


def test_a_duration_may_be_an_expression_that_is_computed_later() -> None:
    """A timeout from the input."""
    duration = _call({"timeouts": {"start_to_close": "{{ input.sla }}"}}).timeouts.start_to_close

    assert not isinstance(duration, timedelta)
    assert duration is not None
    assert duration.render({"input": {"sla": "30s"}}) == "30s"


def test_a_compensation_is_more_patient_than_its_step() -> None:
    """R19: ten attempts by default, whatever the step says; the time for one attempt is the step's."""
    step = {"retry": "none", "timeouts": {"start_to_close": "20s", "heartbeat": "5s", "schedule_to_close": "1m"}}

    undo = _undo({"activity": "bank.undo_pay"}, step).actions[0].call

    assert undo == ActivityCall(
        "bank.undo_pay", timeouts=Timeouts(timedelta(seconds=20)), retry=Retry(10, SECOND, 2.0, MINUTE)
    )


def test_a_compensation_takes_its_own_fields_before_the_defaults_for_compensations() -> None:
    defaults = {"compensation": {"retry": {"maximum_attempts": 50}, "timeouts": {"start_to_close": "3m"}}}

    plain = _undo({"activity": "x.y"}, defaults=defaults).actions[0].call
    own = _undo(
        {"activity": "x.y", "retry": {"maximum_attempts": 2}, "timeouts": {"start_to_close": "4m"}}, defaults=defaults
    )

    assert isinstance(plain, ActivityCall)
    assert (plain.retry.maximum_attempts, plain.timeouts.start_to_close) == (50, timedelta(minutes=3))
    assert isinstance(own.actions[0].call, ActivityCall)
    assert own.actions[0].call.retry.maximum_attempts == 2
    assert own.actions[0].call.timeouts.start_to_close == timedelta(minutes=4)


def test_a_compensation_goes_to_the_queue_of_its_step_unless_it_names_one() -> None:
    step = {"task_queue": "java-bank"}

    inherited, named = _undo({"activity": "x.y"}, step), _undo({"activity": "x.y", "task_queue": "python"}, step)

    queues = [undo.actions[0].call.task_queue for undo in (inherited, named)]
    assert [queue.source for queue in queues if queue is not None] == ["java-bank", "python"]


def test_the_default_queue_is_for_activities_and_not_for_child_sagas() -> None:
    defaults = {"task_queue": "java"}

    assert _call({}, defaults=defaults).task_queue is not None
    child = _step({"saga": "ship"}, defaults=defaults).body
    assert child == SagaCall("ship")


def test_none_auto_and_a_list_are_ways_to_write_a_compensation() -> None:
    """R6, R13, R46."""
    assert _step({"activity": "a.b", "compensation": "none"}).nothing_to_undo
    assert _step({"activity": "a.b", "compensation": "none"}).compensation is None
    assert _step({"saga": "ship", "compensation": "auto"}).compensation == Compensation(auto=True)
    listed = _undo([{"activity": "a.one", "on": "attempted"}, {"activity": "a.two", "already_undone": ["x.Gone"]}])
    assert [action.call.activity for action in listed.actions if isinstance(action.call, ActivityCall)] == [
        "a.one",
        "a.two",
    ]
    assert listed.on is On.ATTEMPTED
    assert listed.actions[1].already_undone == ("x.Gone",)


def test_on_error_is_a_word_or_a_list_of_handlers() -> None:
    """`continue` is one handler that takes everything."""
    handlers = _step(
        {
            "activity": "a.b",
            "on_error": [
                {"types": ["Declined"], "output": {"paid": False}},
                {"if": "error.message == 'x'", "steps": [{"id": "tell", "activity": "a.c"}], "then": "stop"},
            ],
        }
    ).on_error

    assert _step({"activity": "a.b", "on_error": "continue"}).on_error == (Handler(),)
    assert _step({"activity": "a.b", "on_error": "compensate"}).on_error == ()
    assert [handler.then for handler in handlers] == [Then.CONTINUE, Then.STOP]
    assert handlers[1].steps[0].route == ("steps", 0, "on_error", 1, "steps", 0)


def test_loops_and_branches_carry_their_defaults() -> None:
    inner = [{"id": "one", "activity": "a.b"}]

    each = _step({"for_each": {"items": "input.lines"}, "steps": inner}).body
    fork = _step({"parallel": inner}).body
    poll = _step({"repeat": {"until": "true"}, "steps": inner}).body

    assert isinstance(each, ForEach)
    assert (each.variable, each.max_concurrency, each.cancel_on_failure, each.keep_remaining) == (
        "item",
        1,
        True,
        False,
    )
    assert isinstance(fork, Parallel)
    assert (fork.max_concurrency, fork.cancel_on_failure, fork.keep_remaining) == (None, True, False)
    assert isinstance(poll, Repeat)
    assert (poll.every, poll.maximum_attempts) == (None, None)


def test_the_remaining_kinds_are_built() -> None:
    assert isinstance(_step({"steps": [{"id": "one", "activity": "a.b"}]}).body, Group)
    arms = _step({"switch": [{"if": "input.a", "steps": []}, {"else": []}]}).body
    assert isinstance(arms, Switch)
    assert [arm.condition is None for arm in arms.arms] == [False, True]
    assert _step({"sleep": "2d"}).body == Sleep(timedelta(days=2))
    until = _step({"sleep_until": "2026-01-01T00:00:00Z"}).body
    assert isinstance(until, Sleep)
    assert until.until is not None
    assert _step({"wait_for": {"signal": "go", "timeout": "1h"}}).body == WaitFor((Expected("go"),), timedelta(hours=1))


NESTED = _definition(
    {
        "id": "book",
        "parallel": [
            {
                "id": "lines",
                "for_each": {"items": "input.lines"},
                "steps": [
                    {
                        "id": "reserve",
                        "activity": "a.b",
                        "on_error": [{"steps": [{"id": "tell", "activity": "a.c"}]}],
                    },
                    {"id": "wait", "wait_for": {"signal": "go"}},
                ],
            },
        ],
    },
    {"id": "again", "wait_for": {"signal": "go", "payload": {"type": "object"}}},
    on_failure=[{"id": "alarm", "activity": "a.d"}],
)


def test_places_say_which_blocks_and_loops_are_around_a_step() -> None:
    """Paths like `book/lines[3]/reserve.on_error/tell` are made of these."""
    places = build(NESTED).places

    assert {id: (place.blocks, place.loops) for id, place in places.items()} == {
        "book": ((), ()),
        "lines": (("book",), (False,)),
        "reserve": (("book", "lines"), (False, True)),
        "tell": (("book", "lines", "reserve.on_error"), (False, True, False)),
        "wait": (("book", "lines"), (False, True)),
        "again": ((), ()),
        "alarm": (("on_failure",), (False,)),
    }
    assert places["reserve"].step.route == ("steps", 0, "parallel", 0, "steps", 0)


def test_a_signal_is_known_with_the_payload_schema_that_any_wait_declares() -> None:
    assert build(NESTED).signals == {"go": {"type": "object"}}


def test_top_level_choices_reach_the_model() -> None:
    saga = build(
        _definition(
            {"id": "a", "activity": "a.b"},
            timeout="1h",
            compensation={"order": "parallel", "on_failure": "stop"},
            labels={"team": "payments"},
            output=None,
        )
    )

    assert (saga.timeout, saga.order, saga.compensation_failure) == (
        timedelta(hours=1),
        Order.PARALLEL,
        OnFailure.STOP,
    )
    assert saga.labels == {"team": "payments"}
    assert saga.output is not None  # null was written: that is the output
    assert build(_definition({"id": "a", "activity": "a.b"})).output is None


def test_the_digest_depends_on_meaning_and_not_on_the_order_of_keys() -> None:
    """R48."""
    one = {"sagadsl": 1, "name": "a", "steps": [{"id": "x", "sleep": "1s"}]}
    same = {"name": "a", "steps": [{"sleep": "1s", "id": "x"}], "sagadsl": 1}

    assert digest(one) == digest(same) == build(one).digest
    assert digest(one) != digest({**one, "name": "b"})


def test_the_same_data_gives_the_same_model() -> None:
    """Replay builds the model again."""
    assert build(NESTED).places.keys() == build(NESTED).places.keys()
    assert build(NESTED).digest == build(NESTED).digest
    assert build(NESTED).timeout == build(NESTED).timeout


def test_building_needs_neither_yaml_nor_json_schema_nor_temporal() -> None:
    """The workflow imports it; every import is paid by every worker."""
    code = (
        "import sys, sagadsl.language.build\n"
        "print([m for m in ('yaml', 'jsonschema', 'temporalio', 'pydantic', 'click') if m in sys.modules])"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


def test_the_cost_of_a_step_does_not_grow_with_the_number_of_steps() -> None:
    """Flat from 10 to 10,000 steps. Counted in calls of functions, which no other load changes."""

    def calls(count: int) -> int:
        made = 0

        def count_one(_frame: object, event: str, _argument: object) -> None:
            nonlocal made
            made += event == "call"

        data = _definition(*({"id": f"s{n}", "activity": "a.b", "input": {"x": 1}} for n in range(count)))
        build(data)  # whatever is computed once is computed now
        sys.setprofile(count_one)
        try:
            build(data)
        finally:
            sys.setprofile(None)
        return made

    assert calls(4000) < 11 * calls(400)
