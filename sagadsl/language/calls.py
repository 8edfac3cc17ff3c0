"""The calls of a saga as the engine sees them: what is asked of others, how often and for how long, and what undoes it.

The steps around them are in :mod:`sagadsl.language.model`. Replay-critical, as that module is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Protocol

from sagadsl.immutable import Derived, Immutable
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.own_errors import STEP_FAILED


class Value(Protocol):
    """A value of the definition that may contain expressions. ``expressions`` implements it."""

    @property
    def source(self) -> Any:
        """The data as written: JSON, with the ``{{ }}`` still in it."""

    @property
    def reads(self) -> tuple[tuple[str, ...], ...]:
        """The chains of names that it reads, e.g. ``("steps", "pay", "output", "id")``; empty for a constant."""

    @property
    def items(self) -> Mapping[str, Value] | None:
        """The values of a mapping, by key; ``None`` for anything that is not a mapping."""

    def render(self, scope: Mapping[str, Any]) -> Any:
        """Return the value as JSON data. Raises ``ExpressionError`` if it cannot be computed."""


Duration = timedelta | Value
"""A duration, or an expression that gives one as text (``"30s"``)."""


class Counted(Immutable):
    """A whole number that an expression gives when its step begins: from 1 to ``most``, or the step fails."""

    value: Value
    most: int


Count = int | Counted
"""A number, written or computed. Where it may be missing, ``None`` means without limit."""


def most_of(count: Count | None) -> int | None:
    """Return the most that a count can be; ``None`` is without limit."""
    return count.most if isinstance(count, Counted) else count


class On(Enum):
    """When a compensation is due. R3."""

    AUTO = "auto"
    COMPLETED = "completed"
    ATTEMPTED = "attempted"


class Retry(Immutable):
    """How often and when one call is attempted.

    Attributes:
        maximum_attempts: Number of attempts, with the first one; ``None`` means without limit.
        initial_interval: Pause before attempt 2.
        backoff_coefficient: Factor applied to the pause after each attempt; at least 1.0.
        maximum_interval: Upper bound of the pause.
        non_retryable_error_types: Error types that end the attempts at once; ``timeout`` is one of them.
        explicit: The definition gives the number of attempts, on the step or in ``defaults``. If it does not,
            a step after a pivot is retried without limit (R44).
    """

    maximum_attempts: Count | None = 3
    initial_interval: Duration = timedelta(seconds=1)
    backoff_coefficient: float = 2.0
    maximum_interval: Duration = timedelta(minutes=1)
    non_retryable_error_types: tuple[str, ...] = ()
    explicit: bool = False


class Timeouts(Immutable):
    """Temporal's four activity timeouts, and one of ours. At least one of the first two is set (R36).

    Attributes:
        start_to_close: The most time for one attempt.
        schedule_to_close: The most time for all attempts and their pauses together.
        schedule_to_start: The most time that each attempt may wait in the queue.
        heartbeat: The longest silence of a running attempt.
        settle: How long the undo of a step waits for an attempt that its timeout has ended; see ``engine.unheard``.
    """

    start_to_close: Duration | None = timedelta(minutes=1)
    schedule_to_close: Duration | None = None
    schedule_to_start: Duration | None = None
    heartbeat: Duration | None = None
    settle: Duration | None = None


WEIGHTS = (0.001, 1000)
"""The least and the greatest `fairness_weight` that the server takes."""


class Operation(Immutable):
    """An operation of a Nexus service, behind an endpoint."""

    endpoint: str
    service: str
    operation: str

    def __str__(self) -> str:
        return f"{self.endpoint}:{self.service}.{self.operation}"


class ActivityCall(Immutable):
    """A call of an activity, with everything that is needed to run it; or of a Nexus operation, see ``operation``.

    Attributes:
        activity: Name, e.g. ``payments.charge``: also Temporal's activity type. Of a choice: its names, in words.
        input: The only argument; with ``None`` it gets none (but a compensation gets the input of its step).
        task_queue: The queue that its workers poll; ``None`` is the saga's own queue.
        local: Run it as a local activity, in the worker that runs the saga.
        priority: Temporal's priority key, 1 (first) to 5; ``None`` is the server's default.
        fairness_key: Whose call it is; ``fairness_weight``: how much of a busy queue this key gets, compared with 1.
        secrets: The secrets that its input names, as written in the definition.
        name: Gives the name, one of ``one_of``, when the call begins; ``None`` for an activity that is written out.
        own_queue: Its task queue stands at the call, and is not taken over from its step or from ``defaults``.
        operation: The Nexus operation that it calls, which ``activity`` names; ``None`` for an activity. The server
            tries an operation again by itself.
    """

    activity: str
    input: Value | None = None
    task_queue: Value | None = None
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    local: bool = False
    priority: Count | None = None
    fairness_key: Value | None = None
    fairness_weight: float | Value | None = None
    secrets: Derived[Named | None] = None
    name: Value | None = None
    one_of: tuple[str, ...] = ()
    own_queue: Derived[bool] = False
    operation: Operation | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all activities that it can call."""
        return self.one_of or (self.activity,)


class SagaCall(Immutable):
    """A call of another saga, which runs as a child workflow.

    Attributes:
        saga: Name of the child's definition.
        input: Its input; with ``None`` it gets an empty object (but a compensation gets the input of its step).
        task_queue: The queue of its workers; ``None`` is the parent's own queue.
        workflow_id: Gives its workflow id; ``None``: the id follows from the parent's and the path of the step.
        detached: The child is only started. Its end is no business of the parent, and the step's output is its id.
        abandons: A stop of the parent or of a block leaves the child alone (``on_cancel: abandon``); otherwise the
            child is asked to stop, and its end is awaited.
    """

    saga: str
    input: Value | None = None
    task_queue: Value | None = None
    workflow_id: Value | None = None
    detached: bool = False
    abandons: bool = False


class Send(Immutable):
    """A signal to another workflow. It is over when the signal is in the history of that workflow.

    Attributes:
        signal: Name of the signal.
        to: Gives the id of the workflow.
        input: The payload; with ``None`` there is none.
        plain: The receiver is no saga: it gets the payload alone.
    """

    signal: str
    to: Value
    input: Value | None = None
    plain: bool = False


class CompensationAction(Immutable):
    """One call that undoes a step, or a part of it.

    Attributes:
        already_undone: Errors of these types count as success (R24).
        condition: The call is made only when this holds (``if``); with ``None`` it always is.
    """

    call: ActivityCall | SagaCall | Send
    already_undone: tuple[str, ...] = ()
    condition: Value | None = None


class Compensation(Immutable):
    """How to undo a step: by these actions, one after the other (R13).

    Attributes:
        actions: In the order in which they run; empty only when ``auto``.
        on: When it is due.
        auto: The child saga undoes itself with its own compensations.
    """

    actions: tuple[CompensationAction, ...] = ()
    on: On = On.AUTO
    auto: bool = False


class FailedIf(Immutable):
    """A result that means no. The step is then ``failed`` with ``type``, and there is nothing to undo."""

    condition: Value
    type: str = STEP_FAILED
    message: Value | None = None


Call = ActivityCall | SagaCall | Send
"""The bodies whose work is done elsewhere."""


KeyedCall = ActivityCall | Send
"""The calls that carry a key: repeated, such a call is the same call again."""
