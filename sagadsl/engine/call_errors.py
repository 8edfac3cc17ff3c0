"""The ends of calls that nobody answered: the same errors on Temporal and in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity
from sagadsl.language.notation.durations import spell
from sagadsl.language.own_errors import CANCELLED, TIMEOUT

NAMES_OF_TIMEOUTS = {"start_to_close": "TemporalTimeout:StartToClose", "heartbeat": "TemporalTimeout:Heartbeat"}
"""The names under which the server matches timeouts against ``non_retryable_error_types`` (temporal#2524)."""

SECOND_TRY = 0.7
"""Seconds before which the server does not try a Nexus operation a second time: its first pause has 0.99 or more
(measured). An error that comes sooner is the only answer to the only try (R118)."""

Causes = tuple[tuple[str, str], ...]
"""The causes of an error, nearest first, as (type, message)."""

QUEUE_BOUND = timedelta(minutes=10)
"""How long a call waits on another task queue than the saga's when the definition sets no limit. Without a bound, a
queue that nobody serves would hold the saga for ever (R54). The saga's own queue has a worker: the one that asks.
On any queue, a call waits equally long for a worker that knows its activity."""


def queue_limit(command: StartActivity, own: str | None = None) -> timedelta | None:
    """Return how long each attempt of a call may wait for a worker; *own* is the name of the saga's own queue."""
    unbounded = command.schedule_to_start is None and command.schedule_to_close is None
    return QUEUE_BOUND if unbounded and command.task_queue not in (None, own) else command.schedule_to_start


def timed_out(
    command: StartActivity, kind: str, *, queued: bool = False, last: Causes = (), in_force: bool = True
) -> Error:
    """Return the error of a call that ran into a limit: the kind, the limit, and the last real error (R16).

    Args:
        kind: ``start_to_close``, ``schedule_to_close``, ``schedule_to_start`` or ``heartbeat``; empty if unknown.
        queued: The call waited for a worker.
        last: The error of the last attempt that reported one, and its causes.
        in_force: The call reached the limit of the command; otherwise an operator may have set another limit.
    """
    text = spelled(command, kind) if in_force else unmeasured(kind)
    if queued:
        where = f"task queue `{command.task_queue}`" if command.task_queue else "the task queue"
        text += f": no worker took `{command.activity}` from {where}"
    if last:
        text += f"; the last error was {last[0][0]}: {last[0][1]}"
    return Error(TIMEOUT, text, command.call_id, last)


def stops_retries(kind: str, types: Sequence[str]) -> bool:
    """Whether a policy's non-retryable *types* contain a timeout, under our name or Temporal's."""
    return TIMEOUT in types or NAMES_OF_TIMEOUTS.get(kind) in types


def spelled(command: StartActivity, kind: str) -> str:
    """Return a limit of a call in words, e.g. ``start_to_close timeout of 5s``."""
    limit = limit_of(command, kind)
    return unmeasured(kind) + ("" if limit is None else f" of {spell(limit)}")


def unmeasured(kind: str) -> str:
    """Return a limit in words when nobody has recorded its length."""
    return f"{kind or 'activity'} timeout"


def limit_of(command: StartActivity, kind: str) -> timedelta | None:
    """Return a limit of a call as the command has it."""
    return queue_limit(command) if kind == "schedule_to_start" else getattr(command, kind) if kind else None


def never_sent(call_id: str, at: float) -> Settled:
    """Return the end of a call that was cancelled before its command left the worker (R2)."""
    error = Error(CANCELLED, "it was cancelled before it started", call_id)
    return Settled(at, call_id, Outcome.NOT_STARTED, error=error, cancelled=True, attempts=0)
