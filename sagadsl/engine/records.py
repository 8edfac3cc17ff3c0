"""What a run knows of its steps: a record of each, with its signal and its compensation. Replay-critical.

They are parts of the state; see ``journal``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sagadsl.engine.facts import Error, Outcome
from sagadsl.immutable import Immutable
from sagadsl.language.paths import CallId


class Progress(Enum):
    """The status of a step; ``steps.<id>.status`` shows it."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    """Only of a child saga: the saga went on without it, and it goes on by itself. R116."""


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


LEFT = (UndoProgress.FAILED, UndoProgress.SKIPPED, UndoProgress.NOT_ATTEMPTED)
"""The ends of compensations that left something behind."""


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
        done_before: Indices of actions that have succeeded already, when an operator has the rest carried out again.
        inputs: Empty, or the input that an operator has given for the action.
        loops: The rounds of the loops around the step; ``variables`` are their names (R7).
        definition: Digest of the former definition that says how to undo the step; empty: the saga's own (R72).
    """

    progress: UndoProgress = UndoProgress.REGISTERED
    early: list[dict[str, Any]] = field(default_factory=list)
    action: int = 0
    attempts: int | None = None
    repeats: int = 0
    errors: dict[int, Error] = field(default_factory=dict)
    skipped: bool = False
    done_before: list[int] = field(default_factory=list)
    loops: dict[str, int] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    definition: str = ""
    started_at: float | None = None
    ended_at: float | None = None
    inputs: list[Any] = field(default_factory=list)


class Sender(Immutable):
    """Who sent a signal, when it came, and why it was sent; kept only for a signal that says who or why."""

    at: float
    by: str
    why: str


@dataclass(slots=True)
class Unheard:
    """Of a step with ``timeouts.settle``: an attempt of which nobody has heard. R96.

    Attributes:
        seconds: How long the undo of the step waits for such an attempt.
        until: The instant until which it waits; ``None``: nobody is awaited.
        began: When the attempt began; ``None`` when nobody knows.
        output: Empty, or the output with which the attempt has ended late (R97).
    """

    seconds: float
    until: float | None = None
    began: float | None = None
    output: list[Any] = field(default_factory=list)


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
        given: An operator has given its input. ``key``: the number of its key; a new key makes it 2, 3 …
        doubt: It is repeated, and nobody knows what an earlier call has changed.
        by_hand: An operator has done it, and given its output.
        tries: The number of the try of a step that is tried again.
        next_try: The instant of the next try, while what the failed one did is undone, or while the step waits for it.
            It stays when the step is cancelled meanwhile: so it is known that what was done in it is undone.
        expired: The time of a child saga is over, and it was asked to end.
        journal: The journal of a child saga that may have to undo itself.
        activity: The activity that the step calls, when an expression has given its name.
        to: The workflow to which the step sends a signal.
        child: The workflow id of the step's child saga, when an expression has given it. It stays when the step is
            begun once more, and is empty as long as nothing has begun under it.
        took_kept: The signal of the wait had come before the wait began.
        sender: Who sent the signal that the wait has taken, if the signal says so.
        reply: What its sender got, if the wait replies.
        unheard: For a step with ``timeouts.settle``: what is known of an attempt that may end late.
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
    sender: Sender | None = None
    given: bool = False
    key: int = 1
    doubt: bool = False
    by_hand: bool = False
    activity: str = ""
    tries: int = 1
    next_try: float | None = None
    expired: bool = False
    reply: Any = None
    to: str = ""
    unheard: Unheard | None = None
    child: str = ""

    @property
    def call_id(self) -> str:
        """The id of the step's call on the host: its path, with numbers when an operator repeated it."""
        if self.repeats == 0 and self.key == 1:
            return self.path
        return str(CallId(self.path, time=self.repeats + 1, key=self.key))
