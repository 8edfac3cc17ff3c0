"""Whether everything that a run has begun has its place in another definition. R70 to R73."""

from __future__ import annotations

from collections.abc import Iterable

from sagadsl.engine.blocks import body_of
from sagadsl.engine.facts import Outcome
from sagadsl.engine.journal import ArmSteps, Frame, FrameKind, HandlerSteps
from sagadsl.engine.promises import called, undone_otherwise
from sagadsl.engine.records import Progress, Record
from sagadsl.engine.run import TIMEOUT_TIMER, Run
from sagadsl.engine.scope import STATE
from sagadsl.engine.verdict import Judging
from sagadsl.language.calls import Duration, Value
from sagadsl.language.kinds import is_loop, key_of, kind_of, parts
from sagadsl.language.model import Body, ForEach, Loop, Place, Sleep, Step, Switch, WaitFor
from sagadsl.language.paths import handler_path, is_path_at, parse_call, path_in, rounds_in
from sagadsl.language.suggest import did_you_mean


def judge_places(judging: Judging) -> None:
    """Judge the steps, the open blocks, the pivot, what is to be undone, and the waits for an operator."""
    of = _Places(judging)
    of.places()
    of.frames()
    of.blocks_that_are_over()
    of.pivots()
    of.undoing()
    of.decisions()
    of.timers()


class _Places:
    def __init__(self, judging: Judging) -> None:
        self.judging = judging
        self._new_run, self._old_run = Run(judging.new, judging.state), Run(judging.old, judging.state)

    def places(self) -> None:
        """R70: a step that has begun is still there: the same id, the same kind, in the same blocks."""
        for step_id, word in self._begun().items():
            then, now = self.judging.old.places.get(step_id), self.judging.new.places.get(step_id)
            if then is None:
                continue
            if now is None:
                hint = did_you_mean(step_id, set(self.judging.new.places) - set(self.judging.old.places))
                more = f": {hint}; a step that has begun keeps its id" if hint else ""
                self.judging.misplaced.add(step_id)
                self.judging.no("R70", step_id, f"`{step_id}` {word}, and the new definition has no such step{more}")
            elif (type(now.step.body), key_of(now.step)) != (type(then.step.body), key_of(then.step)):
                self.judging.misplaced.add(step_id)
                kinds = f"`{key_of(then.step)}`, and is now `{key_of(now.step)}`"
                self.judging.no("R70", step_id, f"`{step_id}` {word} as {kinds}: a step that has begun keeps its kind")
            elif (now.blocks, now.loops) != (then.blocks, then.loops):
                self.judging.misplaced.add(step_id)
                self.judging.no(
                    "R70",
                    step_id,
                    f"`{step_id}` {word} {_around(then)}, and now stands {_around(now)}: "
                    "a step that has begun keeps its place",
                )

    def _begun(self) -> dict[str, str]:
        """Return the steps that have begun, and how each stands in words."""
        found = {key.partition(" ")[0]: "has run" for key in self.judging.state.gone}
        for record in self.judging.state.records.values():
            found[record.step] = found.get(record.step) or _word(record)
        return found

    def frames(self) -> None:
        """R71: in an open block, only steps whose turn is still to come may be new, moved or gone."""
        for frame in self.judging.state.frames.values():
            owner = self.judging.state.records.get(frame.owner)
            if owner is not None and owner.step in self.judging.misplaced:
                continue
            step = None if owner is None else self.judging.new.places[owner.step].step
            if not self._has_body(frame, owner, step):
                continue
            match frame.kind:
                case FrameKind.SEQUENCE if frame.closing is None:
                    self._sequence(frame)
                case FrameKind.PARALLEL if frame.closing is None:
                    self._branches(frame)
                case FrameKind.LOOP:
                    self._loop(frame, step)
                    self._memory(frame, step)
                case FrameKind.REPEAT:
                    self._memory(frame, step)
                case _:
                    pass

    def _has_body(self, frame: Frame, owner: Record | None, step: Step | None) -> bool:
        """Whether the new definition has the arm, or the error handler, whose steps run in a frame."""
        match frame.body:
            case ArmSteps(index):
                assert owner is not None
                assert step is not None
                then = self.judging.old.places[owner.step].step.body
                assert isinstance(step.body, Switch)
                assert isinstance(then, Switch)
                if index < len(step.body.arms) and (
                    frame.cursor or step.body.arms[index].condition == then.arms[index].condition
                ):
                    return True
                self.judging.no("R71", owner.step, f"arm {index + 1} of `{owner.step}` runs, and is not there any more")
                return False
            case HandlerSteps(index):
                assert owner is not None
                assert step is not None
                then_step = self.judging.old.places[owner.step].step
                if (
                    index < len(step.on_error)
                    and step.on_error[index].steps
                    and (frame.cursor or step.on_error[index].types == then_step.on_error[index].types)
                ):
                    return True
                message = f"error handler {index + 1} of `{owner.step}` runs, and is not there any more"
                self.judging.no("R71", owner.step, message, "on_error")
                return False
            case _:
                return True

    def _sequence(self, frame: Frame) -> None:
        before = {step.id for step in body_of(self._old_run, frame)[: frame.cursor]}
        now = body_of(self._new_run, frame)
        last = max((index for index, step in enumerate(now) if step.id in before), default=-1)
        for step in now[: last + 1]:
            if step.id not in before:
                self._too_late(step)
        gone = before - {step.id for step in now}
        for each in sorted(gone - self.judging.misplaced):  # it was there, and its turn has come without a record
            self.judging.no("R70", each, f"`{each}` has had its turn, and the new definition has no such step there")

    def _too_late(self, step: Step) -> None:
        is_known = step.id in self.judging.old.places
        what = "has not run" if is_known else "is new"
        self.judging.no(
            "R71", step.id, f"`{step.id}` {what} and lies before what has run, so this run would never come to it"
        )

    def _branches(self, frame: Frame) -> None:
        for step in body_of(self._new_run, frame):
            missing = [each for each in step.needs if each not in frame.done]
            if step.id in frame.begun and missing:
                message = f"`{step.id}` has begun, and now needs `{missing[0]}`, which has not ended"
                self.judging.no("R71", step.id, message, "needs")

    def _loop(self, frame: Frame, step: Step | None) -> None:
        assert step is not None
        then = self.judging.old.places[step.id].step.body
        assert isinstance(step.body, ForEach)
        assert isinstance(then, ForEach)
        if step.body.variable != then.variable:
            message = f"rounds of `{step.id}` know their item as `{then.variable}`, the new name is"
            self.judging.no("R70", step.id, f"{message} `{step.body.variable}`", "for_each")
        known = {each.id for each in then.steps}
        if frame.ended and frame.closing is None:
            for each in step.body.steps:
                if each.id not in known:
                    self._too_late(each)

    def _memory(self, frame: Frame, step: Step | None) -> None:
        """R74: what a loop keeps from round to round is known from its first round on, or not at all."""
        assert step is not None
        assert isinstance(step.body, Loop)
        wanted = {} if step.body.memory is None else step.body.memory.state.items or {}
        for name in wanted:
            if name not in frame.variables.get(STATE, {}):
                message = f"the rounds of `{step.id}` have begun without `{name}` in `state`, so nobody knows its value"
                self.judging.no("R74", step.id, message, kind_of(step).key)

    def blocks_that_are_over(self) -> None:
        """R71: nothing is new in a block that is over."""
        for record in self.judging.state.records.values():
            if record.step in self.judging.misplaced or not record.ended or record.progress is Progress.SKIPPED:
                continue
            if not self.judging.may_begin(record.step):
                continue  # no step of a block that went forward would begin any more
            if any(round_ not in self.judging.state.frames for _, _, round_ in rounds_in(record.path)):
                continue  # the next round runs what is new
            self._over(record, self.judging.old.places[record.step].step, self.judging.new.places[record.step].step)

    def _over(self, record: Record, then: Step, now: Step) -> None:
        known = {each.id for part in parts(then) for each in part.steps}
        for part in parts(now):
            if isinstance(now.body, Switch) and not self._has_run(record.path, part.steps):
                continue
            if is_loop(now) and not self._went_round(record.path):
                continue
            for each in part.steps:
                if each.id not in known and record.progress is not Progress.CANCELLED:
                    self._too_late(each)
        around = handler_path(record.path)
        handled = {each.id for handler in then.on_error for each in handler.steps}
        for handler in now.on_error:
            if self._has_run(around, handler.steps):
                for each in handler.steps:
                    if each.id not in handled:
                        self._too_late(each)

    def _has_run(self, around: str, steps: Iterable[Step]) -> bool:
        return any(path_in(around, each.id) in self.judging.state.records for each in steps)

    def _went_round(self, path: str) -> bool:
        return any(each != path and is_path_at(each, path) for each in self.judging.state.records) or bool(
            self.judging.state.gone
        )

    def pivots(self) -> None:
        """R73: a pivot that has been passed stays one, and nothing that has run becomes one."""
        for record in self.judging.state.records.values():
            if record.step in self.judging.misplaced:
                continue
            then, now = self.judging.old.places[record.step].step, self.judging.new.places[record.step].step
            happened = record.outcome is Outcome.SUCCEEDED or record.path == self.judging.state.pivot_at
            if then.pivot and not now.pivot and happened:
                how = "has been passed" if record.outcome is Outcome.SUCCEEDED else "may have happened"
                self.judging.no("R73", now.id, f"the pivot `{now.id}` {how}, and is no pivot in the new definition")
            if now.pivot and not then.pivot and record.outcome is Outcome.SUCCEEDED:
                message = f"`{now.id}` is the pivot of the new definition, and has run as a step that can be undone"
                self.judging.no("R73", now.id, message, "pivot")

    def undoing(self) -> None:
        """R72: compensations that run keep their order; steps that ran without one get none."""
        if self.judging.state.unwinds and self.judging.new.order is not self.judging.old.order:
            message = f"compensations run in the order `{self.judging.old.order.value}`, which cannot change meanwhile"
            self.judging.no("R72", "", message, "compensation", "order")
        for record in self.judging.state.records.values():
            if record.step in self.judging.misplaced or record.progress is Progress.SKIPPED:
                continue
            then, now = self.judging.old.places[record.step].step, self.judging.new.places[record.step].step
            again = ", unless it is repeated" if record.progress is Progress.PAUSED else ""
            if record.undo is None and now.compensation is not None and then.compensation is None:
                self.judging.notes.append(
                    f"`{now.id}` has begun without a compensation, and gets none{again or ' in this run'}"
                )
            elif record.undo is not None and undone_otherwise(then, now):
                self.judging.notes.append(f"`{now.id}` is undone as the old definition says, if it has to be{again}")

    def timers(self) -> None:
        """R75: what is set keeps its moment, and a timeout that the saga began without is not set later."""
        state, old, new = self.judging.state, self.judging.old, self.judging.new
        if TIMEOUT_TIMER in state.timers and old.timeout != new.timeout:
            self.judging.notes.append("the timeout of the saga keeps its moment")
        elif old.timeout is None and new.timeout is not None and self.judging.forward:
            self.judging.notes.append("the saga has begun without a timeout, and gets none in this run")
        for path in state.timers:
            record = state.records.get(path)
            if record is None or record.step in self.judging.misplaced:
                continue
            then, now = old.places[record.step].step.body, new.places[record.step].step.body
            if _waits_for(then) != _waits_for(now):
                self.judging.notes.append(f"`{record.step}` waits as long as the old definition says")

    def decisions(self) -> None:
        """R70: a call of which nobody knows how it ended is repeated as the same call."""
        for path in self.judging.state.attention:
            call = parse_call(path)
            record = self.judging.state.records.get(path) or self.judging.state.records.get(call.step)
            if (
                record is None
                or call.undoes
                or record.step in self.judging.misplaced
                or record.outcome is not Outcome.UNKNOWN
            ):
                continue
            then, now = self.judging.old.places[record.step].step, self.judging.new.places[record.step].step
            if called(then) != called(now):
                self.judging.no(
                    "R70",
                    now.id,
                    f"`{now.id}` waits for a decision, and nobody knows whether its call of `{called(then)}` "
                    f"happened: `{called(now)}` could not tell either",
                )


def _word(record: Record) -> str:
    match record.progress:
        case Progress.SKIPPED:
            return "was skipped"
        case Progress.RUNNING:
            return "runs"
        case Progress.PAUSED:
            return "waits for a decision"
        case _:
            return "has run"


def _waits_for(body: Body) -> tuple[Duration | Value | None, ...]:
    """Return how long a step waits that has set a timer."""
    if isinstance(body, Sleep):
        return body.duration, body.until
    return (body.timeout,) if isinstance(body, WaitFor) else ()


def _around(place: Place) -> str:
    """Return the blocks around a step, in words."""
    return f"in `{'/'.join(place.blocks)}`" if place.blocks else "at the top"
