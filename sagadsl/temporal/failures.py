"""What a Temporal failure says about the world: exception -> ``Settled``. Replay-critical.

Pure. Knows no saga rules: it answers "what may this call have done?" (RULES R5) and hands
over what people want to read. The facts below were measured on a real server (1.32):

- A cancelled activity that nobody had picked up and one in its retry back-off look the same
  (``started_event_id`` 0), so the former is provable only when there is just one attempt.
- One that was cancelled before its command left the worker has ``scheduled_event_id`` 0.
- A queue that nobody serves ends with ``SCHEDULE_TO_START``, whichever limit it ran into; the
  cause is the last attempt's error, and there is none when there was no attempt.
- When no time is left for another attempt, a ``SCHEDULE_TO_CLOSE`` arrives, or the last attempt's error
  with ``retry_state`` ``TIMEOUT``; in both nothing is running (``started_event_id`` is 0 in the former).
- Only the last attempt's error arrives. Our own worker adds whether the earlier ones were
  clean; for others, time tells: see ``_none_was_silent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    RetryState,
    TerminatedError,
    TimeoutError,
    TimeoutType,
    WorkflowAlreadyStartedError,
)

from sagadsl.engine.ends import CANCELLED, TIMEOUT, never_sent, spelled, timed_out
from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity, StartChild, Status
from sagadsl.temporal.marker import outcome_of

MESSAGE_BYTES = 8 * 1024
_CAUSE_BYTES = 1024
_CAUSES = 8

_NAMES = {
    TimeoutType.START_TO_CLOSE: "start_to_close",
    TimeoutType.SCHEDULE_TO_START: "schedule_to_start",
    TimeoutType.SCHEDULE_TO_CLOSE: "schedule_to_close",
    TimeoutType.HEARTBEAT: "heartbeat",
}


def activity_failed(command: StartActivity, error: BaseException, at: float, took: float) -> Settled:
    """Return how a call ended that did not succeed; *took* is the time since it was scheduled, in seconds."""
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    match cause:
        case CancelledError():
            return _cancelled(command, error, at)
        case TimeoutError():
            return _timed_out(command, error, cause, at, took)
        case ApplicationError():
            return _reported(command, error, cause, at, took)
        case _:  # a server or SDK failure, or one without a cause: nobody knows
            return Settled(at, command.call_id, Outcome.UNKNOWN, error=error_of(cause or error, command.call_id))


def child_failed(command: StartChild, error: BaseException, at: float) -> Settled:
    """Return how a child saga ended that did not complete: it has undone itself, or says what is left."""
    call_id = command.call_id
    if isinstance(error, WorkflowAlreadyStartedError):
        message = f"child saga `{command.saga}` cannot start: workflow id `{command.workflow_id}` is in use"
        return Settled(at, call_id, Outcome.NOT_STARTED, error=Error("WorkflowAlreadyStarted", message, call_id))
    cause = error.__cause__ if isinstance(error, ChildWorkflowError) else error
    match cause:
        case CancelledError():  # DESIGN.md §4: only a saga that has undone what it had to closes Canceled
            told = Error(CANCELLED, f"child saga `{command.saga}` was cancelled", call_id)
            return Settled(at, call_id, Outcome.FAILED, error=told, cancelled=True)
        case ApplicationError():
            undone = report_of(cause).get("status") == Status.COMPENSATED.value
            outcome = Outcome.FAILED if undone else Outcome.UNKNOWN
            return Settled(at, call_id, outcome, error=error_of(cause, call_id))
        case TimeoutError():
            told = Error(TIMEOUT, f"child saga `{command.saga}` ran into a timeout of the server", call_id)
            return Settled(at, call_id, Outcome.UNKNOWN, error=told)
        case TerminatedError():
            told = Error("terminated", f"child saga `{command.saga}` was terminated", call_id)
            return Settled(at, call_id, Outcome.UNKNOWN, error=told)
        case _:
            return Settled(at, call_id, Outcome.UNKNOWN, error=error_of(cause or error, call_id))


def report_of(error: ApplicationError) -> Mapping[str, Any]:
    """Return the report that a failed saga carries in its details; empty for anything else."""
    first = error.details[0] if error.details else None
    return first if isinstance(first, Mapping) and "status" in first else {}


def error_of(error: BaseException, step: str) -> Error:
    """Return *error* and what lies behind it, as it is reported."""
    first, *behind = _chain(error)
    return Error(_type(first), bounded(_message(first), MESSAGE_BYTES), step, _causes(behind))


def bounded(text: str, limit: int = MESSAGE_BYTES) -> str:
    """Return *text* cut to *limit* bytes of UTF-8, and saying so: histories are no place for dumps."""
    data = text.encode("utf-8", "replace")  # half a character would block the workflow task that reports it
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 24].decode("utf-8", "ignore") + f" … ({len(data)} bytes)"


def _cancelled(command: StartActivity, error: BaseException, at: float) -> Settled:
    """R5: cancelled while it ran is unknown; R2: what never started has nothing to undo."""
    if isinstance(error, ActivityError) and not command.local:
        if not error.scheduled_event_id:
            return never_sent(command.call_id, at)
        if not error.started_event_id and command.retry.maximum_attempts == 1:
            told = Error(CANCELLED, "it was cancelled before a worker took it", command.call_id)
            return Settled(at, command.call_id, Outcome.NOT_STARTED, error=told, cancelled=True, attempts=0)
    told = Error(CANCELLED, "it was cancelled", command.call_id)
    return Settled(at, command.call_id, Outcome.UNKNOWN, error=told, cancelled=True)


def _timed_out(command: StartActivity, error: BaseException, cause: TimeoutError, at: float, took: float) -> Settled:
    last = cause.__cause__
    attempt, clean = _mark(last)
    outcome, attempts = Outcome.UNKNOWN, _attempts(command, error, attempt)
    if _waits(command, error, cause):  # nothing is running, so the earlier attempts decide
        if last is None:
            outcome, attempts = Outcome.NOT_STARTED, 0
        elif clean:
            outcome = Outcome.FAILED
    kind = _NAMES.get(cause.type, "") if cause.type is not None else ""
    queued, total = kind == "schedule_to_start", command.schedule_to_close
    if queued and total is not None and took >= total.total_seconds():
        kind = "schedule_to_close"
    return Settled(at, command.call_id, outcome, error=_limit_reached(command, kind, last, queued), attempts=attempts)


def _waits(command: StartActivity, error: BaseException, cause: TimeoutError) -> bool:
    """Whether the time ran out in the queue, or between two attempts."""
    if cause.type == TimeoutType.SCHEDULE_TO_START:
        return True
    ended = isinstance(error, ActivityError) and not error.started_event_id and not command.local
    return ended and cause.type == TimeoutType.SCHEDULE_TO_CLOSE


def _limit_reached(command: StartActivity, kind: str, last: BaseException | None, queued: bool = False) -> Error:
    """R16: the kind, the limit, and the last real error, which would be hidden otherwise."""
    causes = _causes(list(_chain(last))) if last is not None else ()
    if isinstance(last, TimeoutError) and last.type is not None:
        causes = ((TIMEOUT, spelled(command, _NAMES.get(last.type, ""))), *causes[1:])
    told = timed_out(command, kind, queued=queued, last=causes)
    return replace(told, message=bounded(told.message))


def _reported(command: StartActivity, error: BaseException, cause: ApplicationError, at: float, took: float) -> Settled:
    attempt, clean = _mark(cause)
    if attempt is None:
        clean = _none_was_silent(command, took)
    outcome = Outcome.FAILED if clean else Outcome.UNKNOWN
    told = error_of(cause, command.call_id)
    if isinstance(error, ActivityError) and error.retry_state == RetryState.TIMEOUT:  # no time for another attempt
        told = _limit_reached(command, "schedule_to_close", cause)
    return Settled(at, command.call_id, outcome, error=told, attempts=_attempts(command, error, attempt))


def _attempts(command: StartActivity, error: BaseException, marked: int | None) -> int | None:
    """Return how many attempts were made, as far as anybody told."""
    if marked is not None:
        return marked
    if isinstance(error, ActivityError) and error.retry_state == RetryState.MAXIMUM_ATTEMPTS_REACHED:
        return command.retry.maximum_attempts
    return 1 if command.retry.maximum_attempts == 1 else None


def _none_was_silent(command: StartActivity, took: float) -> bool:
    """Whether every attempt must have ended in an error that it reported itself.

    An attempt that did not report holds the call for one whole start_to_close or heartbeat
    timeout, and the next one comes a first back-off later: in less time there was none.
    """
    if command.retry.maximum_attempts == 1:
        return True
    silences = [limit for limit in (command.start_to_close, command.heartbeat) if limit]
    if not silences:  # schedule_to_close alone bounds an attempt, and ends the call with it
        return True
    return took < (min(silences) + command.retry.initial_interval).total_seconds()


def _mark(error: BaseException | None) -> tuple[int | None, bool]:
    """Return the attempt and whether all were clean, if our worker said so."""
    told = outcome_of(error.details) if isinstance(error, ApplicationError) else None
    return told or (None, False)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk the causes, leaving out Temporal's own wrappers, which say nothing (R17)."""
    current: BaseException | None = error
    while current is not None:
        if not isinstance(current, ActivityError | ChildWorkflowError) or current.__cause__ is None:
            yield current
        current = current.__cause__


def _causes(behind: list[BaseException]) -> tuple[tuple[str, str], ...]:
    return tuple((_type(error), bounded(_message(error), _CAUSE_BYTES)) for error in behind[:_CAUSES])


def _type(error: BaseException) -> str:
    match error:
        case ApplicationError():
            return error.type or "Error"  # Go's plain errors have no type
        case TimeoutError():
            return TIMEOUT
        case CancelledError():
            return CANCELLED
        case _:
            return type(error).__name__


def _message(error: BaseException) -> str:
    return getattr(error, "message", "") or str(error)
