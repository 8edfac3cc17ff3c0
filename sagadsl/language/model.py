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
"""Keys and indices from the document root; for messages, never for meaning."""


class Value(Protocol):
    """Something the author wrote in which expressions may stand. Implemented by ``expressions``."""

    @property
    def source(self) -> Any:
        """The data as written: JSON, with the ``{{ }}`` still in it."""

    @property
    def reads(self) -> tuple[tuple[str, ...], ...]:
        """Name chains that it reads, e.g. ``("steps", "pay", "output", "id")``; empty for a constant."""

    @property
    def items(self) -> Mapping[str, Value] | None:
        """The values of a mapping, by key; ``None`` for anything that is not a mapping."""

    def render(self, scope: Mapping[str, Any]) -> Any:
        """Return JSON data. Raises ``ExpressionError`` for whatever cannot be computed."""


Duration = timedelta | Value
"""A length of time, or the expression that gives one as text (``"30s"``)."""


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
    """How often one call is attempted.

    Attributes:
        maximum_attempts: Attempts in all, the first included; ``None`` means without limit.
        initial_interval: Pause before attempt 2.
        backoff_coefficient: Factor applied to the pause after each attempt; at least 1.0.
        maximum_interval: Upper bound of the pause.
        non_retryable_error_types: Error types that end the attempts at once; ``timeout`` is one of them.
        explicit: The definition says how often, on the step or in ``defaults``; what it leaves
            open after a pivot is retried without limit (R44).
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
        start_to_close: One attempt.
        schedule_to_close: All attempts and their pauses together.
        schedule_to_start: Waiting in the queue, each attempt.
        heartbeat: Silence of a running attempt.
    """

    start_to_close: Duration | None = timedelta(minutes=1)
    schedule_to_close: Duration | None = None
    schedule_to_start: Duration | None = None
    heartbeat: Duration | None = None


class ActivityCall(Immutable):
    """One activity with everything needed to run it.

    Attributes:
        activity: Name, e.g. ``payments.charge``: also Temporal's activity type.
        input: The one argument; ``None`` sends none (a compensation then sends its step's own input).
        task_queue: Where its workers poll; ``None`` is the saga's own queue.
        local: Run it as a local activity, in the worker that holds the saga.
        priority: Temporal's priority key, 1 (first) to 5; ``None`` is the server's default.
        secrets: Those that its input names, as the definition writes it.
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
    """Another saga, run as a child workflow.

    Attributes:
        saga: Name of the child's definition.
        input: Its input; ``None`` sends an empty object (a compensation then sends its step's own input).
        task_queue: Where it runs; ``None`` is the parent's own queue.
    """

    saga: str
    input: Value | None = None
    task_queue: Value | None = None


class CompensationAction(Immutable):
    """One call that undoes (a part of) a step. ``already_undone`` error types count as success (R24)."""

    call: ActivityCall | SagaCall
    already_undone: tuple[str, ...] = ()


class Compensation(Immutable):
    """How a step is undone: its actions, one after the other (R13).

    Attributes:
        actions: In the order in which they run; empty only when ``auto``.
        on: When it is due.
        auto: The child saga undoes itself by its own compensations.
    """

    actions: tuple[CompensationAction, ...] = ()
    on: On = On.AUTO
    auto: bool = False


class FailedIf(Immutable):
    """A result that means no: the step is ``failed`` with ``type``, and nothing of it is undone."""

    condition: Value
    type: str = STEP_FAILED
    message: Value | None = None


class Handler(Immutable):
    """What to do about an error, after the retries are used up.

    Attributes:
        types: Error types it takes; empty takes all.
        condition: Takes the error only when this holds; sees ``error.type`` and ``error.message``.
        output: The step's output when the saga continues; ``None`` gives null.
        steps: Steps to run first.
        then: How the saga goes on after them.
    """

    types: tuple[str, ...] = ()
    condition: Value | None = None
    output: Value | None = None
    steps: tuple[Step, ...] = ()
    then: Then = Then.CONTINUE


class Group(Immutable):
    """Steps one after the other; output: an object of outputs by step id."""

    steps: tuple[Step, ...]


class Parallel(Immutable):
    """Steps at once; output: an object of outputs by step id.

    Attributes:
        steps: The branches; those with ``needs`` start when what they need has ended well.
        max_concurrency: Branches that run at the same time; ``None`` is all.
        cancel_on_failure: Cancel the siblings of a failed branch (``on_branch_failure: cancel``), else wait for them.
        complete_when: Ends the block early when it holds.
        keep_remaining: Leave what the ended branches have done (``remaining: keep``), else undo it.
    """

    steps: tuple[Step, ...]
    max_concurrency: int | None = None
    cancel_on_failure: bool = True
    complete_when: Value | None = None
    keep_remaining: bool = False


class ForEach(Immutable):
    """Steps once per item; output: a list, in item order, of objects of outputs by step id.

    Attributes:
        items: Gives the list.
        variable: Name of the loop variable (``as``).
        max_concurrency: Items at the same time; 1 is one after the other (the default), ``None`` all.
    """

    items: Value
    variable: str
    steps: tuple[Step, ...]
    max_concurrency: int | None = 1
    cancel_on_failure: bool = True
    complete_when: Value | None = None
    keep_remaining: bool = False


class Arm(Immutable):
    """One way of a switch; ``condition`` ``None`` is ``else``."""

    condition: Value | None
    steps: tuple[Step, ...]


class Switch(Immutable):
    """The first arm that holds; output: an object of outputs by step id of that arm."""

    arms: tuple[Arm, ...]


class Repeat(Immutable):
    """Steps until a condition holds; output: that of the last round.

    Attributes:
        until: Evaluated after each round, and sees the steps of that round.
        every: Pause between two rounds.
        maximum_attempts: Rounds before error ``RepeatExhausted``; ``None`` means without limit.
    """

    until: Value
    steps: tuple[Step, ...]
    every: Duration | None = None
    maximum_attempts: int | None = None


class Sleep(Immutable):
    """A durable timer: a length, or the moment it ends (RFC 3339 text, or seconds since 1970)."""

    duration: Duration | None = None
    until: Value | None = None


class WaitFor(Immutable):
    """Wait for a signal; output: its payload. Expiry is the error ``SignalTimeout``.

    Attributes:
        payload: JSON Schema that a payload must satisfy; one that does not is refused and ignored.
        since_now: A signal that came before the wait began does not count.
    """

    signal: str
    timeout: Duration | None = None
    payload: Mapping[str, Any] | None = None
    since_now: bool = False


class Set(Immutable):
    """Computed values; output: the rendered object."""

    values: Value


class Fail(Immutable):
    """Abort on purpose, with this error."""

    type: str
    message: Value


Call = ActivityCall | SagaCall
"""Work done elsewhere."""
Branching = Parallel | ForEach
"""Blocks whose parts may run at once, and may be complete without some of them."""
Loop = ForEach | Repeat
"""Blocks whose steps run once a round; the path of a step in one carries the round."""
Block = Group | Parallel | ForEach | Switch | Repeat
"""What holds steps."""
Leaf = Call | Sleep | WaitFor | Set | Fail
"""What holds none."""
Body = Block | Leaf
"""What a step does. What there is to know of each kind: :mod:`sagadsl.language.kinds`."""


class Step(Immutable):
    """One step of any kind.

    Attributes:
        condition: Runs only when it holds (``if``); ``None`` always.
        on_error: Handlers in order; empty means compensate. ``continue`` is one handler that takes all.
        compensation: How it is undone; ``None`` when nothing is said or nothing is to undo.
        nothing_to_undo: ``compensation: none`` was written (R6).
        pivot: The point of no return.
        probe: For a pivot: tells whether it happened when nobody knows (R43); gives true or false.
        failed_if: Results that mean no, in order.
        needs: For a branch of ``parallel``: ids of the siblings it waits for.
        route: Where it was written.
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
    """Where a step stands among the blocks.

    Attributes:
        step: The step itself.
        blocks: What its path goes through, outermost first: ids of blocks, and the paths of error handlers and of
            ``on_failure``.
        loops: Which of ``blocks`` are loops, so that a path carries an index there.
    """

    step: Step
    blocks: tuple[str, ...]
    loops: tuple[bool, ...]

    @property
    def is_on_failure(self) -> bool:
        """Whether it runs because the saga has failed."""
        return self.blocks[:1] == (ON_FAILURE,)


class Saga(Immutable):
    """A whole definition.

    Attributes:
        name: Temporal's workflow type.
        version: Of this definition.
        task_queue: Where it runs by default; ``None`` leaves it to the starter.
        labels: Into the memo.
        input_schema: JSON Schema of the input; ``None`` takes anything.
        timeout: Of the forward part; never bounds compensation (R32, R33).
        order: How compensations follow each other.
        compensation_failure: What happens when one has failed for good.
        steps: The forward part.
        on_failure: Steps that run after the compensations.
        output: The saga's result; ``None`` gives an object of outputs by step id.
        digest: SHA-256 of the definition's canonical JSON.
        places: Every step by id, blocks and handlers included.
        signals: Names that ``wait_for`` steps wait for, with the payload schema if one is declared.
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
