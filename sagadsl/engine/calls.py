"""Renders a call of the definition into the command that begins it. Replay-critical."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sagadsl.engine.facts import Error, RetryPlan, StartActivity, StartChild
from sagadsl.engine.journal import Record, Undo
from sagadsl.engine.run import Mistake, Run, past
from sagadsl.engine.scope import failure_view, scope
from sagadsl.language.model import ActivityCall, CompensationAction, Duration, Retry, SagaCall, Value
from sagadsl.language.notation.durations import parse
from sagadsl.language.notation.error_types import class_name
from sagadsl.language.own_errors import EXPRESSION_ERROR, INVALID_DEFINITION, NOT_NEEDED
from sagadsl.language.paths import MAX_ID, child_id, forward_key, undo_key

Names = Mapping[str, Any]
_LATE = (("step", "output"), ("step", "outcome"), ("step", "error"))
_WHOLE = (("step",), ("steps",))
_NOTHING = timedelta(0)


def activity(
    call: ActivityCall, call_id: str, arguments: tuple[Any, ...], names: Names, *, summary: str, patient: bool
) -> StartActivity:
    """Return the command for an activity; *patient* retries without limit where the definition sets none (R44)."""
    times = call.timeouts
    return StartActivity(
        call_id=call_id,
        activity=call.activity,
        arguments=arguments,
        task_queue=_text(call.task_queue, names, "task_queue"),
        start_to_close=_limit(times.start_to_close, names, "start_to_close"),
        schedule_to_close=_limit(times.schedule_to_close, names, "schedule_to_close"),
        schedule_to_start=_limit(times.schedule_to_start, names, "schedule_to_start"),
        heartbeat=_limit(times.heartbeat, names, "heartbeat"),
        retry=retry_plan(call.retry, names, patient=patient),
        local=call.local,
        priority=call.priority,
        summary=summary,
        secrets=call.secrets,
    )


def child(
    run: Run, call: SagaCall, call_id: str, input_: Any, names: Names, *, summary: str, journal: bool
) -> StartChild:
    """Return the command for a child saga; its workflow id is the parent's id and the call's."""
    return StartChild(
        call_id=call_id,
        saga=call.saga,
        workflow_id=child_of(run, call_id),
        input={} if input_ is None else input_,
        task_queue=_queue(run, call, names),
        summary=summary,
        wants_journal=journal,
    )


def child_of(run: Run, call_id: str) -> str:
    """Return the workflow id of the child saga that a call begins."""
    return child_id(run.state.caller, call_id, cut=run.state.rules >= 2)


def _queue(run: Run, call: SagaCall, names: Names) -> str | None:
    queue = _text(call.task_queue, names, "task_queue")
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
    limit = _length(value, names, what)
    if limit <= _NOTHING:  # Temporal takes 0 for "no limit", or refuses the call
        raise Mistake(EXPRESSION_ERROR, f"`{what}` must be longer than `0s`")
    return limit


def retry_plan(retry: Retry, names: Names, *, patient: bool) -> RetryPlan:
    initial = _length(retry.initial_interval, names, "initial_interval")
    maximum = _length(retry.maximum_interval, names, "maximum_interval")
    return RetryPlan(
        maximum_attempts=None if patient and not retry.explicit else retry.maximum_attempts,
        initial_interval=initial,
        backoff_coefficient=retry.backoff_coefficient,
        maximum_interval=max(initial, maximum),  # Temporal refuses a maximum below the initial interval
        non_retryable_error_types=_as_recorded(retry.non_retryable_error_types),
    )


def _as_recorded(names: Sequence[str]) -> tuple[str, ...]:
    """Return error types as they may have been recorded: by class, and as written.

    Python records the class's name alone, Java the qualified one, and the server compares whole names.
    """
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


def render_late(value: Value, early: Mapping[str, Any], names: Names) -> Any:
    """Render the rest of a compensation's input, now that its step has ended."""
    if value.items is None:
        return early[""] if "" in early else value.render(names)
    if not value.reads:
        return value.render(names)
    return {key: early[key] if key in early else part.render(names) for key, part in value.items.items()}


def undo_names(run: Run, record: Record, undo: Undo, index: int | None) -> dict[str, Any]:
    """Return the names for a compensation's expressions: its step as it ended, other steps as of then (R14)."""
    names = scope(run.saga, run.state, past(undo), as_of=record.ended or None)
    error = record.error
    names["step"] = {
        "input": record.input,
        "output": record.output,
        "outcome": record.outcome.value,
        "idempotency_key": forward_key(run.state.caller, record.path),
        "error": None if error is None else {"type": error.type, "message": error.message},
    }
    names["failure"] = failure_view(why_undone(run, record))
    names["idempotency_key"] = undo_key(run.state.caller, record.path, index)
    return names


def why_undone(run: Run, record: Record) -> Error:
    """Return the saga's failure; if a block was complete without this step, an error that says so (R40)."""
    return run.state.failure or Error(NOT_NEEDED, "the block was complete without this step", record.path)


@lru_cache(maxsize=4096)
def _is_late(reads: tuple[tuple[str, ...], ...], step_id: str) -> bool:
    """Say whether a value reads how its step ended; an expression may also name the step by its own id."""
    late = (*_LATE, ("steps", step_id))
    return any(chain[0] == "failure" or chain in _WHOLE or chain[:2] in late for chain in reads)


def _text(value: Value | None, names: Names, what: str) -> str | None:
    if value is None:
        return None
    text = value.render(names)
    if not isinstance(text, str) or not text:
        raise Mistake(EXPRESSION_ERROR, f"`{what}` must be a text, found `{text!r}`")
    return text
