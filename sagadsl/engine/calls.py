"""Renders a call of the definition into the command that begins it. Replay-critical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sagadsl.engine.call_errors import QUEUE_BOUND
from sagadsl.engine.child_ids import derived_id
from sagadsl.engine.facts import Error, RetryPlan, SendSignal, StartActivity, StartChild
from sagadsl.engine.records import Record, Undo
from sagadsl.engine.run import Mistake, Run
from sagadsl.engine.scope import failure_view, past_scope, saga_to_undo
from sagadsl.immutable import replace
from sagadsl.language.calls import (
    WEIGHTS,
    ActivityCall,
    CompensationAction,
    Count,
    Counted,
    Duration,
    Operation,
    Retry,
    SagaCall,
    Send,
    Value,
)
from sagadsl.language.expressions.data import shortened
from sagadsl.language.model import Body
from sagadsl.language.notation.durations import parse
from sagadsl.language.notation.error_types import class_name
from sagadsl.language.own_errors import EXPRESSION_ERROR, INVALID_DEFINITION, NOT_NEEDED, SIGNAL_NOT_DELIVERED
from sagadsl.language.paths import MAX_ID, forward_key, request_of, undo_key

Names = Mapping[str, Any]
_LATE = (("step", "output"), ("step", "outcome"), ("step", "error"))
_WHOLE = (("step",), ("steps",))
_NOTHING = timedelta(0)

FAIRNESS_KEY_BYTES = 64
"""The longest key that the server takes."""


def activity_name(call: ActivityCall, names: Names) -> str:
    """Return the name of the activity that a call calls. If an expression gives it, it is one of those that it may."""
    if call.name is None:
        return call.activity
    name = call.name.render(names)
    if name not in call.one_of:
        allowed = ", ".join(f"`{each}`" for each in call.one_of)
        found = shortened(name if isinstance(name, str) else repr(name), 60)
        raise Mistake(EXPRESSION_ERROR, f"`activity` must be one of {allowed}, found `{found}`")
    return str(name)


def chosen(call: Body, record: Record) -> str:
    """Return the activity that a step calls; empty for another kind of call, or as long as it is not known."""
    if not isinstance(call, ActivityCall):
        return ""
    return call.activity if call.name is None else record.activity


def activity(
    call: ActivityCall,
    call_id: str,
    arguments: tuple[Any, ...],
    names: Names,
    *,
    summary: str,
    patient: bool,
    name: str = "",
    settles: bool = False,
) -> StartActivity:
    """Return the command for an activity.

    Args:
        patient: Retry without limit where the definition sets none (R44).
        name: The activity, if it has been chosen before.
        settles: The saga wants to hear of an attempt that ends late.
    """
    times = call.timeouts
    if call.operation is not None:
        return _operation(call, call.operation, call_id, arguments, names, summary=summary, patient=patient)
    command = StartActivity(  # what most calls leave out is not asked for: that is a fiftieth of what a step costs
        call_id=call_id,
        activity=name or activity_name(call, names),
        arguments=arguments,
        task_queue=None if call.task_queue is None else text(call.task_queue, names, "task_queue"),
        start_to_close=_limit(times.start_to_close, names, "start_to_close"),
        schedule_to_close=None
        if times.schedule_to_close is None
        else _limit(times.schedule_to_close, names, "schedule_to_close"),
        schedule_to_start=None
        if times.schedule_to_start is None
        else _limit(times.schedule_to_start, names, "schedule_to_start"),
        heartbeat=None if times.heartbeat is None else _limit(times.heartbeat, names, "heartbeat"),
        retry=retry_plan(call.retry, names, patient=patient),
        local=call.local,
        priority=None if call.priority is None else count(call.priority, names, "priority"),
        summary=summary,
        secrets=call.secrets,
        settles=settles,
    )
    return command if call.fairness_key is call.fairness_weight is None else _fair(command, call, names)


def _operation(
    call: ActivityCall,
    operation: Operation,
    call_id: str,
    arguments: tuple[Any, ...],
    names: Names,
    *,
    summary: str,
    patient: bool,
) -> StartActivity:
    """Return the command for a Nexus operation. Its start is bounded like the wait on another queue."""
    times = call.timeouts
    total = _limit(times.schedule_to_close, names, "schedule_to_close")
    to_start = _limit(times.schedule_to_start, names, "schedule_to_start")
    if total is None and to_start is None and not patient:
        to_start = QUEUE_BOUND
    return StartActivity(
        call_id=call_id,
        activity=call.activity,
        arguments=arguments or (None,),  # an operation has one argument
        task_queue=None,
        start_to_close=_limit(times.start_to_close, names, "start_to_close"),
        schedule_to_close=total,
        schedule_to_start=to_start,
        heartbeat=None,
        retry=retry_plan(call.retry, names, patient=False),
        local=False,
        priority=None,
        summary=summary,
        operation=operation,
        key=str(names["idempotency_key"]),
    )


def _fair(command: StartActivity, call: ActivityCall, names: Names) -> StartActivity:
    """Return a command with the place of its call among others in a busy queue."""
    key = None if call.fairness_key is None else _fairness_key(call.fairness_key, names)
    weight = None if call.fairness_weight is None else _fairness_weight(call.fairness_weight, names)
    return replace(command, fairness_key=key, fairness_weight=weight)


def _fairness_key(value: Value, names: Names) -> str | None:
    key = text(value, names, "fairness_key")
    if key is not None and len(key.encode()) > FAIRNESS_KEY_BYTES:  # the server refuses the call, for ever
        raise Mistake(
            EXPRESSION_ERROR, f"`fairness_key` has at most {FAIRNESS_KEY_BYTES} bytes, found {len(key.encode())}"
        )
    return key


def _fairness_weight(weight: float | Value, names: Names) -> float:
    if isinstance(weight, float):
        return weight
    number = weight.render(names)
    if isinstance(number, bool) or not isinstance(number, int | float) or not WEIGHTS[0] <= number <= WEIGHTS[1]:
        found = shortened(repr(number), 40)
        raise Mistake(
            EXPRESSION_ERROR, f"`fairness_weight` must be a number from {WEIGHTS[0]} to {WEIGHTS[1]}, found `{found}`"
        )
    return float(number)


def child(
    run: Run, call: SagaCall, call_id: str, input_: Any, names: Names, *, summary: str, journal: bool
) -> StartChild:
    """Return the command for a child saga; its workflow id is the parent's id and the call's, unless one is chosen."""
    return StartChild(
        call_id=call_id,
        saga=call.saga,
        workflow_id=derived_id(run.state, call_id),
        input={} if input_ is None else input_,
        task_queue=_queue(run, call, names),
        summary=summary,
        wants_journal=journal,
    )


def receiver(run: Run, call: Send, names: Names) -> str:
    """Return the id of the workflow to which a signal goes."""
    to = text(call.to, names, "to")
    assert to is not None
    if len(to) > MAX_ID:
        raise Mistake(EXPRESSION_ERROR, f"`to` has at most {MAX_ID} characters, found {len(to)}")
    if to == run.state.saga_id:  # the server refuses it
        raise Mistake(SIGNAL_NOT_DELIVERED, f"signal `{call.signal}` cannot be sent: a saga sends itself no signal")
    return to


def send(call: Send, call_id: str, to: str, arguments: tuple[Any, ...], names: Names) -> SendSignal:
    """Return the command for a signal to another workflow. The key of the call is the id of the request."""
    request = "" if call.plain else request_of(names["idempotency_key"])
    return SendSignal(call_id, to, call.signal, arguments, request)


def _queue(run: Run, call: SagaCall, names: Names) -> str | None:
    queue = text(call.task_queue, names, "task_queue")
    if queue is not None and len(queue) > MAX_ID and run.state.rules >= 2:  # such a run would be found by nothing
        raise Mistake(INVALID_DEFINITION, f"`task_queue` of a saga has at most {MAX_ID} characters")
    return queue


def duration(value: Duration | None, names: Names, what: str) -> timedelta | None:
    """Return a length of time. If an expression gives it, it is checked here, before it is used (R13)."""
    return None if value is None else _length(value, names, what)


def _length(value: Duration, names: Names, what: str) -> timedelta:
    if isinstance(value, timedelta):
        return value
    text = value.render(names)
    if not isinstance(text, str):
        raise Mistake(EXPRESSION_ERROR, f"`{what}` must be a duration such as `30s`, found `{text!r}`")
    try:
        return parse(text)
    except ValueError as error:
        raise Mistake(EXPRESSION_ERROR, f"`{what}` is not a duration: {error}") from error


def _limit(value: Duration | None, names: Names, what: str) -> timedelta | None:
    if value is None:
        return None
    limit = value if isinstance(value, timedelta) else _length(value, names, what)
    if limit <= _NOTHING:  # Temporal takes 0 for "no limit", or refuses the call
        raise Mistake(EXPRESSION_ERROR, f"`{what}` must be longer than `0s`")
    return limit


def count(value: Count | None, names: Names, what: str) -> int | None:
    """Return a number. If an expression gives it, it is checked here, before it is used."""
    if not isinstance(value, Counted):
        return value
    number = value.value.render(names)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= value.most:
        found = shortened(repr(number), 40)
        raise Mistake(EXPRESSION_ERROR, f"`{what}` must be a whole number from 1 to {value.most}, found `{found}`")
    return number


def retry_plan(retry: Retry, names: Names, *, patient: bool) -> RetryPlan:
    """Return a retry policy with every expression computed.

    Args:
        patient: Retry without limit where the definition sets none (R44).
    """
    is_fixed = isinstance(retry.initial_interval, timedelta) and isinstance(retry.maximum_interval, timedelta)
    if is_fixed and not isinstance(retry.maximum_attempts, Counted):
        return _fixed_plan(retry, patient)
    return _plan(retry, names, patient=patient)


@lru_cache(maxsize=4096)  # the steps of a saga have few policies
def _fixed_plan(retry: Retry, patient: bool) -> RetryPlan:
    return _plan(retry, {}, patient=patient)


def _plan(retry: Retry, names: Names, *, patient: bool) -> RetryPlan:
    initial = _length(retry.initial_interval, names, "initial_interval")
    maximum = _length(retry.maximum_interval, names, "maximum_interval")
    return RetryPlan(
        maximum_attempts=(
            None if patient and not retry.explicit else count(retry.maximum_attempts, names, "maximum_attempts")
        ),
        initial_interval=initial,
        backoff_coefficient=retry.backoff_coefficient,
        maximum_interval=max(initial, maximum),  # Temporal refuses a maximum below the initial interval
        non_retryable_error_types=_as_recorded(retry.non_retryable_error_types),
    )


def _as_recorded(names: Sequence[str]) -> tuple[str, ...]:
    """Return error types as they may have been recorded: by class, and as written.

    Python records the class's name alone, Java the qualified one, and the server compares whole names.
    """
    if not names:
        return ()
    return tuple(dict.fromkeys(form for name in names for form in (class_name(name), name)))


def render_early(action: CompensationAction, step_id: str, names: Names) -> dict[str, Any]:
    """Render the part of a compensation's input that is known before its step *step_id* runs. R15."""
    value = action.call.input
    if value is None or not value.reads:
        return {}
    if value.items is None:
        return {} if _is_late(value.reads, step_id) else {"": value.render(names)}
    early = {}
    for key, part in value.items.items():
        reads = part.reads
        if reads and not _is_late(reads, step_id):
            early[key] = part.render(names)
    return early


def reads_name(action: CompensationAction, name: str) -> bool:
    """Whether something of a compensation reads *name*, so that it may have to be known when the step is undone."""
    call = action.call
    values: list[Any] = [call.input, call.to if isinstance(call, Send) else call.task_queue]
    if isinstance(call, ActivityCall):
        times, retry = call.timeouts, call.retry
        values += (times.start_to_close, times.schedule_to_close, times.schedule_to_start, times.heartbeat)
        values += (retry.initial_interval, retry.maximum_interval)
    reads = (each.reads for each in values if each is not None and not isinstance(each, timedelta))
    return any(chain[0] == name for chains in reads for chain in chains)


def render_late(value: Value, early: Mapping[str, Any], names: Names) -> Any:
    """Render the rest of a compensation's input, now that its step has ended."""
    if value.items is None:
        return early[""] if "" in early else value.render(names)
    if not value.reads:
        return value.render(names)
    return {key: early[key] if key in early else part.render(names) for key, part in value.items.items()}


def undo_names(run: Run, record: Record, undo: Undo, index: int | None) -> dict[str, Any]:
    """Return the names for a compensation's expressions: its step as it ended, other steps as of then (R14)."""
    saga = saga_to_undo(run.saga, record)
    names = past_scope(saga, run.state, undo, as_of=record.ended or None, now=record.started_at)
    error = record.error
    late = () if record.unheard is None else record.unheard.output
    names["step"] = {
        "input": record.input,
        "output": late[0] if late else record.output,
        "outcome": record.outcome._value_,  # `value` is a descriptor, and this is computed for each undo
        "idempotency_key": forward_key(run.state.caller, record.path, record.key),
        "error": None if error is None else {"type": error.type, "message": error.message},
    }
    body = saga.places[record.step].step.body
    if called := chosen(body, record):
        names["step"]["activity"] = called
    names["failure"] = failure_view(why_undone(run, record))
    names["idempotency_key"] = undo_key(run.state.caller, record.path, index, record.key)
    return names


def why_undone(run: Run, record: Record) -> Error:
    """Return the saga's failure; if a block was complete without this step, an error that says so (R40)."""
    return run.state.failure or Error(NOT_NEEDED, "the block was complete without this step", record.path)


@lru_cache(maxsize=4096)
def _is_late(reads: tuple[tuple[str, ...], ...], step_id: str) -> bool:
    """Say whether a value reads how its step ended; an expression may also name the step by its own id."""
    late = (*_LATE, ("steps", step_id))
    return any(chain[0] == "failure" or chain in _WHOLE or chain[:2] in late for chain in reads)


def text(value: Value | None, names: Names, what: str) -> str | None:
    if value is None:
        return None
    text = value.render(names)
    if not isinstance(text, str) or not text:
        raise Mistake(EXPRESSION_ERROR, f"`{what}` must be a text, found `{text!r}`")
    return text
