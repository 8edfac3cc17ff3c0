"""What can fail, and what runs after what: the two questions that several families of checks ask.

Nothing here yields findings. Judges by structure alone: a condition may hold or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from sagadsl.immutable import Immutable
from sagadsl.language.kinds import Lane, kind_of, parts
from sagadsl.language.model import (
    ForEach,
    Group,
    Leaf,
    Parallel,
    Repeat,
    Saga,
    Step,
    Switch,
    Then,
)


def sequences(step: Step) -> Iterator[tuple[Step, ...]]:
    """The sequences directly inside a block; a parallel block has one for each branch."""
    for part in parts(step):
        if part.lane is Lane.BRANCH:
            yield from ((branch,) for branch in part.steps)
        else:
            yield part.steps


def handled(step: Step) -> bool:
    """Whether no error of this step makes the saga compensate: a handler takes all and does not say so."""
    for handler in step.on_error:
        if handler.then is Then.COMPENSATE:
            return False
        if not handler.types and handler.condition is None:
            return not any(failing(inner) for inner in handler.steps)
    return False


def failing(step: Step) -> tuple[Step, ...]:
    """Return the steps in *step*, itself included, whose failure would make the saga compensate."""
    if handled(step):
        return ()
    inner = tuple(found for steps in sequences(step) for each in steps for found in failing(each))
    return (*inner, step) if kind_of(step).fails(step.body) else inner


class Needs(Immutable):
    """Which branches of a parallel block have ended before which begin.

    Sets of branches are whole numbers, bit by bit: a file may hold thousands of branches in one chain,
    and sets of names would then take gigabytes.

    Attributes:
        index: The bit of each branch, by id.
        before: For each branch, by its bit: the branches that have ended before it begins.
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
        while ready:  # branches in a circle never get ready, and are reported elsewhere
            done = ready.pop()
            for number in followers[done]:
                before[number] |= before[done] | 1 << done
                waiting[number] -= 1
                if waiting[number] == 0:
                    ready.append(number)
        return cls(index, tuple(before))

    def ordered(self, one: str, other: str) -> bool:
        """Whether one of the two has ended before the other begins."""
        first, second = self.index[one], self.index[other]
        return bool(self.before[second] >> first & 1 or self.before[first] >> second & 1)


@dataclass(slots=True)
class Pivots:
    """Where a saga can no longer be undone.

    Attributes:
        after: Of each step that runs after a pivot, by id: the pivot, and whether it has certainly run by then.
        second: Pivots that run after another one, each with the earlier one.
        repeated: Pivots in a loop, each with the loop.
        beside: Steps that run beside a pivot, each with the pivot.
    """

    after: dict[str, tuple[Step, bool]] = field(default_factory=dict)
    second: list[tuple[Step, Step]] = field(default_factory=list)
    repeated: list[tuple[Step, Step]] = field(default_factory=list)
    beside: list[tuple[Step, Step]] = field(default_factory=list)


def pivots(saga: Saga) -> Pivots:
    """Return what the pivots of the forward part mean for its steps. R42 to R44."""
    found = Pivots()
    if any(place.step.pivot for place in saga.places.values()):
        _sequence(saga.steps, None, found)
    return found


_Passed = tuple[Step, bool] | None


def _sequence(steps: Sequence[Step], passed: _Passed, found: Pivots) -> _Passed:
    for step in steps:
        passed = _walk(step, passed, found)
    return passed


def _walk(step: Step, passed: _Passed, found: Pivots) -> _Passed:
    """Note what has passed before *step*, and return what has passed after it."""
    if passed is not None:
        found.after.setdefault(step.id, passed)
    for handler in step.on_error:
        _sequence(handler.steps, passed, found)
    if step.pivot:
        if passed is not None:
            found.second.append((step, passed[0]))
        return step, _certain(step)
    if isinstance(step.body, Leaf):
        return passed
    after: _Passed
    match step.body:
        case Parallel(steps=branches):
            after = _branches(branches, passed, found)
        case Switch(arms=arms):
            ends = [_sequence(arm.steps, passed, found) for arm in arms]
            after = next((end for end in ends if end is not None and end is not passed), passed)
            if after is not passed and after is not None:
                after = (after[0], False)  # only in this arm
        case ForEach(steps=steps) | Repeat(steps=steps):
            after = _sequence(steps, passed, found)
            if after is not passed and after is not None:
                found.repeated.append((after[0], step))
        case Group(steps=steps):
            after = _sequence(steps, passed, found)
        case _:
            assert_never(step.body)
    if after is not passed and after is not None and not _certain(step):
        after = (after[0], False)
    return after


def _branches(branches: Sequence[Step], passed: _Passed, found: Pivots) -> _Passed:
    needs = Needs.of(branches)
    ends: dict[int, tuple[Step, bool]] = {}
    first: Step | None = None
    after = passed
    for branch in sorted(
        branches, key=lambda each: needs.before[needs.index[each.id]].bit_count()
    ):  # needed ones first
        number = needs.index[branch.id]
        before = next((end for other, end in ends.items() if needs.before[number] >> other & 1), passed)
        end = _walk(branch, before, found)
        if end is None or end is before:
            continue
        if first is None:
            first = branch
            ends[number] = after = end
            beside = [each for each in branches if each is not branch and not needs.ordered(each.id, branch.id)]
            found.beside += ((inner, end[0]) for each in beside for inner in failing(each))
        elif before is passed:
            assert after is not None
            found.second.append((end[0], after[0]))
    return after


def _certain(step: Step) -> bool:
    """Whether the step has surely run to its end when the saga goes on after it."""
    return step.condition is None and not step.on_error
