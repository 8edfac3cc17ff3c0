"""The working set of one transition: the state, the commands it gives, what is left to look at."""

from __future__ import annotations

from collections import deque
from typing import Any, Literal

from sagadsl.engine.facts import CancelTimer, Command, Error, StartTimer
from sagadsl.engine.journal import Beginning, Frame, FrameKind, Phase, Progress, Record, State, Undo
from sagadsl.language.expressions.values import METER, ExpressionError
from sagadsl.language.model import Saga, Step
from sagadsl.language.own_errors import EXPRESSION_ERROR
from sagadsl.language.paths import ROOT

TIMEOUT_TIMER = "@timeout"
"""Id of the timer of the saga's own timeout; no step path can look like it."""

IN_FLIGHT = 1_500
"""Calls that run at the same time; the others wait for their turn. The server bears 2,000 (R51)."""

STEPS_AT_ONCE = 15_000
"""Steps that may begin before the saga waits for something: a loop that never waits has to end somewhere (R56)."""

STEP_WORK = 100
"""What beginning a step counts for, in the units of ``expression_data.BUDGET``."""

PART_WORK = 500_000
"""Work after which the host is given a rest: some tenths of a second. A worker of Temporal's gives up on a workflow
that computes for two seconds, and that for ever, since the next one would have to do the same again."""

WHOLE_WORK = 30_000_000
"""Work that one fact may lead to before the saga waits for something, rests or not: then expressions fail (R56)."""

BOUNDED_WORK = 2
"""Version of the rules since which work is bounded."""

BEHIND_PIVOT = 3
"""Version of the rules since which a saga stops behind its pivot whose history became full while that ran, and rounds
that an operator has repeated neither take the ids of those that were packed nor forget their losers."""

REQUESTS_KEPT = 500
"""Ids of signals and decisions that are remembered, so that a repeat of one changes nothing."""

SAFE_HANDOVER = 2
"""Version of the rules since which a child saga does not complete when its parent could not undo it."""

OTHER_ERRORS = 100
"""Errors kept besides the first; each step keeps its own in any case."""


Todo = tuple[Beginning | Literal["fact", "ended", "over", "undone", "not undone"], str]
"""A place to look at, and its key: the path of a record for ``ended`` and ``action``, of a frame for ``advance`` and
``over``; the key of a compensation pass for ``unwind`` and for how it ended; nothing for the fact itself."""


class Mistake(Exception):
    """Something that the definition asks for and that cannot be done; becomes the step's error."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(type_, message)
        self.type, self.message = type_, message


class Run:
    """A saga, its state, the commands so far, and a queue of places to look at.

    The queue takes the place of recursion: ten thousand steps that end at once cost no stack.
    ``began`` counts the steps that have begun since the fact, ``journal`` is what a completed saga hands over.
    Work is measured from ``resume`` to ``rest``: between them nothing else computes in this thread.
    """

    __slots__ = ("_before", "_mark", "began", "commands", "journal", "saga", "state", "todo")

    def __init__(self, saga: Saga, state: State) -> None:
        self.saga = saga
        self.state = state
        self.commands: list[Command] = []
        self.journal: Any = None
        self.todo: deque[Todo] = deque()
        self.began = 0
        self._before = self._mark = 0

    def resume(self) -> None:
        """Begin to compute, or go on after a rest."""
        self._mark = METER.spent
        METER.most = None if self.state.rules < BOUNDED_WORK else self._mark + WHOLE_WORK - self._before

    def rest(self) -> int:
        """Stop computing for now, and return how much work it was."""
        work = METER.spent - self._mark
        self._before += work
        METER.most = None
        return work

    def count_afresh(self) -> None:
        """Let what begins now have all the work that it may cost: the saga has failed, and is to be undone."""
        self._before = self._mark - METER.spent
        if METER.most is not None:
            METER.most = METER.spent + WHOLE_WORK

    @property
    def tired(self) -> bool:
        """Whether so much was computed since ``resume`` that the host needs a rest."""
        return METER.spent - self._mark > PART_WORK and self.state.rules >= BOUNDED_WORK

    def tick(self) -> int:
        """Return the number of this moment in the order of all beginnings and ends."""
        self.state.clock += 1
        return self.state.clock

    def step(self, record: Record) -> Step:
        return self.saga.places[record.step].step

    def call(self, call_id: str, path: str, command: Command) -> None:
        """Put a call in flight."""
        self.state.calls[call_id] = path
        self.commands.append(command)

    def set_timer(self, timer_id: str, due: float, summary: str) -> None:
        self.state.timers[timer_id] = due
        self.commands.append(StartTimer(timer_id, due, summary))

    def drop_timer(self, timer_id: str) -> None:
        if self.state.timers.pop(timer_id, None) is not None:
            self.commands.append(CancelTimer(timer_id))

    def open(self, frame: Frame) -> None:
        """Open a block; its first steps start when the queue comes to it."""
        self.state.frames[frame.path] = frame
        self.todo.append(("advance", frame.path))

    def end(self, record: Record, progress: Progress) -> None:
        """Note that a step is over, and let its frame know."""
        record.progress = progress
        record.ended = self.tick()
        record.ended_at = self.state.now
        self.todo.append(("ended", record.path))

    def may_start(self, kind: Beginning, key: str) -> bool:
        """Say whether new work may begin; if not, that place is looked at again when it may."""
        if not self._has_room():
            self.state.held[kind, key] = True
            return False
        return True

    def release(self) -> bool:
        """Look again at what was held longest, if new work may begin; false when there is nothing to look at."""
        if not self.state.held or not self._has_room():
            return False
        held = next(iter(self.state.held))
        del self.state.held[held]
        self.todo.append(held)
        return True

    def _has_room(self) -> bool:
        state = self.state
        if state.paused or state.draining or len(state.calls) >= IN_FLIGHT:
            return False
        return state.pending_stop is None or not self.forward  # R25: nothing more, once somebody wants it to stop

    def taken_in(self, request: str, by: str) -> None:
        """Remember a request, and what became of it: one that nobody has named is not remembered."""
        if not request:
            return
        requests = self.state.requests
        requests[request] = by
        if len(requests) > REQUESTS_KEPT:
            del requests[next(iter(requests))]

    def needs_attention(self, path: str, error: Error) -> None:
        """Have the call at *path* wait for an operator. R22."""
        self.state.attention[path] = error
        self.state.occurrences[path] = self.state.occurrences.get(path, 0) + 1

    def doom(self, error: Error | None) -> None:
        """Take the error of which the saga fails; one that comes later, a cancel too, is beside it (R23)."""
        if self.state.failure is None:
            self.state.failure = error
        else:
            self.note(error)

    def note(self, error: Error | None) -> None:
        """Keep an error besides the first one (R9, R39); the same one is kept once (R28)."""
        others = self.state.others
        if error is not None and error != self.state.failure and len(others) < OTHER_ERRORS and error not in others:
            others.append(error)

    @property
    def forward(self) -> bool:
        return self.state.phase is Phase.FORWARD


def error_of(mistake: Mistake | ExpressionError, path: str) -> Error:
    """Return a mistake of the definition as the error of the step at *path*. R56."""
    if isinstance(mistake, Mistake):
        return Error(mistake.type, mistake.message, path)
    return Error(EXPRESSION_ERROR, str(mistake), path)


def past(undo: Undo) -> Frame:
    """Return a frame that shows the loop data of a step whose own frames are long closed (R7)."""
    return Frame(ROOT, FrameKind.SEQUENCE, "", "steps", loops=undo.loops, variables=undo.variables)
