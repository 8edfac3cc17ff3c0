"""Judges what a Temporal failure says about the world: exception in, ``Settled`` out. Replay-critical.

Pure, and without rules about sagas: it answers "what may this call have done?" (R5), and gives
the error that people read. The following was measured on a real server (1.32):

- A cancelled activity that no worker had taken looks like one that waits between two attempts
  (``started_event_id`` is 0 in both). So only a single allowed attempt can prove that it was not taken.
- An activity that was cancelled before its command left the worker has ``scheduled_event_id`` 0.
- A call in a queue that nobody serves ends with ``SCHEDULE_TO_START``, whichever limit it ran into. Its
  cause is the last attempt's error; without an attempt there is no cause.
- When no time is left for another attempt, the call ends with ``SCHEDULE_TO_CLOSE``, or with the last attempt's
  error and ``retry_state`` ``TIMEOUT``. In both cases nothing is running (``started_event_id`` is 0 in the former).
- Only the last attempt's error arrives. Our own worker adds whether the earlier attempts were
  clean; for other workers ``attempts`` looks up the server's record.
- No event records what an operator changes while a call is under way (``activity pause``, ``reset``,
  ``update-options``). So neither a limit nor the number of allowed attempts proves anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    RetryState,
    ServerError,
    TerminatedError,
    TimeoutError,
    TimeoutType,
    WorkflowAlreadyStartedError,
)

from sagadsl.engine.call_errors import limit_of, never_sent, timed_out, unmeasured
from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity, StartChild, Status
from sagadsl.engine.matching import BY_CLASS
from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.notation.error_types import WRAPPERS
from sagadsl.language.own_errors import CANCELLED, TIMEOUT, WORKFLOW_ALREADY_STARTED
from sagadsl.temporal.wire.marker import CUT_BY_THE_SERVER, Recorded, outcome_of, place_in

MESSAGE_BYTES = 8 * 1024
_CAUSE_BYTES = 1024
_CAUSES = 8

_EARLY_SECONDS, _LATE_SECONDS = 0.1, 2.0
"""How much the server's timers may be early or late."""

NAMES = {
    TimeoutType.START_TO_CLOSE: "start_to_close",
    TimeoutType.SCHEDULE_TO_START: "schedule_to_start",
    TimeoutType.SCHEDULE_TO_CLOSE: "schedule_to_close",
    TimeoutType.HEARTBEAT: "heartbeat",
}


class KnownEnd(Immutable):
    """What is known of the end of a call beside its error.

    Attributes:
        rules: The version of the rules that the run is under.
        took: Seconds since the workflow asked for the call.
        record: What was looked up; see ``to_look_up``.
    """

    rules: int
    took: float
    record: Recorded = field(default_factory=Recorded)


def activity_failed(command: StartActivity, error: BaseException, at: float, known: KnownEnd) -> Settled:
    """Return the end of a call that did not succeed."""
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    match cause:
        case CancelledError():
            return _cancelled(command, error, at, known)
        case TimeoutError():
            return _timed_out(command, error, cause, at, known)
        case ApplicationError():
            return _reported(command, error, cause, at, known)
        case _:  # a server or SDK failure, or one without a cause: nobody knows
            return Settled(at, command.call_id, Outcome.UNKNOWN, error=error_of(cause or error, command.call_id))


def to_look_up(command: StartActivity, error: BaseException, rules: int) -> ActivityError | None:
    """Return *error* when the server's record tells more than the error itself, else ``None``."""
    if rules < 2 or command.local or not isinstance(error, ActivityError):
        return None
    cause = error.__cause__
    reported = isinstance(cause, ApplicationError) and _mark(cause)[0] is None
    return error if reported or isinstance(cause, TimeoutError) else None


def child_failed(command: StartChild, error: BaseException, at: float) -> Settled:
    """Return the end of a child saga that did not complete: it has undone itself, or says what is left to undo."""
    call_id = command.call_id
    if isinstance(error, WorkflowAlreadyStartedError):
        in_use = "is open, or has completed" if command.chosen else "is in use"
        message = f"child saga `{command.saga}` cannot start: workflow id `{command.workflow_id}` {in_use}"
        return Settled(at, call_id, Outcome.NOT_STARTED, error=Error(WORKFLOW_ALREADY_STARTED, message, call_id))
    cause = error.__cause__ if isinstance(error, ChildWorkflowError) else error
    match cause:
        case CancelledError():  # only a saga that has undone what it had to closes Canceled
            reported = Error(CANCELLED, f"child saga `{command.saga}` was cancelled", call_id)
            return Settled(at, call_id, Outcome.FAILED, error=reported, cancelled=True)
        case ApplicationError():
            report = report_of(cause)
            undone = report.get("status") in (Status.COMPENSATED.value, Status.REJECTED.value)
            outcome = Outcome.FAILED if undone else Outcome.UNKNOWN
            said = replace(error_of(cause, call_id), result=_said(report))
            return Settled(at, call_id, outcome, error=said)
        case TimeoutError():
            reported = Error(TIMEOUT, f"child saga `{command.saga}` ran into a timeout of the server", call_id)
            return Settled(at, call_id, Outcome.UNKNOWN, error=reported)
        case TerminatedError():
            reported = Error("terminated", f"child saga `{command.saga}` was terminated", call_id)
            return Settled(at, call_id, Outcome.UNKNOWN, error=reported)
        case _:
            return Settled(at, call_id, Outcome.UNKNOWN, error=error_of(cause or error, call_id))


def _said(report: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the result with which a child saga has said no; empty if it has not."""
    failure = report.get("failure") if report.get("status") == Status.REJECTED.value else None
    return (failure["result"],) if isinstance(failure, Mapping) and "result" in failure else ()


def report_of(error: ApplicationError) -> Mapping[str, Any]:
    """Return the report that a failed saga carries in its details; empty for anything else."""
    first = error.details[0] if error.details else None
    return first if isinstance(first, Mapping) and "status" in first else {}


def error_of(error: BaseException, step: str) -> Error:
    """Return *error* and its causes in the form of reports."""
    first, *behind = _chain(error)
    place = place_in(first.details) if isinstance(first, ApplicationError) else ""
    return Error(_type(first), bounded(_message(first), MESSAGE_BYTES), step, _causes(behind), place=place)


def bounded(text: str, limit: int = MESSAGE_BYTES) -> str:
    """Return *text* cut to *limit* bytes of UTF-8, with a note that it is cut: dumps do not belong in histories."""
    data = text.encode("utf-8", "replace")  # half a character would block the workflow task that reports it
    if len(data) <= limit:
        return data.decode()
    return data[: limit - 24].decode("utf-8", "ignore") + f" … ({len(data)} bytes)"


def _cancelled(command: StartActivity, error: BaseException, at: float, known: KnownEnd) -> Settled:
    """R5: the outcome of a call that was cancelled while it ran is unknown. R2: a call that never started has nothing
    to undo."""
    if isinstance(error, ActivityError) and not command.local:
        if not error.scheduled_event_id:
            return never_sent(command.call_id, at)
        # Since rules 2 a single allowed attempt is no proof: an operator's pause ends it and begins another one.
        untaken = command.retry.maximum_attempts == 1 if known.rules < 2 else known.record.attempt == 0
        if not error.started_event_id and untaken:
            reported = Error(CANCELLED, "it was cancelled before a worker took it", command.call_id)
            return Settled(at, command.call_id, Outcome.NOT_STARTED, error=reported, cancelled=True, attempts=0)
    reported = Error(CANCELLED, "it was cancelled", command.call_id)
    return Settled(at, command.call_id, Outcome.UNKNOWN, error=reported, cancelled=True)


def _timed_out(
    command: StartActivity, error: BaseException, cause: TimeoutError, at: float, known: KnownEnd
) -> Settled:
    last = cause.__cause__
    kind = NAMES.get(cause.type, "") if cause.type is not None else ""
    queued, waits = kind == "schedule_to_start", _waits(command, error, cause)
    since = known.took if known.record.since is None else known.record.since
    if queued and command.schedule_to_close is not None and since >= command.schedule_to_close.total_seconds():
        kind = "schedule_to_close"
    in_force = command.local or _in_force(command, kind, since, known.record.ran, first=last is None)
    outcome, attempts = Outcome.UNKNOWN, known.record.attempt
    if waits:  # nothing is running, so the earlier attempts decide
        attempt, clean = _mark(last)
        attempts = attempt
        if last is None:  # an operator's reset hides them
            untaken = known.rules < 2 or (queued and in_force)
            outcome, attempts = (Outcome.NOT_STARTED, 0) if untaken else (Outcome.UNKNOWN, None)
        elif clean:
            outcome = Outcome.FAILED
    reported = _limit_reached(command, kind, last, queued=queued, in_force=in_force)
    return Settled(at, command.call_id, outcome, error=reported, attempts=attempts, began=known.record.began)


def _waits(command: StartActivity, error: BaseException, cause: TimeoutError) -> bool:
    """Whether the time ran out in the queue, or between two attempts."""
    if cause.type == TimeoutType.SCHEDULE_TO_START:
        return True
    ended = isinstance(error, ActivityError) and not error.started_event_id and not command.local
    return ended and cause.type == TimeoutType.SCHEDULE_TO_CLOSE


def _in_force(command: StartActivity, kind: str, since: float, ran: float | None, *, first: bool) -> bool:
    """Whether the call can have reached the limit that was sent: an operator may change it while a call waits.

    Args:
        since: Seconds since the call was scheduled.
        ran: Seconds that the last attempt ran; ``None`` when nobody knows.
        first: The call waited for its first attempt.
    """
    limit = limit_of(command, kind)
    if limit is None:
        return True
    sent, lasted = limit.total_seconds(), since
    if kind in ("start_to_close", "heartbeat"):
        if ran is None:
            return False
        lasted = ran
    if lasted < sent - _EARLY_SECONDS:
        return False
    # The heartbeat timeout begins anew with each heartbeat, the queue's with each attempt.
    open_ended = kind == "heartbeat" or (kind == "schedule_to_start" and not first)
    return open_ended or lasted <= sent + _LATE_SECONDS


def _limit_reached(
    command: StartActivity, kind: str, last: BaseException | None, *, queued: bool = False, in_force: bool = True
) -> Error:
    """Name the kind of timeout, the limit, and the last real error, which would be hidden otherwise."""
    causes = _causes(list(_chain(last))) if last is not None else ()
    if isinstance(last, TimeoutError) and last.type is not None:
        causes = ((TIMEOUT, unmeasured(NAMES.get(last.type, ""))), *causes[1:])
    error = timed_out(command, kind, queued=queued, last=causes, in_force=in_force)
    place = error_of(last, command.call_id).place if last is not None else ""
    return replace(error, message=bounded(error.message), place=place)


def _reported(
    command: StartActivity, error: BaseException, cause: ApplicationError, at: float, known: KnownEnd
) -> Settled:
    attempt, clean = _mark(cause)
    if attempt is None:
        attempt = known.record.attempt
        clean = known.record.alone if known.rules >= 2 else _none_was_silent(command, known.took)
    outcome = Outcome.FAILED if clean else Outcome.UNKNOWN
    reported = error_of(cause, command.call_id)
    if known.rules >= BY_CLASS:
        reported = _unwrapped(reported)
    if isinstance(error, ActivityError) and error.retry_state == RetryState.TIMEOUT:  # no time for another attempt
        total = command.schedule_to_close
        pause = command.retry.pause(attempt or 1)
        in_force = total is None or known.took + pause >= total.total_seconds() >= known.took - _LATE_SECONDS
        reported = _limit_reached(command, "schedule_to_close", cause, in_force=in_force)
    return Settled(at, command.call_id, outcome, error=reported, attempts=attempt)


def _unwrapped(error: Error) -> Error:
    """Return *error* under the type of its cause when its own type says nothing."""
    types = [error.type, *(type_ for type_, _ in error.causes)]
    return replace(error, type=next((each for each in types if each not in WRAPPERS), error.type))


def _none_was_silent(command: StartActivity, took: float) -> bool:
    """Whether every attempt must have reported its error itself. Only for runs under rules 1.

    An attempt that reports nothing holds the call for one whole start_to_close or heartbeat timeout, and the
    next attempt comes a first back-off later. So if the call took less time, there was no such attempt.
    This ignores what a stopping worker reports, and what operators do.
    """
    if command.retry.maximum_attempts == 1:
        return True
    silences = [limit for limit in (command.start_to_close, command.heartbeat) if limit]
    if not silences:  # schedule_to_close alone bounds an attempt, and ends the call with it
        return True
    return took < (min(silences) + command.retry.initial_interval).total_seconds()


def _mark(error: BaseException | None) -> tuple[int | None, bool]:
    """Return the number of the attempt and whether all attempts were clean, if our worker said so."""
    marked = outcome_of(error.details) if isinstance(error, ApplicationError) else None
    return marked or (None, False)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk the causes, leaving out Temporal's own wrappers, which say nothing."""
    current: BaseException | None = error
    while current is not None:
        if current.__cause__ is None or not _wraps(current):
            yield current
        current = current.__cause__


def _wraps(error: BaseException) -> bool:
    cut = isinstance(error, ServerError) and error.message == CUT_BY_THE_SERVER
    return cut or isinstance(error, ActivityError | ChildWorkflowError)


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
