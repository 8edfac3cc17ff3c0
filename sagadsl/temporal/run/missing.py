"""A worker that does not know an activity says nothing about the others of its queue. Replay-critical.

While workers are replaced one after the other, the old ones take calls that only the new ones can do. So a saga
waits and asks the queue again, until the limit for a call that nobody takes (``queue_limit``). An activity that a
worker does not know has not run: it uses up none of the step's attempts, and leaves nothing to undo.

- A worker of ours ends the call at once, and its error has a marker that only this end has.
- A plain worker of another SDK reports an ordinary error (measured), which the server retries by the step's policy.
  Its type and its message identify it. Go's type has only this meaning, so we tell the server not to retry it.
- A worker that cannot read an activity's input, because it lacks the codec or the storage, counts as not knowing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ActivityError, ApplicationError

from sagadsl.engine.call_errors import QUEUE_BOUND
from sagadsl.engine.facts import Error, Outcome, Settled, StartActivity
from sagadsl.engine.scope import iso
from sagadsl.immutable import Immutable, replace
from sagadsl.language.notation.durations import spell
from sagadsl.language.own_errors import ACTIVITY_NOT_FOUND
from sagadsl.temporal.run.failures import bounded, error_of
from sagadsl.temporal.wire.headers import with_header
from sagadsl.temporal.wire.marker import Recorded, outcome_of, unknown_in

GO_NOT_REGISTERED = "ActivityNotRegisteredError"
WAITS_HEADER = "sagadsl-waits"
"""Header of the calls of a saga that asks again by itself when a worker does not know the activity."""

_SAID = {
    "NotFoundError": "is not registered on this worker",  # Python, TypeScript, .NET, Ruby
    GO_NOT_REGISTERED: "unable to find activityType=",
    "java.lang.IllegalArgumentException": "is not registered with a worker",
}
"""Errors of the SDKs for an unknown activity: by type, a part of the message."""

_UNREAD = "Failed decoding arguments"
"""Message of Python's SDK for an input that it cannot read, whatever the cause."""

_READABLE_ELSEWHERE = {
    "CodecMissing": "there is no codec for that",
    "NotDecrypted": "the data cannot be read here",
    "CodecFailed": "the payload codec cannot decode",
    "RuntimeError": "[TMPRL1105]",  # an external storage that this worker does not have
}
"""Causes of that message where another worker may be able to read the input."""

_FIRST_PAUSE, _GROWS_BY, _LONGEST_PAUSE = 0.5, 1.5, 10.0
_CALM_FROM = 20_000
"""Events after which a run asks only once more: each time costs some ten."""


class UnknownActivity(Immutable):
    """The answer of a worker that does not know the activity of a call.

    Attributes:
        worker: The worker's identity.
        ran: Earlier attempts by workers that knew it, since the call was sent; ``None`` when nobody knows.
        clean: All earlier attempts have ended in a reported error.
        final: No other worker can be asked.
    """

    error: Error
    worker: str
    ran: int | None
    clean: bool
    final: bool


@dataclass(slots=True)
class UnservedCall:
    """A call that a worker did not know.

    Attributes:
        since: When the first worker answered so; ``times`` counts the answers.
        ran: Attempts that have run; ``clean`` if each of them has ended in a reported error.
        pause: The time until the queue is asked again, while that time runs.
    """

    since: float
    last: UnknownActivity
    times: int = 0
    ran: int = 0
    clean: bool = True
    pause: asyncio.Task[None] | None = None

    def add(self, miss: UnknownActivity) -> None:
        """Count one more worker that did not know the activity."""
        self.last, self.times = miss, self.times + 1
        self.ran += miss.ran or 0
        self.clean = self.clean and miss.clean

    def deadline(self, command: StartActivity, asked_at: float) -> float:
        """Return when to give up; *asked_at* is when the step first asked for the call."""
        at = self.since + (command.schedule_to_start or QUEUE_BOUND).total_seconds()
        return (
            at if command.schedule_to_close is None else min(at, asked_at + command.schedule_to_close.total_seconds())
        )

    def next_pause(self, left: float) -> float | None:
        """Return how long to wait before asking again, with *left* seconds to go; ``None`` when too few are left."""
        pause = min(_FIRST_PAUSE * _GROWS_BY ** min(self.times - 1, 10), _LONGEST_PAUSE)
        if left > _LONGEST_PAUSE and workflow.info().get_current_history_length() > _CALM_FROM:
            pause = left - 1
        return pause if pause < left else None

    def again(self, command: StartActivity, asked_at: float) -> StartActivity:
        """Return the call to send again, with the attempts and the time that are left."""
        retry, close = command.retry, command.schedule_to_close
        if retry.maximum_attempts is not None:
            retry = replace(retry, maximum_attempts=max(retry.maximum_attempts - self.ran, 1))
        if close is not None:
            close = timedelta(seconds=max(asked_at + close.total_seconds() - workflow.time(), 0.001))
        return replace(command, retry=retry, schedule_to_close=close)

    def gives_up(self, command: StartActivity, at: float) -> Settled:
        """Return the end of a call that no worker knew."""
        where = f"task queue `{command.task_queue}`" if command.task_queue else "the saga's task queue"
        asked = f"asked {self.times} times in {spell(timedelta(seconds=round(at - self.since)))}, at last "
        said = f"{asked if self.times > 1 else ''}worker `{self.last.worker}`: {self.last.error.message}"
        error = Error(
            ACTIVITY_NOT_FOUND,
            bounded(f"no worker on {where} knows `{command.activity}`; {said}"),
            command.call_id,
            ((self.last.error.type, self.last.error.message), *self.last.error.causes),
        )
        return Settled(at, command.call_id, Outcome.NOT_STARTED, error=error, attempts=0)

    def with_earlier(self, fact: Settled) -> Settled:
        """Return the end of the call, with the outcome of its earlier attempts taken into account."""
        outcome = fact.outcome
        if outcome is Outcome.NOT_STARTED and self.ran:
            outcome = Outcome.FAILED
        if outcome in (Outcome.NOT_STARTED, Outcome.FAILED) and not self.clean:
            outcome = Outcome.UNKNOWN
        attempts = None if fact.attempts is None else fact.attempts + self.ran
        return replace(fact, outcome=outcome, attempts=attempts)

    def as_json(self, command: StartActivity, asked_at: float) -> dict[str, Any]:
        """Return the call as the status shows it."""
        return {
            "path": command.call_id,
            "activity": command.activity,
            "worker": self.last.worker,
            "message": self.last.error.message,
            "times": self.times,
            "since": iso(self.since),
            "until": iso(self.deadline(command, asked_at)),
        }


def missed(command: StartActivity, error: BaseException, record: Recorded) -> UnknownActivity | None:
    """Return the answer of a worker that does not know the activity; ``None`` if *error* is anything else.

    If the step's own policy names the error type as one never to retry, the error counts as an ordinary one.
    """
    cause = error.__cause__ if isinstance(error, ActivityError) else error
    if not isinstance(cause, ApplicationError) or cause.type in command.retry.non_retryable_error_types:
        return None
    worker = error.identity if isinstance(error, ActivityError) else ""  # a local one: the saga's own worker
    reported = error_of(cause, command.call_id)
    if (final := unknown_in(cause.details)) is not None:
        attempt, clean = outcome_of(cause.details) or (1, False)
        return UnknownActivity(reported, worker, attempt - 1, clean, final)
    if not (_says(cause, _SAID) or (cause.message == _UNREAD and _says(cause.__cause__, _READABLE_ELSEWHERE))):
        return None
    first = record.attempt == 1
    return UnknownActivity(reported, worker, 0 if first else None, record.alone, final=False)


def _says(error: BaseException | None, known: Mapping[str, str]) -> bool:
    """Whether an error is one of the *known* ones."""
    return isinstance(error, ApplicationError) and known.get(error.type or "", "\0") in (error.message or "")


def waits_in(headers: Mapping[str, Payload]) -> bool:
    """Whether the caller of an activity asks again by itself when this worker does not know it."""
    return WAITS_HEADER in headers


def waiting(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    """Return the headers of a call whose saga asks again by itself."""
    return with_header(headers, WAITS_HEADER, True)
