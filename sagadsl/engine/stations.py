"""The states that runs of a saga may be in, without data: one for each step at which a run may stand.

They answer what a change of a definition means for open runs before anybody asks a run: ``migration.judge`` takes them
like the state of a run.
"""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.engine.facts import Outcome
from sagadsl.engine.journal import ArmSteps, Frame, FrameBody, FrameKind, State
from sagadsl.engine.records import Progress, Record, Undo
from sagadsl.engine.scope import STATE
from sagadsl.immutable import Immutable
from sagadsl.language.calls import Call
from sagadsl.language.kinds import Lane, parts
from sagadsl.language.model import Branching, ForEach, Leaf, Loop, Parallel, Repeat, Saga, Step, WaitFor
from sagadsl.language.paths import ROOT, path_in, round_path
from sagadsl.language.walk import Level, Spot, spots

_FORWARD = (Lane.STEPS, Lane.BRANCH, Lane.ARM)


class Station(Immutable):
    """A step at which a run may stand, and the state of such a run: all that comes before the step is done.

    Of a ``switch`` that is over, any arm may have run, so all of them count. Loops are in their first round. Branches
    beside the step have not begun, but for those that it needs.
    """

    step: str
    state: State


def stations(saga: Saga) -> Iterator[Station]:
    """Yield the stations of the forward part, in the order of the file."""
    for spot in spots(saga):
        step = spot[-1].step
        if isinstance(step.body, Leaf) and all(level.lane in _FORWARD for level in spot):
            yield Station(step.id, _Making(saga, spot).state)


class _Making:
    """Makes the state of a run that stands at the end of a way."""

    def __init__(self, saga: Saga, spot: Spot) -> None:
        self.state = State()
        around, frame = ROOT, Frame(ROOT, FrameKind.SEQUENCE, "", "steps")
        self.state.frames[ROOT] = frame
        steps = saga.steps
        for depth, level in enumerate(spot):
            self._before(frame, around, steps, level)
            path = path_in(around, level.step.id)
            self._record(level.step, path, frame, is_over=False)
            frame.open[path] = True
            if depth + 1 < len(spot):
                frame, around, steps = self._opened(level.step, path, spot[depth + 1])
            elif isinstance(level.step.body, WaitFor):
                self.state.waiting |= {signal: [path] for signal in level.step.body.signals}

    def _before(self, frame: Frame, around: str, steps: tuple[Step, ...], level: Level) -> None:
        """Note what has run in the same list before a step."""
        if frame.kind is FrameKind.PARALLEL:
            frame.begun[level.step.id] = True
            for step in _needed(steps, level.step):
                frame.begun[step.id] = frame.done[step.id] = True
                self._done(step, around, frame)
            return
        frame.cursor = level.index + 1
        for step in steps[: level.index]:
            self._done(step, around, frame)

    def _opened(self, step: Step, path: str, inner: Level) -> tuple[Frame, str, tuple[Step, ...]]:
        """Open a block, and return the frame of the list in which the way goes on."""
        steps = next(part.steps for part in parts(step) if (part.lane, part.way) == (inner.lane, inner.way))
        body: FrameBody = ArmSteps(inner.way) if inner.lane is Lane.ARM else "steps"
        kind = FrameKind.SEQUENCE
        if isinstance(step.body, Branching):
            kind = FrameKind.PARALLEL if isinstance(step.body, Parallel) else FrameKind.LOOP
        elif isinstance(step.body, Repeat):
            kind = FrameKind.REPEAT
        frame = Frame(path, kind, path, body)
        self.state.frames[path] = frame
        if not isinstance(step.body, Loop):
            return frame, path, steps
        round_ = Frame(round_path(path, 0), FrameKind.SEQUENCE, path, "steps", parent=path, loops={step.id: 0})
        frame.cursor, frame.open[round_.path] = 1, True
        if isinstance(step.body, ForEach):
            frame.items = [None]
        if step.body.memory is not None:
            frame.variables = {STATE: dict.fromkeys(step.body.memory.state.items or ())}
        self.state.frames[round_.path] = round_
        return round_, round_.path, steps

    def _done(self, step: Step, around: str, frame: Frame) -> None:
        """Note a step that is over, and the steps in it."""
        path = path_in(around, step.id)
        self._record(step, path, frame, is_over=True)
        self.state.pivot_passed = self.state.pivot_passed or step.pivot
        inside = round_path(path, 0) if isinstance(step.body, Loop) else path
        for part in parts(step):
            for each in part.steps:
                self._done(each, inside, frame)

    def _record(self, step: Step, path: str, frame: Frame, *, is_over: bool) -> None:
        state = self.state
        state.clock += 1
        record = Record(path, step.id, frame.path, state.clock, 0.0)
        if is_over:
            record.progress, record.ended = Progress.COMPLETED, state.clock
        if isinstance(step.body, Call):
            record.outcome = Outcome.SUCCEEDED if is_over else Outcome.UNKNOWN
            if step.compensation is not None:
                record.undo = Undo()
        state.records[path] = record


def _needed(branches: tuple[Step, ...], step: Step) -> list[Step]:
    """Return the branches that have ended before a branch begins."""
    by_id = {each.id: each for each in branches}
    found: dict[str, Step] = {}
    waiting = list(step.needs)
    while waiting:
        need = waiting.pop()
        if need in by_id and need not in found:
            found[need] = by_id[need]
            waiting += by_id[need].needs
    return list(found.values())
