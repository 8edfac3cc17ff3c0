"""The saga as the engine sees it: immutable, complete, already checked.

Every default has been applied, so nothing is open that the definition leaves out.
Nothing here knows YAML, JSON Schema, Jinja2 or Temporal. Replay-critical: a run builds
this model again at every replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Protocol

from sagadsl.immutable import Derived, Immutable, field
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.own_errors import STEP_FAILED
from sagadsl.language.paths import ON_FAILURE

Route = tuple[str | int, ...]
"""Keys and indices from the document root. They serve messages only, and never change what a saga does."""


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


class Then(Enum):
    """How a saga goes on after an error handler."""

    CONTINUE = "continue"
    COMPENSATE = "compensate"
    STOP = "stop"


class On(Enum):
    """When a compensation is due. R3."""

    AUTO = "auto"
    COMPLETED = "completed"
    ATTEMPTED = "attempted"


class Order(Enum):
    """How the compensations of a saga follow each other. R10, R11."""

    REVERSE = "reverse"
    PARALLEL = "parallel"


class OnFailure(Enum):
    """What happens when a compensation has failed for good. R20, R21."""

    PAUSE = "pause"
    CONTINUE = "continue"
    STOP = "stop"


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

    maximum_attempts: int | None = 3
    initial_interval: Duration = timedelta(seconds=1)
    backoff_coefficient: float = 2.0
    maximum_interval: Duration = timedelta(minutes=1)
    non_retryable_error_types: tuple[str, ...] = ()
    explicit: bool = False


class Timeouts(Immutable):
    """Temporal's four activity timeouts. At least one of the first two is set (R36).

    Attributes:
        start_to_close: The most time for one attempt.
        schedule_to_close: The most time for all attempts and their pauses together.
        schedule_to_start: The most time that each attempt may wait in the queue.
        heartbeat: The longest silence of a running attempt.
    """

    start_to_close: Duration | None = timedelta(minutes=1)
    schedule_to_close: Duration | None = None
    schedule_to_start: Duration | None = None
    heartbeat: Duration | None = None


class ActivityCall(Immutable):
    """A call of an activity, with everything that is needed to run it.

    Attributes:
        activity: Name, e.g. ``payments.charge``: also Temporal's activity type.
        input: The only argument; with ``None`` it gets none (but a compensation gets the input of its step).
        task_queue: The queue that its workers poll; ``None`` is the saga's own queue.
        local: Run it as a local activity, in the worker that runs the saga.
        priority: Temporal's priority key, 1 (first) to 5; ``None`` is the server's default.
        secrets: The secrets that its input names, as written in the definition.
    """

    activity: str
    input: Value | None = None
    task_queue: Value | None = None
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    local: bool = False
    priority: int | None = None
    secrets: Derived[Named | None] = None


class SagaCall(Immutable):
    """A call of another saga, which runs as a child workflow.

    Attributes:
        saga: Name of the child's definition.
        input: Its input; with ``None`` it gets an empty object (but a compensation gets the input of its step).
        task_queue: The queue of its workers; ``None`` is the parent's own queue.
    """

    saga: str
    input: Value | None = None
    task_queue: Value | None = None


class CompensationAction(Immutable):
    """One call that undoes a step, or a part of it. Errors of the types ``already_undone`` count as success (R24)."""

    call: ActivityCall | SagaCall
    already_undone: tuple[str, ...] = ()


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


class Handler(Immutable):
    """What to do about an error, after the retries are used up.

    Attributes:
        types: The error types that it takes; empty takes all.
        condition: It takes the error only when this holds. The condition sees ``error.type`` and ``error.message``.
        output: The output of the step when the saga continues; ``None`` gives null.
        steps: The steps that run first.
        then: How the saga goes on after these steps.
    """

    types: tuple[str, ...] = ()
    condition: Value | None = None
    output: Value | None = None
    steps: tuple[Step, ...] = ()
    then: Then = Then.CONTINUE


class Group(Immutable):
    """Steps that run one after the other. Output: an object of outputs by step id."""

    steps: tuple[Step, ...]


class Parallel(Immutable):
    """Steps that run at once. Output: an object of outputs by step id.

    Attributes:
        steps: The branches. A branch with ``needs`` starts when the branches that it needs have ended well.
        max_concurrency: The most branches that run at the same time; ``None`` is all.
        cancel_on_failure: Cancel the siblings of a failed branch (``on_branch_failure: cancel``); otherwise wait.
        complete_when: When it holds, the block ends early.
        keep_remaining: Keep what the ended branches have done (``remaining: keep``); otherwise undo it.
    """

    steps: tuple[Step, ...]
    max_concurrency: int | None = None
    cancel_on_failure: bool = True
    complete_when: Value | None = None
    keep_remaining: bool = False


class ForEach(Immutable):
    """Steps that run once for each item. Output: a list, in the order of the items, of objects of outputs by step id.

    Attributes:
        items: Gives the list.
        variable: Name of the loop variable (``as``).
        max_concurrency: The most items at the same time; 1 is one after the other (the default), ``None`` is all.
    """

    items: Value
    variable: str
    steps: tuple[Step, ...]
    max_concurrency: int | None = 1
    cancel_on_failure: bool = True
    complete_when: Value | None = None
    keep_remaining: bool = False


class Arm(Immutable):
    """One arm of a switch; the arm with ``condition`` ``None`` is ``else``."""

    condition: Value | None
    steps: tuple[Step, ...]


class Switch(Immutable):
    """Runs the first arm whose condition holds. Output: an object of outputs by step id of that arm."""

    arms: tuple[Arm, ...]


class Repeat(Immutable):
    """Steps that run in rounds until a condition holds. Output: that of the last round.

    Attributes:
        until: The condition. It is computed after each round, and sees the steps of that round.
        every: Pause between two rounds.
        maximum_attempts: The most rounds, before the error ``RepeatExhausted``; ``None`` means without limit.
    """

    until: Value
    steps: tuple[Step, ...]
    every: Duration | None = None
    maximum_attempts: int | None = None


class Sleep(Immutable):
    """A durable timer: its duration, or the moment of its end (RFC 3339 text, or seconds since 1970)."""

    duration: Duration | None = None
    until: Value | None = None


class WaitFor(Immutable):
    """Waits for a signal. Output: its payload. When the timeout passes, the error is ``SignalTimeout``.

    Attributes:
        payload: JSON Schema of the payload. A signal whose payload does not fit is refused and ignored.
        since_now: Signals that came before the wait began do not count.
    """

    signal: str
    timeout: Duration | None = None
    payload: Mapping[str, Any] | None = None
    since_now: bool = False


class Set(Immutable):
    """Computes values. Output: the rendered object."""

    values: Value


class Fail(Immutable):
    """Fails on purpose, with this error."""

    type: str
    message: Value


Call = ActivityCall | SagaCall
"""The bodies whose work is done elsewhere."""
Branching = Parallel | ForEach
"""Blocks whose parts may run at once, and that may be complete without some of their parts."""
Loop = ForEach | Repeat
"""Blocks whose steps run once in each round. The paths of these steps contain the number of the round."""
Block = Group | Parallel | ForEach | Switch | Repeat
"""The bodies that hold steps."""
Leaf = Call | Sleep | WaitFor | Set | Fail
"""The bodies that hold no steps."""
Body = Block | Leaf
"""What a step does. The table in :mod:`sagadsl.language.kinds` describes each kind."""


class Step(Immutable):
    """One step of any kind.

    Attributes:
        condition: The step runs only when this holds (``if``); with ``None`` it always runs.
        on_error: Its error handlers, in order; empty means compensate. ``continue`` is one handler that takes all.
        compensation: How to undo it; ``None`` when the definition does not say, or says that nothing is to undo.
        nothing_to_undo: The definition says ``compensation: none`` (R6).
        pivot: The point of no return.
        probe: For a pivot whose outcome is unknown: the call that says whether it happened (R43), true or false.
        failed_if: The results that mean no, in order.
        needs: For a branch of ``parallel``: ids of the siblings that it waits for.
        route: Its place in the document.
    """

    id: str
    body: Body
    description: str = ""
    condition: Value | None = None
    on_error: tuple[Handler, ...] = ()
    compensation: Compensation | None = None
    nothing_to_undo: bool = False
    pivot: bool = False
    probe: ActivityCall | None = None
    failed_if: tuple[FailedIf, ...] = ()
    needs: tuple[str, ...] = ()
    route: Derived[Route] = ()


class Place(Immutable):
    """The place of a step among the blocks.

    Attributes:
        step: The step itself.
        blocks: The parts of its path, outermost first: ids of blocks, and the paths of error handlers and of
            ``on_failure``.
        loops: Which of ``blocks`` are loops, so that a path has an index there.
    """

    step: Step
    blocks: tuple[str, ...]
    loops: tuple[bool, ...]

    @property
    def is_on_failure(self) -> bool:
        """Whether the step runs because the saga has failed."""
        return self.blocks[:1] == (ON_FAILURE,)


class Saga(Immutable):
    """A whole definition, as a model.

    Attributes:
        name: Temporal's workflow type.
        version: The version of this definition.
        task_queue: The default queue of its workers; with ``None`` the starter decides.
        labels: Labels for the memo of a run.
        input_schema: JSON Schema of the input; ``None`` takes anything.
        timeout: The most time for the forward part; it never bounds compensations (R32, R33).
        order: How compensations follow each other.
        compensation_failure: What happens when a compensation has failed for good.
        steps: The forward part.
        on_failure: Steps that run after the compensations.
        output: The saga's result; ``None`` gives an object of outputs by step id.
        digest: SHA-256 of the definition's canonical JSON.
        places: Every step by id, blocks and handlers included.
        signals: The names of signals that ``wait_for`` steps wait for, each with its payload schema, if declared.
    """

    name: str
    version: str
    steps: tuple[Step, ...]
    description: str = ""
    task_queue: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    input_schema: Mapping[str, Any] | None = None
    timeout: Duration | None = None
    order: Order = Order.REVERSE
    compensation_failure: OnFailure = OnFailure.PAUSE
    on_failure: tuple[Step, ...] = ()
    output: Value | None = None
    digest: str = ""
    places: Derived[Mapping[str, Place]] = field(default_factory=dict)
    signals: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
