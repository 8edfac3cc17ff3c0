"""The state of one run: what has happened so far, seen by step path. Replay-critical.

The state is the fold of all facts and the only truth: the status query, the report, the live
display, continue-as-new and a child's undo read nothing else. Only the engine changes it. It
does so in place, so that a fact costs the depth of the tree and not the length of the saga;
``snapshot`` and ``restore`` give an independent copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from typing import Any, Literal

from sagadsl.engine.facts import Error, Outcome, Status
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


class Progress(Enum):
    """The status of a step; ``steps.<id>.status`` shows it."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class UndoProgress(Enum):
    """The status of a step's compensation."""

    REGISTERED = "registered"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_ATTEMPTED = "not_attempted"
    NOT_DUE = "not_due"


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


@dataclass(slots=True)
class Undo:
    """The compensation of one step instance; exists before the step is scheduled (R4).

    Attributes:
        early: For each action, the part of its input that was rendered before the step ran: all of it as
            ``{"": input}``, or single keys (R15).
        action: Index of the action that is running or comes next.
        attempts: Attempts of the last action, as the host has counted them.
        repeats: How often an operator repeated the action.
        errors: Errors of the actions that failed for good, by index.
        skipped: An operator skipped an action.
        loops: The rounds of the loops around the step; ``variables`` are their names (R7).
    """

    progress: UndoProgress = UndoProgress.REGISTERED
    early: list[dict[str, Any]] = field(default_factory=list)
    action: int = 0
    attempts: int | None = None
    repeats: int = 0
    errors: dict[int, Error] = field(default_factory=dict)
    skipped: bool = False
    loops: dict[str, int] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(slots=True)
class Record:
    """One instance of a step: a leaf or a block.

    Attributes:
        path: E.g. ``book/flight`` or ``lines[3]/reserve``.
        step: Id of the step in the definition.
        frame: Path of the frame that started the step.
        began: Number of the moment when the step began, in the order of all beginnings and ends of the run.
        ended: Number of the moment when it ended; 0 while it runs.
        settled: Number of the moment when its last call ended, after which an error handler may have run; 0 without
            a call.
        outcome: For activities and child sagas: what is known of the effect.
        has_output: ``output`` is set, even when it is null.
        handled: The step failed, and an ``on_error`` handler lets the saga go on.
        cancel_asked: The host has been asked to stop the step.
        repeats: How often an operator repeated the step.
        journal: The journal of a child saga that may have to undo itself.
        took_kept: The signal of the wait had come before the wait began.
    """

    path: str
    step: str
    frame: str
    began: int
    started_at: float
    progress: Progress = Progress.RUNNING
    ended: int = 0
    ended_at: float | None = None
    settled: int = 0
    outcome: Outcome = Outcome.NOT_STARTED
    input: Any = None
    output: Any = None
    has_output: bool = False
    handled: bool = False
    error: Error | None = None
    attempts: int | None = None
    cancel_asked: bool = False
    repeats: int = 0
    journal: Any = None
    undo: Undo | None = None
    took_kept: bool = False


class ArmSteps(Immutable):
    """The steps of an arm of a switch."""

    index: int


class HandlerSteps(Immutable):
    """The steps of an error handler."""

    index: int


FrameBody = Literal["steps", "on_failure"] | ArmSteps | HandlerSteps
"""Where the steps of a frame are in the model: ``steps`` of the saga or a block, ``on_failure`` of the saga, or one
of several lists of a step."""

Beginning = Literal["advance", "unwind", "action"]
"""What may begin calls, and so has to wait while none may begin: a frame, a compensation pass, a compensation."""


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
    """A request of an operator that the run has recorded (R22); ``verb`` is one of ``Verb``, or ``cancel``."""

    at: float
    verb: str
    path: str
    by: str
    why: str


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
        occurrences: How often each path has waited for an operator.
        requests: Ids of accepted signals and decisions, the newest last, and what became of each: the path of the
            step that took the signal (empty when it is kept), or the verb of the decision.
        signals: Payloads of signals that no step has taken yet, by the name of the signal (R59).
        waiting: Paths of steps that wait, by signal name.
        calls: Calls in flight, from call id to the path of the record.
        timers: Timers that are set, from id to instant.
        chunks: Steps without records that are to be undone, or have been; ``gone`` counts all steps without a
            record, as ``<step> <word>``.
        warnings: Why a completed saga has null as its output.
        output_dropped: The outputs of all steps, which would be the saga's output, were too large to be kept.
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
    occurrences: dict[str, int] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    signals: dict[str, list[Any]] = field(default_factory=dict)
    waiting: dict[str, list[str]] = field(default_factory=dict)
    calls: dict[str, str] = field(default_factory=dict)
    timers: dict[str, float] = field(default_factory=dict)
    held: dict[tuple[Beginning, str], bool] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    gone: dict[str, int] = field(default_factory=dict)
    status: Status | None = None
    output: Any = None
    warnings: list[Error] = field(default_factory=list)
    output_dropped: bool = False

    @property
    def caller(self) -> str:
        """The caller's name, with which idempotency keys and ids of children begin."""
        return caller_of(self.saga_id, self.generation)

    def snapshot(self) -> dict[str, Any]:
        """Return the state as JSON data without fields at their default; users' data is shared, and not copied."""
        version = {"rules": self.rules} if self.rules != FIRST_RULES else {}
        return (
            version
            | _pack(self, shallow=(*_BY_HAND, "rules"))
            | {name: [_pack(part) for part in getattr(self, name).values()] for name in _BY_HAND if getattr(self, name)}
        )

    @classmethod
    def restore(cls, data: Mapping[str, Any]) -> State:
        """Return the state whose ``snapshot`` is *data*."""
        state = cls(**_unpacked(data))
        state.rules = data.get("rules", FIRST_RULES)
        for packed in data.get("records", ()):
            record = Record(**_unpacked(packed))
            state.records[record.path] = record
        for packed in data.get("frames", ()):
            frame = Frame(**_unpacked(packed))
            state.frames[frame.path] = frame
        for packed in data.get("unwinds", ()):
            unwind = Unwind(**_unpacked(packed))
            state.unwinds[unwind.key] = unwind
        return state


_BY_HAND = ("records", "frames", "unwinds")
_FORMER = frozenset({"aborted", "undone"})
"""Fields that former releases wrote. They follow from other fields."""


def _pack(thing: Any, shallow: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: _plain(name, value) for name, value in _set_fields(thing) if name not in shallow}


def _set_fields(thing: Any) -> Iterator[tuple[str, Any]]:
    for spec in fields(thing):
        value = getattr(thing, spec.name)
        if spec.default is not MISSING:
            if value == spec.default:
                continue
        elif spec.default_factory is not MISSING and not value:
            continue
        yield spec.name, value


_FREE = frozenset({"input", "output", "journal"})
"""Fields that hold the user's JSON, which is not converted."""

_ORDERED = frozenset(
    {"undoable", "open", "begun", "done", "running", "calls", "timers", "loops", "gone"} | {"occurrences", "requests"}
)
"""Maps whose order counts (R10). Like every map of the state, they become pairs: Temporal's converter sorts keys."""

_HOLDERS = frozenset({"items", "outputs", "variables", "signals", "early"})
"""Fields that hold the user's JSON, or lists or objects of it."""


def _plain(name: str, value: Any) -> Any:
    if name in _FREE:
        return value
    if name == "held":
        return [[f"{kind}:{key}", is_held] for (kind, key), is_held in value.items()]
    return _held(name, value) if name in _HOLDERS else _data(value)


def _data(value: Any) -> Any:
    match value:
        case Enum():
            return value.value
        case Error(type_, message, step, causes):
            return [type_, message, step, [list(cause) for cause in causes]]
        case Chunk(last, data, undone):
            return [last, data, undone]
        case Undo():
            return _pack(value)
        case ArmSteps(index):
            return f"arm:{index}"
        case HandlerSteps(index):
            return f"handler:{index}"
        case Action(at, verb, path, by, why):
            return [at, verb, path, by, why]
        case dict():
            return [[key, _data(item)] for key, item in value.items()]
        case list():
            return [_data(item) for item in value]
        case _:
            return value


def _held(name: str, value: Any) -> Any:
    """Copy a holder of the user's JSON as deep as the engine changes it."""
    if name == "signals":
        return {key: list(payloads) for key, payloads in value.items()}
    if name == "early":
        return [dict(each) for each in value]
    return dict(value) if isinstance(value, dict) else list(value)


def _error(data: Any) -> Error:
    type_, message, step, causes = data
    return Error(type_, message, step, tuple((cause[0], cause[1]) for cause in causes))


def _unpacked(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _unpack(name, value) for name, value in data.items() if name not in _BY_HAND and name not in _FORMER}


def _unpack(name: str, value: Any) -> Any:
    match name:
        case "progress":
            return Progress(value)
        case "outcome":
            return Outcome(value)
        case "phase":
            return Phase(value)
        case "kind":
            return FrameKind(value)
        case "closing":
            return Closing(value)
        case "status":
            return Status(value)
        case "failure" | "error" | "pending_stop":
            return _error(value)
        case "others" | "warnings":
            return [_error(item) for item in value]
        case "attention":
            return {key: _error(item) for key, item in dict(value).items()}
        case "actions":
            return [Action(at, verb, path, by, why) for at, verb, path, by, why in value]
        case "chunks":
            return [Chunk(last, data, undone) for last, data, undone in value]
        case "undo":
            return _undo(value)
        case "body":
            return _frame_body(value)
        case "held":
            return {_beginning(key): is_held for key, is_held in dict(value).items()}
        case "waiting":
            return {key: list(paths) for key, paths in dict(value).items()}
        case _ if name in _ORDERED:
            return dict(value)
        case _ if name in _HOLDERS:
            return _held(name, value)
        case _ if isinstance(value, list) and name not in _FREE:
            return list(value)
        case _:
            return value


def _frame_body(text: str) -> FrameBody:
    part, _, index = text.partition(":")
    match part:
        case "steps" | "on_failure":
            return part
        case "arm":
            return ArmSteps(int(index))
        case "handler":
            return HandlerSteps(int(index))
        case _:
            raise ValueError(f"no frame has the body `{text}`")


def _beginning(text: str) -> tuple[Beginning, str]:
    kind, _, key = text.partition(":")
    match kind:
        case "advance" | "unwind" | "action":
            return kind, key
        case _:
            raise ValueError(f"nothing is held as `{text}`")


def _undo(value: Mapping[str, Any]) -> Undo:
    plain = {key: _unpack(key, item) for key, item in value.items() if key not in ("progress", "errors")}
    undo = Undo(**plain, errors={int(key): _error(item) for key, item in dict(value.get("errors", ())).items()})
    if "progress" in value:
        undo.progress = UndoProgress(value["progress"])
    return undo
