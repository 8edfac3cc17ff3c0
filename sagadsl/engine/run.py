"""The working set of one fact: the state, the commands so far, the places still to visit."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import Any, Literal

from sagadsl.engine.facts import CancelTimer, Command, Error, StartTimer
from sagadsl.engine.journal import Beginning, Frame, Phase, State
from sagadsl.engine.noted import Noted
from sagadsl.engine.records import Progress, Record
from sagadsl.engine.scope import step_to_undo
from sagadsl.language.expressions.values import METER, ExpressionError
from sagadsl.language.model import Saga, Step
from sagadsl.language.own_errors import EXPRESSION_ERROR
from sagadsl.language.paths import TimerKind, timer

TIMEOUT_TIMER = "@timeout"
"""Id of the timer for the saga's own timeout; no step path can look like it."""

IN_FLIGHT = 1_500
"""Calls that may run at the same time; others wait for their turn. The server allows 2,000 (R51)."""

NOTICES_IN_FLIGHT = 100
"""Calls of ``on_pause`` that may run beside them."""

STEPS_AT_ONCE = 15_000
"""Steps that may begin before the saga waits for something: the bound ends a loop that never waits (R56)."""

STEP_WORK = 100
"""The cost of beginning a step, in the units of ``expression_data.BUDGET``."""

PART_WORK = 500_000
"""Work after which the host has to rest: some tenths of a second. A Temporal worker gives up a workflow task that
computes for two seconds, and would do so for ever, since the next attempt has to do the same work again."""

WHOLE_WORK = 30_000_000
"""Work for one fact before the saga waits for something, with or without rests; beyond it expressions fail (R56)."""

BOUNDED_WORK = 2
"""Since this version of the rules, work is bounded."""

BEHIND_PIVOT = 3
"""Since this version of the rules, a saga stops behind its pivot if its history became full while the pivot ran. And
rounds that an operator has repeated neither reuse the ids of packed rounds nor forget their losers."""

REQUESTS_KEPT = 500
"""How many ids of signals and decisions are remembered, so that a repeat changes nothing."""

SAFE_HANDOVER = 2
"""Since this version of the rules, a child saga does not complete when its parent could not undo it."""

OUTPUT_BYTES = 2_000_000
"""Bytes of JSON that a saga can return. The server takes 2 MiB a payload; the rest is room for a codec. R52."""

OTHER_ERRORS = 100
"""How many errors are kept besides the first; each step keeps its own in any case."""


Todo = tuple[Beginning | Literal["fact", "ended", "over", "undone", "not undone", "failed", "returned", "tell"], str]
"""A place to visit, and its key: the path of a record for ``ended``, ``failed``, ``returned``, ``action`` and
``again``, of a frame for ``advance`` and ``over``; the key of a compensation pass for ``unwind`` and for the pass's
end; what waits for an operator for ``tell``; empty for the fact itself."""


class Mistake(Exception):
    """The definition asks for something impossible; it becomes the step's error."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(type_, message)
        self.type, self.message = type_, message


class Run:
    """A saga, its state, the commands so far, and a queue of places to visit.

    The queue replaces recursion: ten thousand steps that end at once need no stack.
    ``began`` counts the steps that have begun since the fact; ``journal`` is the handover of a completed saga;
    ``noted`` is for those who watch the saga.
    Work is measured from ``resume`` to ``rest``: in between, nothing else computes in this thread.
    """

    __slots__ = ("_before", "_mark", "began", "commands", "journal", "noted", "saga", "state", "todo")

    def __init__(self, saga: Saga, state: State) -> None:
        self.saga = saga
        self.state = state
        self.commands: list[Command] = []
        self.noted: list[Noted] = []
        self.journal: Any = None
        self.todo: deque[Todo] = deque()
        self.began = 0
        self._before = self._mark = 0

    def resume(self) -> None:
        """Begin to count work, or go on after a rest."""
        self._mark = METER.spent
        METER.most = None if self.state.rules < BOUNDED_WORK else self._mark + WHOLE_WORK - self._before

    def rest(self) -> int:
        """Stop counting for now, and return how much work was done."""
        work = METER.spent - self._mark
        self._before += work
        METER.most = None
        return work

    def count_afresh(self) -> None:
        """Start the bound on work anew: the saga has failed, and undoing needs all of it."""
        self._before = self._mark - METER.spent
        if METER.most is not None:
            METER.most = METER.spent + WHOLE_WORK

    @property
    def tired(self) -> bool:
        """Whether so much work was done since ``resume`` that the host needs a rest."""
        return METER.spent - self._mark > PART_WORK and self.state.rules >= BOUNDED_WORK

    def tick(self) -> int:
        """Count one more moment in the order of all beginnings and ends, and return its number."""
        self.state.clock += 1
        return self.state.clock

    def step(self, record: Record) -> Step:
        return self.saga.places[record.step].step

    def step_to_undo(self, record: Record) -> Step:
        """Return a step as the definition has it that says how to undo it; see ``saga_to_undo``."""
        return step_to_undo(self.saga, record)

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
        """Open a block; its first steps start when the queue reaches it."""
        self.state.frames[frame.path] = frame
        self.todo.append(("advance", frame.path))

    def end(self, record: Record, progress: Progress) -> None:
        """Note that a step is over, and queue its frame."""
        record.progress = progress
        if self.state.timers:
            self.drop_timer(timer(record.path, TimerKind.LIMIT))
        record.ended = self.tick()
        record.ended_at = self.state.now
        self.noted.append(Noted("step over", record))
        self.todo.append(("ended", record.path))

    def may_start(self, kind: Beginning, key: str) -> bool:
        """Say whether new work may begin; if not, hold the place back until it may."""
        if not self._has_room():
            self.state.held[kind, key] = True
            return False
        return True

    def release(self) -> bool:
        """Queue the place that was held back longest, if new work may begin; false if there is none."""
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
        return state.pending_stop is None or not self.forward  # R25: begin nothing more once a stop was requested

    def taken_in(self, request: str, by: str) -> None:
        """Remember a request and what became of it; a request without an id is not remembered."""
        if not request:
            return
        requests = self.state.requests
        requests[request] = by
        if len(requests) > REQUESTS_KEPT:
            del requests[next(iter(requests))]

    def needs_attention(self, path: str, error: Error, limit: timedelta | None = None) -> None:
        """Let the step or call at *path* wait for an operator, for at most *limit*. R22."""
        state = self.state
        state.attention[path] = error
        state.occurrences[path] = state.occurrences.get(path, 0) + 1
        state.waits_since[path] = state.now
        self.noted.append(Noted("waits", path=path))
        if limit is not None:
            self.set_timer(timer(path, TimerKind.PAUSE), state.now + limit.total_seconds(), f"decision about {path}")
        if self.saga.on_pause:
            self.todo.append(("tell", path))

    def decided(self, path: str) -> Error:
        """End the wait for an operator at *path*, and return the error that it was about."""
        self.drop_timer(timer(path, TimerKind.PAUSE))
        since = self.state.waits_since.pop(path, self.state.now)
        self.noted.append(Noted("decided", path=path, seconds=self.state.now - since))
        return self.state.attention.pop(path)

    def fail_with(self, error: Error | None) -> None:
        """Set the error with which the saga fails; a later one, also a cancel, is only noted beside it (R23)."""
        if self.state.failure is None:
            self.state.failure = error
        else:
            self.note(error)

    def note(self, error: Error | None) -> None:
        """Keep an error besides the first one (R9, R39); keep the same error only once (R28)."""
        others = self.state.others
        if error is not None and error != self.state.failure and len(others) < OTHER_ERRORS and error not in others:
            others.append(error)

    @property
    def forward(self) -> bool:
        return self.state.phase is Phase.FORWARD


def error_of(mistake: Mistake | ExpressionError, path: str) -> Error:
    """Return a mistake in the definition as the error of the step at *path*. R56."""
    if isinstance(mistake, Mistake):
        return Error(mistake.type, mistake.message, path)
    return Error(EXPRESSION_ERROR, str(mistake), path)
