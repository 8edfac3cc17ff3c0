"""What a host tells the engine, and what the engine asks of a host. Replay-critical.

Facts are things that have happened: they cannot be argued with, and every fact is legal
in every state. Commands begin something and return at once; how it ends is a fact again.
Instants are seconds since 1970 (UTC), as the host's own clock gives them.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Any

from sagadsl.engine.verbs import Verb
from sagadsl.immutable import Derived, Immutable
from sagadsl.language.expressions.secrets import Named


class Outcome(Enum):
    """How a call ended: what is known of its effect. R5."""

    NOT_STARTED = "not_started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Status(Enum):
    """The status of a saga. The first three are open, the others final."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Error(Immutable):
    """An error, as it is matched, reported and shown.

    Attributes:
        type: What ``on_error``, ``already_undone`` and retry policies match; ``timeout`` for a timeout.
        message: One sentence; the code that makes the error bounds its length.
        step: Path of the step it belongs to; empty for an error of the saga itself (its timeout, a bad definition).
        causes: The causes of the error, nearest first, as (type, message).
    """

    type: str
    message: str
    step: str = ""
    causes: tuple[tuple[str, str], ...] = ()


class Began(Immutable):
    """The run starts: the first fact, once.

    Attributes:
        generation: Tells a saga that begins anew from the one that has ended under the same id; see
            ``language.paths``.
        wants_journal: Its parent may have to undo it when it has completed.
    """

    at: float
    saga_id: str
    run_id: str
    input: Any
    generation: str = ""
    wants_journal: bool = False


class BeganUndo(Immutable):
    """A completed saga has to undo itself: ``journal`` is the snapshot that it returned. R46, R47."""

    at: float
    run_id: str
    journal: Any
    failure: Error


class Resumed(Immutable):
    """The run goes on after continue-as-new, with the state that the old run carried over."""

    at: float
    run_id: str


class Settled(Immutable):
    """A call has ended, by itself or because it was cancelled.

    Attributes:
        cancelled: It ended because it was cancelled.
        attempts: Attempts made, if the host knows.
        journal: For a child saga that completed: the snapshot with which it can undo itself.
    """

    at: float
    call_id: str
    outcome: Outcome
    output: Any = None
    error: Error | None = None
    cancelled: bool = False
    attempts: int | None = None
    journal: Any = None


class TimerFired(Immutable):
    at: float
    timer_id: str


class SignalReceived(Immutable):
    """A declared signal with a payload that its schema has accepted.

    Attributes:
        request: An id that the sender has chosen: signals with the same id count once. Empty: none was chosen.
        came_at: When the signal came, if the host knows that this was before ``at``, when the engine hears of it.
    """

    at: float
    name: str
    payload: Any
    request: str = ""
    came_at: float | None = None


class CancelRequested(Immutable):
    """Somebody asked the saga to stop. Later requests change nothing. R28.

    Attributes:
        by: Who asked, and ``why`` the reason; empty if the request does not say.
    """

    at: float
    by: str = ""
    why: str = ""


class OperatorAsked(Immutable):
    """An operator's request; ``operator.refusal`` has found it possible.

    Attributes:
        path: For ``RETRY_STEP`` and ``SKIP_STEP``: the step or call that waits; empty when only one waits.
        request: Its id: decisions with the same id count once.
        occurrence: Which wait of ``path`` the operator has seen, by number; ``None``: any.
    """

    at: float
    verb: Verb
    path: str = ""
    by: str = ""
    why: str = ""
    request: str = ""
    occurrence: int | None = None


class DrainRequested(Immutable):
    """Start nothing new; ask for continue-as-new as soon as nothing is in flight. R50."""

    at: float


class HistoryFull(Immutable):
    """The host has only room for undoing left: stop, and undo while there is room. R51."""

    at: float


Fact = (
    Began
    | BeganUndo
    | Resumed
    | Settled
    | TimerFired
    | SignalReceived
    | CancelRequested
    | OperatorAsked
    | DrainRequested
    | HistoryFull
)


class RetryPlan(Immutable):
    """A retry policy with every expression computed; ``maximum_attempts`` ``None`` means no limit."""

    maximum_attempts: int | None
    initial_interval: timedelta
    backoff_coefficient: float
    maximum_interval: timedelta
    non_retryable_error_types: tuple[str, ...]

    def pause(self, attempt: int) -> float:
        """Return the seconds between this attempt and the next, as Temporal's server computes them."""
        longest = self.maximum_interval.total_seconds()
        try:
            growth = self.backoff_coefficient ** (attempt - 1)
        except OverflowError:
            return longest
        return min(self.initial_interval.total_seconds() * growth, longest)


class StartActivity(Immutable):
    """Begin an activity.

    Attributes:
        call_id: Its id on the host: the step's path, the purpose of the call, and its number when repeated; see
            ``language.paths``.
        arguments: None or one JSON value.
        task_queue: ``None`` is the saga's own.
        summary: One line for people.
        secrets: The secrets that the definition itself names in the input.
    """

    call_id: str
    activity: str
    arguments: tuple[Any, ...]
    task_queue: str | None
    start_to_close: timedelta | None
    schedule_to_close: timedelta | None
    schedule_to_start: timedelta | None
    heartbeat: timedelta | None
    retry: RetryPlan
    local: bool
    priority: int | None
    summary: str
    secrets: Derived[Named | None] = None


class StartChild(Immutable):
    """Begin a child saga.

    Attributes:
        workflow_id: Derived from the parent's id and the path, so that it is the same at every attempt.
        wants_journal: The child returns its journal with its output, since it may have to undo itself later.
        journal: A packed snapshot: if set, the child only undoes what the snapshot says was done. It has the id of the
            child that completed, so that the keys are the same; the host must allow the id again.
        failure: With ``journal``: why it is undone.
    """

    call_id: str
    saga: str
    workflow_id: str
    input: Any
    task_queue: str | None
    summary: str
    wants_journal: bool = False
    journal: Any = None
    failure: Error | None = None


class Cancel(Immutable):
    """Ask a running call to stop; it settles like any other. Asking twice changes nothing."""

    call_id: str


class StartTimer(Immutable):
    """Set a timer to an absolute instant; one that has passed fires at once."""

    timer_id: str
    due: float
    summary: str


class CancelTimer(Immutable):
    """Forget a timer; it does not fire any more."""

    timer_id: str


class ContinueAsNew(Immutable):
    """Nothing is in flight: start over with a snapshot of the state."""


class Close(Immutable):
    """The saga is over: the last command.

    Attributes:
        status: One of the four final ones.
        output: The result of a completed saga.
        failure: The first error of any other saga. R23. ``None`` with ``COMPENSATED`` marks a run that existed
            only to undo a completed one and has done so: for its parent that is a success.
        journal: What undoing a completed saga needs, if its parent wants it; packed (see ``squeeze``).
    """

    status: Status
    output: Any = None
    failure: Error | None = None
    journal: Any = None


Command = StartActivity | StartChild | Cancel | StartTimer | CancelTimer | ContinueAsNew | Close
