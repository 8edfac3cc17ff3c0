"""What a host tells the engine, and what the engine asks of a host. Replay-critical.

Facts are things that have happened: they cannot be argued with, and every fact is legal
in every state. Commands begin something and return at once; how it ends is a fact again.
Instants are seconds since 1970 (UTC), as the host's own clock gives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from sagadsl.engine.verbs import Verb
from sagadsl.immutable import Derived, Immutable
from sagadsl.language.calls import Operation
from sagadsl.language.expressions.secrets import Named


class Outcome(Enum):
    """How a call ended: what is known of its effect. R5."""

    NOT_STARTED = "not_started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Status(Enum):
    """The status of a saga. The first three are open, the others final.

    ``REJECTED``: the saga has said no on purpose (``fail`` with a ``result``), and all that it had done is undone.
    """

    RUNNING = "running"
    COMPENSATING = "compensating"
    PAUSED = "paused"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REJECTED = "rejected"


class Error(Immutable):
    """An error, as it is matched, reported and shown.

    Attributes:
        type: What ``on_error``, ``already_undone`` and retry policies match; ``timeout`` for a timeout.
        message: One sentence; the code that makes the error bounds its length.
        step: Path of the step it belongs to; empty for an error of the saga itself (its timeout, a bad definition).
        causes: The causes of the error, nearest first, as (type, message).
        result: Empty, or what a saga that says no with this error gives.
        place: Where the code of an activity raised it, if its author did not mean to: ``activities.py:12 in charge``.
    """

    type: str
    message: str
    step: str = ""
    causes: tuple[tuple[str, str], ...] = ()
    result: Derived[tuple[Any, ...]] = ()
    place: Derived[str] = ""


class Began(Immutable):
    """The run starts: the first fact, once.

    Attributes:
        generation: Tells a saga that begins anew from the one that has ended under the same id; see
            ``language.paths``.
        wants_journal: Its parent may have to undo it when it has completed.
        page: The address of the gateway's page; empty if whoever started the run did not say.
    """

    at: float
    saga_id: str
    run_id: str
    input: Any
    generation: str = ""
    wants_journal: bool = False
    page: str = ""


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


class How(Enum):
    """What a new run does with the work of a closed one."""

    UNDO = "undo"
    FORWARD = "forward"


class Inherited(Immutable):
    """The run takes up the work of a closed run, whose state it has. R31, R45.

    Attributes:
        how: Undo what is not undone, or go on with what is not done.
        verb: The request of the operator, ``recover`` or ``redrive``; ``by`` and ``why`` as of ``CancelRequested``.
        failure: How the server ended the closed run without running code; ``None`` when that run ended by itself.
        ended: Calls in flight whose ends the host tells next.
        renewed: Calls to child sagas that have undone themselves: begun again, they are new child sagas.
        to: The step to which the saga goes back before it goes on; empty: to none.
    """

    at: float
    run_id: str
    how: How
    verb: str
    by: str = ""
    why: str = ""
    failure: Error | None = None
    ended: frozenset[str] = frozenset()
    renewed: frozenset[str] = frozenset()
    to: str = ""


class Settled(Immutable):
    """A call has ended, by itself or because it was cancelled.

    Attributes:
        cancelled: It ended because it was cancelled.
        attempts: Attempts made, if the host knows.
        journal: For a child saga that completed: the snapshot with which it can undo itself.
        began: When the last attempt of an activity began, if a timeout has ended it and the host knows.
        abandoned: Only for a child saga: it has not ended, and nobody waits for it any more.
    """

    at: float
    call_id: str
    outcome: Outcome
    output: Any = None
    error: Error | None = None
    cancelled: bool = False
    attempts: int | None = None
    journal: Any = None
    began: float | None = None
    abandoned: bool = False


class LateEnd(Immutable):
    """An attempt has ended after a timeout had ended its call. R97.

    Attributes:
        outcome: ``SUCCEEDED``, or ``FAILED`` if it has done nothing, and no attempt before it.
        attempt: Its number.
        began: When it began, if who tells knows.
        output: What it has returned.
    """

    at: float
    call_id: str
    outcome: Outcome
    attempt: int
    began: float | None = None
    output: Any = None


class TimerFired(Immutable):
    at: float
    timer_id: str


class SignalReceived(Immutable):
    """A declared signal with a payload that its schema has accepted.

    Attributes:
        request: An id that the sender has chosen: signals with the same id count once. Empty: none was chosen.
        came_at: When the signal came, if the host knows that this was before ``at``, when the engine hears of it.
        by: Who sent it, and ``why``; empty if the signal does not say.
    """

    at: float
    name: str
    payload: Any
    request: str = ""
    came_at: float | None = None
    by: str = ""
    why: str = ""


class CancelRequested(Immutable):
    """Somebody asked the saga to stop. Later requests change nothing. R28.

    Attributes:
        by: Who asked, and ``why`` the reason; empty if the request does not say.
    """

    at: float
    by: str = ""
    why: str = ""


class Given(Immutable):
    """What an operator gives with a request.

    Attributes:
        input: Empty, or the one value that replaces the input of the call that is repeated.
        output: Empty, or the one value that is the output of a step that was done by hand or is left out.
        new_key: The repeated call has a new idempotency key.
        nothing_to_undo: A step that was done by hand is never undone.
    """

    input: tuple[Any, ...] = ()
    output: tuple[Any, ...] = ()
    new_key: bool = False
    nothing_to_undo: bool = False

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Given:
        """Return what is given by the keys of *data* that have the names of the fields."""
        return cls(
            (data["input"],) if "input" in data else (),
            (data["output"],) if "output" in data else (),
            data.get("new_key", False),
            data.get("nothing_to_undo", False),
        )


NOTHING_GIVEN = Given()
"""An operator's request alone."""


class OperatorAsked(Immutable):
    """An operator's request; ``operator.refusal`` has found it possible.

    Attributes:
        path: For decisions (see ``verbs``): the step or call that waits; empty when only one waits.
        request: Its id: decisions with the same id count once.
        occurrence: Which wait of ``path`` the operator has seen, by number; ``None``: any.
        told: What is told of ``given``, without secrets; ``None``: all of it.
    """

    at: float
    verb: Verb
    path: str = ""
    by: str = ""
    why: str = ""
    request: str = ""
    occurrence: int | None = None
    given: Given = NOTHING_GIVEN
    told: Given | None = None


class DrainRequested(Immutable):
    """Start nothing new; ask for continue-as-new as soon as nothing is in flight. R50."""

    at: float


class MigrationRequested(Immutable):
    """The run shall go on with another definition, as soon as nothing is in flight. R75.

    Attributes:
        digest: That of the new definition.
        request: Its id: requests with the same id count once.
    """

    at: float
    digest: str
    by: str = ""
    why: str = ""
    request: str = ""


class MigrationDropped(Immutable):
    """The run cannot migrate any more: it goes on with its definition, and begins again what it has held back."""

    at: float
    why: str


class HistoryFull(Immutable):
    """The host has only room for undoing left: stop, and undo while there is room. R51."""

    at: float


Fact = (
    Began
    | BeganUndo
    | Resumed
    | Inherited
    | Settled
    | LateEnd
    | TimerFired
    | SignalReceived
    | CancelRequested
    | OperatorAsked
    | DrainRequested
    | MigrationRequested
    | MigrationDropped
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
    """Begin an activity, or a Nexus operation: ``activity`` names it then.

    Attributes:
        call_id: Its id on the host: the step's path, the purpose of the call, and its number when repeated; see
            ``language.paths``.
        arguments: None or one JSON value.
        task_queue: ``None`` is the saga's own.
        summary: One line for people.
        secrets: The secrets that the definition itself names in the input.
        settles: The saga wants to hear of an attempt that ends late (``LateEnd``).
        operation: The Nexus operation; ``None`` for an activity.
        key: The idempotency key that is sent to an operation. The workers of activities know theirs.
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
    fairness_key: str | None = None
    fairness_weight: float | None = None
    settles: bool = False
    operation: Operation | None = None
    key: str = ""


class StartChild(Immutable):
    """Begin a child saga.

    Attributes:
        workflow_id: Derived from the parent's id and the path, so that it is the same at every attempt; or chosen.
        wants_journal: The child returns its journal with its output, since it may have to undo itself later.
        journal: A packed snapshot: if set, the child only undoes what the snapshot says was done. It has the id of the
            child that completed, so that the keys are the same; the host must allow the id again.
        failure: With ``journal``: why it is undone.
        definition: Digest of the former definition of the saga that says how the child's definition is; empty: its own.
        chosen: If an expression has given ``workflow_id``: the call that has begun the child; otherwise empty.
        generation: Of a chosen id: what the child's keys have beside it, since others may have had the id before.
        renews: A child that has completed under a chosen id may begin again: it was a child of this saga.
        detached: The call is over when the child has begun; the output is its id.
        abandons: The child goes on when the parent's run ends.
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
    definition: str = ""
    chosen: str = ""
    generation: str = ""
    renews: bool = False
    detached: bool = False
    abandons: bool = False


class SendSignal(Immutable):
    """Send a signal to another workflow. It ends when the server has delivered it, or says why it cannot.

    Attributes:
        arguments: None, or the payload.
        request: The id of the request, if the receiver is a saga: it counts signals with the same id once. Empty: the
            receiver gets the payload alone.
    """

    call_id: str
    workflow_id: str
    signal: str
    arguments: tuple[Any, ...] = ()
    request: str = ""


class Cancel(Immutable):
    """Ask a running call to stop; it settles like any other. Asking twice changes nothing.

    Attributes:
        abandons: Ask nobody: a child saga that has begun goes on by itself, and its call settles as ``abandoned``.
    """

    call_id: str
    abandons: bool = False


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
        status: One of the five final ones.
        output: The result of a saga that has completed, or was rejected.
        failure: The first error of any other saga. R23. ``None`` with ``COMPENSATED`` marks a run that existed
            only to undo a completed one and has done so: for its parent that is a success.
        journal: What undoing a completed saga needs, if its parent wants it; packed (see ``squeeze``).
    """

    status: Status
    output: Any = None
    failure: Error | None = None
    journal: Any = None


Command = StartActivity | StartChild | SendSignal | Cancel | StartTimer | CancelTimer | ContinueAsNew | Close
