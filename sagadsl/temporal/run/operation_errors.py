"""Judges the end of a Nexus operation that did not succeed: what may it have done (R5, R118)? Replay-critical.

Measured on a real server (1.32):

- A synchronous operation, and the start of any, is tried again by the server, first after about a second. No event
  says how often it was tried. So an error proves that nothing happened only when there was no time for a second try, or
  when the operation had started: then it is the operation's own.
- An operation that ran into a limit is not told so, and goes on.
- An error of the handler comes inside of one that Nexus has made: ``HandlerError``, or one of type ``OperationError``.
"""

from __future__ import annotations

from nexusrpc import HandlerError
from temporalio.exceptions import ApplicationError, CancelledError, NexusOperationError, TimeoutError

from sagadsl.engine.call_errors import SECOND_TRY, never_sent, timed_out
from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity, Status
from sagadsl.immutable import replace
from sagadsl.language.own_errors import CANCELLED
from sagadsl.temporal.run.failures import MESSAGE_BYTES, NAMES, KnownEnd, bounded, error_of, report_of
from sagadsl.temporal.wire.nexus import MADE_BY_NEXUS


def operation_failed(command: StartActivity, error: BaseException, at: float, known: KnownEnd) -> Settled:
    """Return the end of an operation that did not succeed."""
    cause = error.__cause__ if isinstance(error, NexusOperationError) else error
    if isinstance(error, NexusOperationError) and not error.scheduled_event_id:
        return never_sent(command.call_id, at)
    match cause:
        case CancelledError():
            reported = Error(CANCELLED, "it was cancelled", command.call_id)
            return Settled(at, command.call_id, Outcome.UNKNOWN, error=reported, cancelled=True)
        case TimeoutError():
            reported = timed_out(command, NAMES.get(cause.type, "") if cause.type is not None else "")
            return Settled(at, command.call_id, Outcome.UNKNOWN, error=reported)
        case ApplicationError() | HandlerError():
            inner = _inside(cause)
            certain = _has_started(error) or _was_alone(known)
            undone = _is_undone(inner)
            outcome = Outcome.FAILED if certain and undone else Outcome.UNKNOWN
            return Settled(at, command.call_id, outcome, error=_reported(inner, command.call_id))
        case _:
            return Settled(at, command.call_id, Outcome.UNKNOWN, error=error_of(cause or error, command.call_id))


def to_look_up(error: BaseException, took: float) -> int:
    """Return the number of the event that scheduled the operation if its times tell more than *error*; else 0."""
    if not isinstance(error, NexusOperationError) or _has_started(error) or took < SECOND_TRY:
        return 0
    return error.scheduled_event_id if isinstance(error.__cause__, ApplicationError | HandlerError) else 0


def _has_started(error: BaseException) -> bool:
    return isinstance(error, NexusOperationError) and bool(error.operation_token)


def _was_alone(known: KnownEnd) -> bool:
    """Whether there was no time for a second try."""
    return min(known.took, known.took if known.record.since is None else known.record.since) < SECOND_TRY


def _inside(error: BaseException) -> BaseException:
    """Return the handler's own error."""
    while error.__cause__ is not None and (
        isinstance(error, HandlerError) or (isinstance(error, ApplicationError) and error.type == MADE_BY_NEXUS)
    ):
        error = error.__cause__
    return error


def _is_undone(error: BaseException) -> bool:
    """Whether a saga behind the operation says that it has undone itself; whoever else says no has done nothing."""
    report = report_of(error) if isinstance(error, ApplicationError) else {}
    return not report or report.get("status") in (Status.COMPENSATED.value, Status.REJECTED.value)


def _reported(error: BaseException, call_id: str) -> Error:
    found = error_of(error, call_id)
    if isinstance(error, HandlerError):
        return replace(found, type=error.raw_error_type, message=bounded(error.message, MESSAGE_BYTES))
    return found
