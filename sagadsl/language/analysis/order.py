"""Tells what can fail, and what runs after what: several families of checks ask these two questions.

Nothing here yields findings. It judges by structure alone: a condition may hold or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import assert_never

from msgspec import Struct, field

from sagadsl.immutable import Immutable
from sagadsl.language.calls import ActivityCall
from sagadsl.language.kinds import Lane, kind_of, parts
from sagadsl.language.model import ForEach, Group, Leaf, Parallel, Repeat, Saga, Step, Switch, Then


def sequences(step: Step) -> Iterator[tuple[Step, ...]]:
    """Yield the sequences directly inside a block; a parallel block has one sequence for each branch."""
    for part in parts(step):
        if part.lane is Lane.BRANCH:
            yield from ((branch,) for branch in part.steps)
        else:
            yield part.steps


def handled(step: Step) -> bool:
    """Whether no error of this step makes the saga compensate: one handler takes all errors, and none compensates."""
    for handler in step.on_error:
        if handler.then in (Then.COMPENSATE, Then.PAUSE):  # an operator may abort
            return False
        if not handler.types and handler.condition is None:
            return not any(failing(inner) for inner in handler.steps)
    return False


def failing(step: Step) -> tuple[Step, ...]:
    """Return the steps in *step*, and *step* itself, whose failure would make the saga compensate."""
    if handled(step):
        return ()
    inner = tuple(found for steps in sequences(step) for each in steps for found in failing(each))
    return (*inner, step) if kind_of(step).fails(step.body) else inner


def is_endless(call: ActivityCall) -> bool:
    """Whether nothing bounds the attempts of a call: they end only with success or with a non-retryable error."""
    return call.retry.maximum_attempts is None and call.timeouts.schedule_to_close is None


class Needs(Immutable):
    """The order of the branches of a parallel block: which of them have ended before another one begins.

    A set of branches is a whole number with one bit for each branch. A file may hold thousands of branches
    in one chain, and sets of names would then take gigabytes.

    Attributes:
        index: The number of the bit of each branch, by id.
        before: The branches that have ended before a branch begins, by the number of its bit.
    """

    index: Mapping[str, int]
    before: tuple[int, ...]

    @classmethod
    def of(cls, branches: Sequence[Step]) -> Needs:
        index = {branch.id: number for number, branch in enumerate(branches)}
        direct = [[index[name] for name in branch.needs if name in index] for branch in branches]
        followers: list[list[int]] = [[] for _ in branches]
        waiting = [len(needs) for needs in direct]
        for number, needs in enumerate(direct):
            for each in needs:
                followers[each].append(number)
        before = [0] * len(branches)
        ready = [number for number, count in enumerate(waiting) if count == 0]
        while ready:  # branches in a circle never get ready; SD203 reports them
            done = ready.pop()
            for number in followers[done]:
                before[number] |= before[done] | 1 << done
                waiting[number] -= 1
                if waiting[number] == 0:
                    ready.append(number)
        return cls(index, tuple(before))

    def ordered(self, one: str, other: str) -> bool:
        """Whether one of two branches has ended before the other begins."""
        first, second = self.index[one], self.index[other]
        return bool(self.before[second] >> first & 1 or self.before[first] >> second & 1)


class Pivots(Struct):
    """The pivots of a saga, and the steps that run after or beside them.

    Attributes:
        after: The pivot before each step that runs after one, by the id of that step; and whether the pivot has
            certainly run by then.
        second: Pivots that run after another pivot, each with the earlier one.
        repeated: Pivots in a loop, each with the loop.
        beside: Steps that run beside a pivot, each with the pivot.
    """

    after: dict[str, tuple[Step, bool]] = field(default_factory=dict)
    second: list[tuple[Step, Step]] = field(default_factory=list)
    repeated: list[tuple[Step, Step]] = field(default_factory=list)
    beside: list[tuple[Step, Step]] = field(default_factory=list)


def pivots(saga: Saga, needs: Callable[[Step], Needs]) -> Pivots:
    """Return the pivots of the forward part, with the steps after and beside them. R42 to R44.

    Args:
        needs: Gives the order of the branches of a parallel step.
    """
    search = _Search(needs)
    if any(place.step.pivot for place in saga.places.values()):
        search.sequence(saga.steps, None)
    return search.found


_Passed = tuple[Step, bool] | None


class _Search:
    """One walk through the forward part, in the order in which steps run: it notes the pivot before each step."""

    def __init__(self, needs: Callable[[Step], Needs]) -> None:
        self.found = Pivots()
        self._needs = needs

    def sequence(self, steps: Sequence[Step], passed: _Passed) -> _Passed:
        for step in steps:
            passed = self._step(step, passed)
        return passed

    def _step(self, step: Step, passed: _Passed) -> _Passed:
        """Note the pivot before *step*, and return the pivot that has run when *step* has ended."""
        if passed is not None:
            self.found.after.setdefault(step.id, passed)
        for handler in step.on_error:
            self.sequence(handler.steps, passed)
        if step.pivot:
            if passed is not None:
                self.found.second.append((step, passed[0]))
            return step, _certain(step)
        if isinstance(step.body, Leaf):
            return passed
        after: _Passed
        match step.body:
            case Parallel(steps=branches):
                after = self._branches(branches, self._needs(step), passed)
            case Switch(arms=arms):
                ends = [self.sequence(arm.steps, passed) for arm in arms]
                after = next((end for end in ends if end is not None and end is not passed), passed)
                if after is not passed and after is not None:
                    after = (after[0], False)  # certain only in this arm
            case ForEach(steps=steps) | Repeat(steps=steps):
                after = self.sequence(steps, passed)
                if after is not passed and after is not None:
                    self.found.repeated.append((after[0], step))
            case Group(steps=steps):
                after = self.sequence(steps, passed)
            case _:
                assert_never(step.body)
        if after is not passed and after is not None and not _certain(step):
            after = (after[0], False)
        return after

    def _branches(self, branches: Sequence[Step], needs: Needs, passed: _Passed) -> _Passed:
        ends: dict[int, tuple[Step, bool]] = {}
        first: Step | None = None
        after = passed
        needed_first = sorted(branches, key=lambda each: needs.before[needs.index[each.id]].bit_count())
        for branch in needed_first:
            number = needs.index[branch.id]
            before = next((end for other, end in ends.items() if needs.before[number] >> other & 1), passed)
            end = self._step(branch, before)
            if end is None or end is before:
                continue
            if first is None:
                first = branch
                ends[number] = after = end
                beside = [each for each in branches if each is not branch and not needs.ordered(each.id, branch.id)]
                self.found.beside += ((inner, end[0]) for each in beside for inner in failing(each))
            elif before is passed:
                assert after is not None
                self.found.second.append((end[0], after[0]))
        return after


def _certain(step: Step) -> bool:
    """Whether the step has certainly run to its end when the saga goes on after it."""
    return step.condition is None and not step.on_error
