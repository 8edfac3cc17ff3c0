"""The state of one run: what has happened so far, seen by step path. Replay-critical.

The state is the fold of all facts and the only truth: the status query, the report, the live
display, continue-as-new and a child's undo read nothing else. Only the engine changes it. It
does so in place, so that a fact costs the depth of the tree and not the length of the saga;
``snapshots`` gives an independent copy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from sagadsl.engine.facts import Error, Status
from sagadsl.engine.records import Record, Sender
from sagadsl.immutable import Immutable
from sagadsl.language.paths import caller_of

RULES = 3
"""The newest version of the rules. The history fixes the version when a run starts; a changed rule branches on
``State.rules``.

1: the first version. 2: no false "undone", "completed" or "sent" in rare cases of version 1. 3: also none for local
activities that are stopped, and behind the pivot of a very long run; room for everything that a run returns; errors
matched as other languages name them, see ``matching``.
"""

FIRST_RULES = 1
"""The version of runs whose history names none."""


class Phase(Enum):
    """What the saga is doing."""

    FORWARD = "forward"
    SETTLING = "settling"
    COMPENSATING = "compensating"
    FINISHING = "finishing"
    CLOSED = "closed"


class FrameKind(Enum):
    """How a frame runs its steps."""

    SEQUENCE = "sequence"
    PARALLEL = "parallel"
    LOOP = "loop"
    REPEAT = "repeat"


class Closing(Enum):
    """Why a frame starts nothing more and waits for what still runs."""

    FAILED = "failed"
    CANCELLED = "cancelled"
    EARLY = "early"


class Refused(Immutable):
    """A signal that every wait for it has refused; ``request`` is its id, empty without one."""

    at: float
    signal: str
    why: str
    request: str = ""
    by: str = ""


class ArmSteps(Immutable):
    """The steps of an arm of a switch."""

    index: int


class HandlerSteps(Immutable):
    """The steps of an error handler."""

    index: int


FrameBody = Literal["steps", "on_failure"] | ArmSteps | HandlerSteps
"""Where the steps of a frame are in the model: ``steps`` of the saga or a block, ``on_failure`` of the saga, or one
of several lists of a step."""

Beginning = Literal["advance", "unwind", "action", "again"]
"""What may begin calls, and so has to wait while none may begin: a frame, a compensation pass, a compensation, a step
that is tried again."""


@dataclass(slots=True)
class Frame:
    """An open block: the root, a group, an arm, a set of branches, a loop, a round of a loop, a handler.

    Attributes:
        path: Prefix of its children's paths; empty for the root.
        kind: How the frame runs its steps.
        owner: Path of the record whose body or handler the frame is; empty for the root.
        parent: Path of the loop frame around a round; otherwise ``None``.
        body: Where its steps are in the model; a snapshot has ``steps``, ``on_failure``, ``arm:1``, ``handler:0``.
        cursor: The next step to start, or the next item, or the number of the round.
        open: Paths of the children that run, in the order of their beginnings.
        failure: The error that ends the frame; ``failed`` are the children that failed.
        items: The list of a loop.
        limit: The bound that an expression gave when the block began; the model has any other.
        ended: Branches (by id) or items (by index) that ended well, in that order; ``outputs`` are their outputs.
        begun: Ids of the branches that have begun.
        done: Branches that ended well or were skipped; ``needs`` waits for them.
        loops: The number of the round, for every loop around the frame.
        variables: Names that the frame adds for expressions.
    """

    path: str
    kind: FrameKind
    owner: str
    body: FrameBody
    parent: str | None = None
    cursor: int = 0
    open: dict[str, bool] = field(default_factory=dict)
    closing: Closing | None = None
    failure: Error | None = None
    items: list[Any] | None = None
    ended: list[str] = field(default_factory=list)
    failed: int = 0
    begun: dict[str, bool] = field(default_factory=dict)
    done: dict[str, bool] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    loops: dict[str, int] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None


@dataclass(slots=True)
class Unwind:
    """A compensation pass: over the whole saga (key ``""``), or over the losers of one block.

    Attributes:
        pending: Paths still to undo, the next one last. They are in the order of the beginnings of their steps; for
            compensations in parallel in the order of the ends, and then ``order`` has all by their beginnings.
        running: Paths that are being undone, or wait for an operator.
        stopped: The pass starts nothing more (policy ``stop``, or an operator's abort).
        failed: Some step could not be undone.
    """

    key: str
    pending: list[str]
    order: list[str] = field(default_factory=list)
    running: dict[str, bool] = field(default_factory=dict)
    stopped: bool = False
    failed: bool = False


class Action(Immutable):
    """A request of an operator that the run has recorded (R22).

    Attributes:
        verb: One of ``Verb``, or ``cancel``.
        gave: What was given with it, in short: ``input {"amount": 40}``, ``a new key``; empty when nothing was.
    """

    at: float
    verb: str
    path: str
    by: str
    why: str
    gave: str = ""


class Telling(Enum):
    """How a call of ``on_pause`` stands.

    ``UNKNOWN``: nobody knows whether it has told anybody, for instance because the run has ended before it.
    """

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Notice:
    """A call that tells somebody that the saga waits for an operator. R64.

    Attributes:
        call: Its id.
        step: Its id in ``on_pause`` of the definition; ``activity``: what it calls.
        path: What waits: a step, or a compensation. ``occurrence``: for the how-manieth time.
        arguments: What it sends, until it has ended: none or one JSON value.
        variables: The names that it adds for expressions, until it has ended.
        is_sent: The host has it.
    """

    call: str
    step: str
    activity: str
    path: str
    occurrence: int
    at: float
    progress: Telling = Telling.RUNNING
    arguments: list[Any] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    is_sent: bool = False
    attempts: int | None = None
    ended_at: float | None = None
    error: Error | None = None


class Migration(Immutable):
    """A change of the run to another definition; ``from_digest`` and ``digest`` tell the two definitions apart."""

    at: float
    from_digest: str
    from_version: str
    digest: str
    version: str


class Chunk(Immutable):
    """Packed steps that are over; see ``chunks``.

    Attributes:
        last: Number of the moment at which the last of them was over.
        undone: The steps have been undone; otherwise they have to be undone if the saga fails.
    """

    last: int
    data: str
    undone: bool = False


@dataclass(slots=True)
class State:
    """Everything that is known so far of one run.

    Attributes:
        generation: A token in the keys of a saga that began anew under its id.
        clock: Number of the last beginning or end.
        undoable: Paths of the records with a compensation, in the order of their beginnings.
        failure: The first error; later errors are in ``others`` (R9, R39).
        cancelled: A cancel request began the undoing.
        pending_stop: A cancel or the saga's timeout that waits until the running pivot has settled;
            ``pivot_at`` is the pivot's path.
        timed_out: The saga's own timeout passed (after the pivot: an alarm only, R35).
        pivot_passed: Nothing is undone any more (R43).
        stopped: A handler said ``then: stop``.
        undo_only: The run exists only to undo a completed one. ``undo_failed``: something could not be undone.
        wants_journal: The parent may have to undo the saga when it has completed.
        journal_percent: How much longer the handover becomes on its way to the parent.
        attention: The steps and calls that wait for an operator, by path, and why.
        waits_since: Since when they wait.
        occurrences: How often each path has waited for an operator.
        told: How many pauses ``on_pause`` has told of. ``notices``: its calls, by id: those that have not ended, and
            the newest of the others.
        requests: Ids of accepted signals and decisions, the newest last, and what became of each: the path of the
            step that took the signal (empty when it is kept), or the verb of the decision.
        signals: Payloads of signals that no step has taken yet, by the name of the signal (R59).
        senders: Their senders, in the same order; ``None`` for a signal that does not say. A list may be too short:
            then it is the last signals that do not say.
        waiting: Paths of steps that wait, by signal name.
        refused: The newest signals that waits have refused.
        answer: Empty, or the early answer of the saga.
        calls: Calls in flight, from call id to the path of the record.
        timers: Timers that are set, from id to instant.
        page: The address of the gateway's page, without a slash at its end; empty if nobody has said it.
        chunks: Steps without records that are to be undone, or have been; ``gone`` counts all steps without a
            record, as ``<step> <word>``.
        returned: Empty, or the value with which a step has ended the saga early (``return``).
        warnings: Why a completed saga has null as its output.
        output_dropped: The outputs of all steps, which would be the saga's output, were too large to be kept.
        returning: Path of the step to which the saga goes back; what lies behind it is being undone. Empty: to none.
        anew: Steps that are done once more because the saga went back, by id, and how often each may have been repeated
            before: their calls and keys have higher numbers.
        chosen: Chosen workflow ids of child sagas that have begun and were undone, by the paths of their steps: such a
            step may begin its child once more under the same id.
        migrating: Digest of the definition to which the run migrates when nothing is in flight; empty: to none.
        migrations: The migrations that were made, the oldest first.
        held: Entries of ``Run.todo`` that a pause, a drain or too many calls in flight hold back; a snapshot has them
            as ``<kind>:<key>``, the one that has waited longest first.
    """

    rules: int = RULES
    saga_id: str = ""
    generation: str = ""
    run_id: str = ""
    started_at: float = 0.0
    now: float = 0.0
    input: Any = None
    phase: Phase = Phase.FORWARD
    clock: int = 0
    records: dict[str, Record] = field(default_factory=dict)
    frames: dict[str, Frame] = field(default_factory=dict)
    unwinds: dict[str, Unwind] = field(default_factory=dict)
    undoable: dict[str, bool] = field(default_factory=dict)
    failure: Error | None = None
    others: list[Error] = field(default_factory=list)
    cancelled: bool = False
    pending_stop: Error | None = None
    pivot_at: str = ""
    timed_out: bool = False
    pivot_passed: bool = False
    stopped: bool = False
    paused: bool = False
    draining: bool = False
    undo_only: bool = False
    undo_failed: bool = False
    wants_journal: bool = False
    journal_percent: int = 100
    attention: dict[str, Error] = field(default_factory=dict)
    waits_since: dict[str, float] = field(default_factory=dict)
    occurrences: dict[str, int] = field(default_factory=dict)
    told: int = 0
    notices: dict[str, Notice] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    signals: dict[str, list[Any]] = field(default_factory=dict)
    senders: dict[str, list[Sender | None]] = field(default_factory=dict)
    waiting: dict[str, list[str]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    answer: list[Any] = field(default_factory=list)
    calls: dict[str, str] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    held: dict[tuple[Beginning, str], bool] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    returning: str = ""
    anew: dict[str, int] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)
    page: str = ""
    migrating: str = ""
    migrations: list[Migration] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    gone: dict[str, int] = field(default_factory=dict)
    status: Status | None = None
    output: Any = None
    returned: list[Any] = field(default_factory=list)
    warnings: list[Error] = field(default_factory=list)
    output_dropped: bool = False

    @property
    def caller(self) -> str:
        """The caller's name, with which idempotency keys and ids of children begin."""
        return caller_of(self.saga_id, self.generation) if self.generation else self.saga_id
