"""Builds the calls of a saga from schema-valid data, with what bounds and what undoes them, and all their defaults.

Replay-critical, as ``build`` is, which does the same for the steps around the calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sagadsl.immutable import Immutable, replace
from sagadsl.language.calls import (
    ActivityCall,
    Compensation,
    CompensationAction,
    Count,
    Counted,
    Duration,
    FailedIf,
    On,
    Operation,
    Retry,
    SagaCall,
    Send,
    Timeouts,
    Value,
)
from sagadsl.language.expressions.secrets import named
from sagadsl.language.expressions.values import compile_condition, compile_value
from sagadsl.language.model import Body, Pause
from sagadsl.language.notation import durations
from sagadsl.language.notation.error_types import bare_type
from sagadsl.language.own_errors import STEP_FAILED

Data = Mapping[str, Any]

LOCAL_MOST = timedelta(seconds=5)
"""The most time for one attempt of a call that is local by ``auto``."""

FORWARD = Retry()
_UNDO = Retry(maximum_attempts=10)
_OF_THE_SERVER = Retry(maximum_attempts=None, maximum_interval=timedelta(hours=1), explicit=True)
"""How the server tries a Nexus operation again, by itself."""

NOTHING: Data = {}


class Defaults(Immutable):
    """The values for a call that has none of its own."""

    timeouts: Timeouts
    timeouts_without_undo: Timeouts
    retry: Retry
    task_queue: Value | None
    local: bool | str
    undo_local: bool | str
    undo_timeouts: Data
    undo_retry: Retry
    pause: Pause | None


def defaults_of(data: Data) -> Defaults:
    """Return the values that a definition gives for calls that have none of their own."""
    undo = data.get("compensation", NOTHING)
    timeouts = _timeouts(data.get("timeouts", NOTHING), Timeouts(start_to_close=None))
    return Defaults(
        timeouts=timeouts,
        timeouts_without_undo=timeouts if timeouts.settle is None else replace(timeouts, settle=None),
        retry=retry_of(data.get("retry"), FORWARD),
        task_queue=value_of(data, "task_queue"),
        local=data.get("local", False),
        undo_local=undo.get("local", data.get("local", False)),
        undo_timeouts=undo.get("timeouts", NOTHING),
        undo_retry=retry_of(undo.get("retry"), _UNDO),
        pause=Pause(duration_in(data, "pause_timeout", None)) if data.get("on_error") == "pause" else None,
    )


def send_of(data: Data) -> Send:
    """Build a signal to another workflow."""
    return Send(data["signal"], compile_value(data["to"]), value_of(data, "payload"), data.get("plain", False))


def child_of(data: Data) -> SagaCall:
    """Build a step's call of another saga."""
    return SagaCall(
        data["saga"],
        value_of(data, "input"),
        value_of(data, "task_queue"),
        workflow_id=value_of(data, "workflow_id"),
        detached=data.get("detached", False),
        abandons=data.get("on_cancel") == "abandon",
    )


def call_of(data: Data, defaults: Defaults) -> ActivityCall:
    """Build a call of an activity or of a Nexus operation."""
    return _operation(data) if "nexus" in data else _activity(data, defaults)


def _operation(data: Data) -> ActivityCall:
    """Build a call of a Nexus operation. It takes nothing from ``defaults``, which are about activities."""
    operation = Operation(**data["nexus"])
    return ActivityCall(
        activity=str(operation),
        operation=operation,
        input=value_of(data, "input"),
        timeouts=_timeouts(data.get("timeouts", NOTHING), Timeouts(start_to_close=None)),
        retry=_OF_THE_SERVER,
    )


def _activity(data: Data, defaults: Defaults) -> ActivityCall:
    queue = value_of(data, "task_queue")
    base = defaults.timeouts if data.get("compensation", "none") != "none" else defaults.timeouts_without_undo
    call = ActivityCall(
        **_called(data["activity"]),
        input=value_of(data, "input"),
        task_queue=defaults.task_queue if queue is None else queue,
        own_queue=queue is not None,
        timeouts=_bounded(_timeouts(data.get("timeouts", NOTHING), base)),
        retry=retry_of(data.get("retry"), defaults.retry),
        priority=count_of(data.get("priority")),
        fairness_key=value_of(data, "fairness_key"),
        fairness_weight=_weight(data.get("fairness_weight")),
        secrets=named(data.get("input")),
    )
    return _placed(call, data, defaults.local)


def _placed(call: ActivityCall, data: Data, default: bool | str) -> ActivityCall:
    """Decide whether a call is a local activity; *default* is for a call that does not say."""
    said = data.get("local", default)
    is_local = said is True if "local" in data and said != "auto" else bool(said) and _can_be_local(call, said)
    return replace(call, local=True) if is_local else call


def _can_be_local(call: ActivityCall, said: bool | str) -> bool:
    """Whether a call that is not told to be local needs nothing that only a queue gives, and is short if it has to."""
    times = call.timeouts
    of_a_queue = (call.task_queue, call.priority, call.fairness_key, times.heartbeat, times.schedule_to_start)
    attempt = times.schedule_to_close if times.start_to_close is None else times.start_to_close
    is_short = isinstance(attempt, timedelta) and attempt <= LOCAL_MOST
    return all(each is None for each in of_a_queue) and (is_short or said != "auto")


def _called(data: Any) -> dict[str, Any]:
    """Return the fields of a call that say which activity it calls."""
    if not isinstance(data, Mapping):
        return {"activity": data}
    one_of = tuple(data["one_of"])
    return {"activity": " or ".join(one_of), "name": compile_value(data["name"]), "one_of": one_of}


def compensation_of(data: Any, forward: Body, defaults: Defaults) -> Compensation:
    """Build how a step is undone; *forward* is what the step does."""
    if data == "auto":
        return Compensation(auto=True)
    actions = listed(data)
    on = next((action["on"] for action in actions if "on" in action), "auto")
    return Compensation(tuple(_undo(action, forward, defaults) for action in actions), On(on))


def _undo(data: Data, forward: Body, defaults: Defaults) -> CompensationAction:
    """Build one action of a compensation. It inherits the queue and the time for one attempt from its step.

    It never inherits the retries of its step, because undoing has to be more patient than doing (R19).
    """
    queue = value_of(data, "task_queue")
    already_undone = tuple(data.get("already_undone", ()))
    condition = condition_of(data, "if")
    if "saga" in data:
        if queue is None and isinstance(forward, SagaCall):
            queue = forward.task_queue
        return CompensationAction(SagaCall(data["saga"], value_of(data, "input"), queue), already_undone, condition)
    if "send" in data:
        return CompensationAction(send_of(data["send"]), already_undone, condition)
    if "nexus" in data:
        return CompensationAction(_operation(data), already_undone, condition)
    attempt: Duration | None = defaults.timeouts.start_to_close
    inherited = defaults.task_queue
    secrets = named(data.get("input"))
    if isinstance(forward, ActivityCall) and forward.operation is None:
        secrets = secrets if "input" in data else forward.secrets
        attempt, inherited = forward.timeouts.start_to_close, forward.task_queue
    timeouts = _timeouts(defaults.undo_timeouts, Timeouts(start_to_close=attempt))
    call = ActivityCall(
        **_called(data["activity"]),
        input=value_of(data, "input"),
        task_queue=inherited if queue is None else queue,
        own_queue=queue is not None,
        timeouts=_bounded(_timeouts(data.get("timeouts", NOTHING), timeouts)),
        retry=retry_of(data.get("retry"), defaults.undo_retry),
        secrets=secrets,
    )
    return CompensationAction(_placed(call, data, defaults.undo_local), already_undone, condition)


def failed_if_of(data: Data) -> FailedIf:
    """Build one rule of ``failed_if``."""
    return FailedIf(
        condition=compile_condition(data["if"]),
        type=bare_type(data.get("type", STEP_FAILED)),
        message=value_of(data, "message"),
    )


def retry_of(data: Any, base: Retry) -> Retry:
    """Merge a retry policy over *base*, field by field."""
    if data is None:
        return base
    if data == "none":
        return replace(base, maximum_attempts=1, explicit=True)
    said = "maximum_attempts" in data
    initial = duration_of(data["initial_interval"]) if "initial_interval" in data else base.initial_interval
    if "maximum_interval" in data:
        maximum = duration_of(data["maximum_interval"])
    else:
        maximum = base.maximum_interval
        if isinstance(initial, timedelta) and isinstance(maximum, timedelta):
            maximum = max(initial, maximum)  # the maximum is a default, and Temporal refuses one below the first pause
    types = data.get("non_retryable_error_types")
    return Retry(
        maximum_attempts=count_of(data["maximum_attempts"]) if said else base.maximum_attempts,
        initial_interval=initial,
        backoff_coefficient=float(data.get("backoff_coefficient", base.backoff_coefficient)),
        maximum_interval=maximum,
        non_retryable_error_types=base.non_retryable_error_types if types is None else tuple(types),
        explicit=said or base.explicit,
    )


def _timeouts(data: Data, base: Timeouts) -> Timeouts:
    """Merge timeouts over *base*, field by field."""
    if not data:
        return base
    return Timeouts(
        start_to_close=duration_in(data, "start_to_close", base.start_to_close),
        schedule_to_close=duration_in(data, "schedule_to_close", base.schedule_to_close),
        schedule_to_start=duration_in(data, "schedule_to_start", base.schedule_to_start),
        heartbeat=duration_in(data, "heartbeat", base.heartbeat),
        settle=duration_in(data, "settle", base.settle),
    )


def duration_in(data: Data, key: str, base: Duration | None) -> Duration | None:
    """Return the duration under *key*, or *base* when the key is missing."""
    return duration_of(data[key]) if key in data else base


def _bounded(timeouts: Timeouts) -> Timeouts:
    """Give an attempt one minute when nothing bounds it, because Temporal refuses a call without a bound. R36."""
    if timeouts.start_to_close is None and timeouts.schedule_to_close is None:
        return replace(timeouts, start_to_close=timedelta(minutes=1))
    return timeouts


def duration_of(data: str) -> Duration:
    """Return a duration as written, or the expression that gives it."""
    return compile_value(data) if "{{" in data else durations.parse(data)


def _weight(data: Any) -> float | Value | None:
    return None if data is None else compile_value(data) if isinstance(data, str) else float(data)


def count_of(data: Any) -> Count | None:
    """Return a number as written or as an expression gives it; ``None`` is without limit."""
    if isinstance(data, Mapping):
        return Counted(compile_value(data["value"], bare=True), int(data["at_most"]))
    return None if data is None or data == "unlimited" else int(data)


def value_of(data: Data, key: str) -> Value | None:
    """Return the compiled value of *key*; ``None`` when the key is missing. A written null is a value."""
    return compile_value(data[key]) if key in data else None


def condition_of(data: Data, key: str) -> Value | None:
    """Return the compiled condition of *key*; ``None`` when the key is missing."""
    return compile_condition(data[key]) if key in data else None


def listed(data: Any) -> Sequence[Data]:
    """Return a list of mappings; a single mapping becomes a list of one."""
    return (data,) if isinstance(data, Mapping) else data
