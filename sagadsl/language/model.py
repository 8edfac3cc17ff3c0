"""The saga as the engine sees it: immutable, complete, already checked.

Every default has been applied, so nothing is open that the definition leaves out.
Nothing here knows YAML, JSON Schema, Jinja2 or Temporal. Replay-critical: a run builds
this model again at every replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from sagadsl.immutable import Derived, Immutable, field
from sagadsl.language.calls import ActivityCall, Call, Compensation, Count, Duration, FailedIf, Retry, Value
from sagadsl.language.paths import ON_FAILURE
from sagadsl.language.schedules import Schedule

Route = tuple[str | int, ...]
"""Keys and indices from the document root. They serve messages only, and never change what a saga does."""


class Then(Enum):
    """How a saga goes on after an error handler."""

    CONTINUE = "continue"
    COMPENSATE = "compensate"
    STOP = "stop"
    PAUSE = "pause"
    RETRY = "retry"


class Order(Enum):
    """How the compensations of a saga follow each other. R10, R11."""

    REVERSE = "reverse"
    PARALLEL = "parallel"


class OnFailure(Enum):
    """What happens when a compensation has failed for good. R20, R21."""

    PAUSE = "pause"
    CONTINUE = "continue"
    STOP = "stop"


class Handler(Immutable):
    """What to do about an error, after the retries are used up.

    Attributes:
        types: The error types that it takes; empty takes all.
        condition: It takes the error only when this holds. The condition sees ``error.type`` and ``error.message``.
        output: The output of the step when the saga continues; ``None`` gives null.
        steps: The steps that run first.
        then: How the saga goes on after these steps.
        pause_timeout: With ``PAUSE``: how long it waits for an operator before it compensates; ``None`` is for ever.
        tries: With ``RETRY``: how often the step is tried in all, and the pauses before each further try.
        raises: The error that takes the place of the step's own (``raise``).
    """

    types: tuple[str, ...] = ()
    condition: Value | None = None
    output: Value | None = None
    steps: tuple[Step, ...] = ()
    then: Then = Then.CONTINUE
    pause_timeout: Duration | None = None
    tries: Retry = Retry()
    raises: Raise | None = None


class Raise(Immutable):
    """An error of the author's own."""

    type: str
    message: Value


class Pause(Immutable):
    """A wait for an operator; when ``timeout`` has passed, the saga goes on as if an operator had given up."""

    timeout: Duration | None = None


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
    max_concurrency: Count | None = None
    cancel_on_failure: bool = True
    complete_when: Value | None = None
    keep_remaining: bool = False


class Memory(Immutable):
    """What a loop keeps from round to round: an object that expressions in the loop read as ``state``.

    Attributes:
        state: The object before the first round.
        next: The fields that a round changes. It is computed after the round, and sees its steps and ``state``.
    """

    state: Value
    next: Value | None = None


class ForEach(Immutable):
    """Steps that run once for each item. Output: a list, in the order of the items, of objects of outputs by step id.

    Attributes:
        items: Gives the list.
        variable: Name of the loop variable (``as``).
        max_concurrency: The most items at the same time; 1 is one after the other (the default), ``None`` is all.
        memory: What it keeps from one item to the next, when these run one after the other.
    """

    items: Value
    variable: str
    steps: tuple[Step, ...]
    max_concurrency: Count | None = 1
    cancel_on_failure: bool = True
    complete_when: Value | None = None
    keep_remaining: bool = False
    memory: Memory | None = None


class Arm(Immutable):
    """One arm of a switch; the arm with ``condition`` ``None`` is ``else``."""

    condition: Value | None
    steps: tuple[Step, ...]


class Switch(Immutable):
    """Runs the first arm whose condition holds. Output: an object of outputs by step id of that arm."""

    arms: tuple[Arm, ...]


class Repeat(Immutable):
    """Steps that run in rounds, as long as a condition holds, or until one holds. Output: that of the last round.

    Attributes:
        until: It is computed after each round, and sees the steps of that round; when it holds, the loop ends.
        every: Pause between two rounds.
        maximum_attempts: The most rounds, before the error ``RepeatExhausted``; ``None`` means without limit.
        goes_on: It is computed before each round (``while``); when it does not hold, the loop ends. There may be no
            round at all.
        memory: What it keeps from round to round.
    """

    until: Value | None
    steps: tuple[Step, ...]
    every: Duration | None = None
    maximum_attempts: Count | None = None
    goes_on: Value | None = None
    memory: Memory | None = None


class Sleep(Immutable):
    """A durable timer: its duration, or the moment of its end (RFC 3339 text, or seconds since 1970)."""

    duration: Duration | None = None
    until: Value | None = None


class RefusedIf(Immutable):
    """A condition under which a wait refuses a signal; ``message`` tells its sender why."""

    condition: Value
    message: Value | None = None


class Expected(Immutable):
    """A signal that a wait takes.

    Attributes:
        payload: JSON Schema of the payload. A signal whose payload does not fit is refused and ignored.
        refused_if: Further reasons to refuse it, in order. They see the payload, and what the step can read.
        reply: What its sender gets, if it is delivered by an update; it sees the same. With ``None`` there is no reply.
    """

    signal: str
    payload: Mapping[str, Any] | None = None
    refused_if: tuple[RefusedIf, ...] = ()
    reply: Value | None = None


class WaitFor(Immutable):
    """Waits for one of several signals. When the timeout passes, the error is ``SignalTimeout``.

    Attributes:
        expected: The signals. Of several that are kept, the first one here is taken.
        since_now: Signals that came before the wait began do not count.
        says_which: The output is an object of ``signal`` and ``payload``; otherwise it is the payload.
    """

    expected: tuple[Expected, ...]
    timeout: Duration | None = None
    since_now: bool = False
    says_which: bool = False

    @property
    def signals(self) -> tuple[str, ...]:
        """The names of the signals."""
        return tuple(each.signal for each in self.expected)

    @property
    def either(self) -> str:
        """The names of the signals, in words."""
        return " or ".join(self.signals)

    def expects(self, signal: str) -> Expected:
        """Return what the wait says of a signal that it waits for."""
        return next(each for each in self.expected if each.signal == signal)

    def output_of(self, signal: str, payload: Any) -> Any:
        """Return the output of a wait that takes a signal."""
        return {"signal": signal, "payload": payload} if self.says_which else payload


class Set(Immutable):
    """Computes values. Output: the rendered object."""

    values: Value


class Fail(Immutable):
    """Fails on purpose, with this error.

    Attributes:
        result: What the saga gives if this error ends it: it is rejected then, a no that is no incident; ``None``: it
            fails like any other.
    """

    type: str
    message: Value
    result: Value | None = None


class Return(Immutable):
    """Ends the saga early, with success, and with this output."""

    value: Value


class Answer(Immutable):
    """Tells those who wait for the saga's early answer this value, and the saga goes on. Output: the value."""

    value: Value


Ending = Fail | Return
"""The bodies after which the saga does not go on."""


Branching = Parallel | ForEach
"""Blocks whose parts may run at once, and that may be complete without some of their parts."""


Loop = ForEach | Repeat
"""Blocks whose steps run once in each round. The paths of these steps contain the number of the round."""


Block = Group | Parallel | ForEach | Switch | Repeat
"""The bodies that hold steps."""


Leaf = Call | Sleep | WaitFor | Set | Fail | Return | Answer
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
        output: For a block: its output, in place of the outputs of the steps in it. It is computed however the block
            ends, so that a handler can read what a block that failed has reached.
        timeout: For a block or a child saga: how long it may take; then it fails with ``StepTimeout``.
        retry: For a block or a child saga: how often it is tried; what a try has done is undone before the next one.
        last_resort: For a call, by ``defaults.on_error: pause``: the saga waits for an operator when no handler takes
            its error.
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
    output: Value | None = None
    timeout: Duration | None = None
    retry: Retry | None = None
    last_resort: Pause | None = None
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


class Indexed(Immutable):
    """A search attribute by which runs of a saga are found.

    Attributes:
        type: One of ``ATTRIBUTE_TYPES``.
        value: Computed when the saga begins, and again whenever a step that it reads has ended.
    """

    name: str
    type: str
    value: Value


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
        undo_pause_timeout: How long a failed compensation waits for an operator before the saga goes on with the other
            compensations; ``None`` is for ever.
        steps: The forward part.
        on_failure: Steps that run after the compensations.
        on_pause: Calls of activities that tell somebody that the saga waits for an operator. They have the form of
            steps, and are none: nothing reads them, nothing waits for them, nothing undoes them.
        output: The saga's result; ``None`` gives an object of outputs by step id.
        digest: SHA-256 of the definition's canonical JSON.
        places: Every step by id, blocks and handlers included, the calls of ``on_pause`` not.
        schedules: When Temporal starts it by itself; a run has none.
        pauses: Some step waits for an operator when it fails, because the definition says so.
        signals: The names of signals that ``wait_for`` steps wait for, each with its payload schema, if declared.
        search_attributes: The search attributes that its runs set, in the order of the file.
        queries: What people can ask a run, by name; computed from what the run has reached.
        former: For a run that has migrated: the definitions that it had before and that still say how to undo some of
            its steps, by their digests. A definition as written has none.
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
    undo_pause_timeout: Duration | None = None
    on_failure: tuple[Step, ...] = ()
    on_pause: tuple[Step, ...] = ()
    output: Value | None = None
    digest: str = ""
    places: Derived[Mapping[str, Place]] = field(default_factory=dict)
    signals: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    search_attributes: tuple[Indexed, ...] = ()
    queries: Mapping[str, Value] = field(default_factory=dict)
    former: Derived[Mapping[str, Saga]] = field(default_factory=dict)
    pauses: Derived[bool] = False
    schedules: tuple[Schedule, ...] = ()
