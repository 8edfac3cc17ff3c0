"""How long a saga can take, by its own timeouts: with one attempt a call, with all of its retries, and to undo it all.

These are upper bounds. Not counted: the time that calls wait in task queues (but ``schedule_to_start``), error
handlers, tries of whole blocks, and the time that people take.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import assert_never

from sagadsl.immutable import Immutable, replace
from sagadsl.language import kinds
from sagadsl.language.analysis.lengths import length
from sagadsl.language.calls import ActivityCall, CompensationAction, Count, Duration, Retry, SagaCall, Send, most_of
from sagadsl.language.model import (
    Answer,
    Fail,
    ForEach,
    Group,
    Parallel,
    Repeat,
    Return,
    Saga,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    WaitFor,
)


class Bound(Immutable):
    """The longest time, in seconds; with ``None`` there is no limit, for the reason *why*."""

    seconds: float | None = 0.0
    why: str = ""

    def __add__(self, other: Bound) -> Bound:
        if self.seconds is None or other.seconds is None:
            return self if self.seconds is None else other
        return Bound(self.seconds + other.seconds)

    def times(self, number: float) -> Bound:
        """Return it so many times, one after the other."""
        return self if self.seconds is None else Bound(self.seconds * number)

    def within(self, limit: Duration | None) -> Bound:
        """Return it as a timeout bounds it."""
        if not isinstance(limit, timedelta) or (self.seconds is not None and self.seconds <= limit.total_seconds()):
            return self
        return Bound(limit.total_seconds())


class StepTime(Immutable):
    """How long one step can take.

    Attributes:
        depth: In how many blocks it stands.
        once: With one attempt of each call; ``retried``: with all of them. Timeouts of the blocks around it and of the
            saga bound it as well.
        undo: To undo it, with all attempts.
        call: The call that it makes, with the timeouts and retries that count for it; ``undoing``: those that undo it.
    """

    id: str
    depth: int
    once: Bound
    retried: Bound
    undo: Bound
    call: ActivityCall | None = None
    undoing: tuple[ActivityCall, ...] = ()


class SagaTime(Immutable):
    """How long a saga can take; see ``StepTime``.

    Attributes:
        limit: The saga's own ``timeout`` in seconds, which bounds the way to the pivot; ``None`` without one.
    """

    once: Bound
    retried: Bound
    undo: Bound
    limit: float | None
    steps: tuple[StepTime, ...]


def timing(saga: Saga) -> SagaTime:
    """Return how long a saga can take."""
    rounds = {
        step.id: length(step.body.items, saga) for step, _ in _all(saga.steps, 0) if isinstance(step.body, ForEach)
    }
    patient = frozenset(_patient(saga))
    clock = {retried: _Clock(retried, patient, rounds) for retried in (False, True)}
    before, after = _at_pivot(saga.steps)
    steps = tuple(
        StepTime(
            step.id,
            depth,
            clock[False].step(step).within(limit),
            clock[True].step(step).within(limit),
            _undo((step,), rounds),
            _in_force(step, patient),
            tuple(each.call for each in _undoing(step) if isinstance(each.call, ActivityCall)),
        )
        for part, timeout in ((before, saga.timeout), (after, None))
        for step, depth, limit in _bounded(part, 0, timeout)
    )
    limit = saga.timeout.total_seconds() if isinstance(saga.timeout, timedelta) else None
    once, retried = (each.row(before).within(saga.timeout) + each.row(after) for each in clock.values())
    return SagaTime(once, retried, _undo(saga.steps, rounds), limit, steps)


def _in_force(step: Step, patient: frozenset[str]) -> ActivityCall | None:
    """Return the call of a step with the retries that count for it; without one, the step calls no activity."""
    call = step.body
    if not isinstance(call, ActivityCall):
        return None
    without_limit = step.id in patient and not call.retry.explicit
    return replace(call, retry=replace(call.retry, maximum_attempts=None)) if without_limit else call


def _undoing(step: Step) -> Sequence[CompensationAction]:
    return () if step.compensation is None else step.compensation.actions


def _at_pivot(steps: Sequence[Step]) -> tuple[Sequence[Step], Sequence[Step]]:
    """Return the steps before the one that is the pivot, or has it within, and those from it on.

    Once the pivot has happened, the saga's timeout stops nothing any more (R35), and while it runs, its end is awaited.
    """
    for number, step in enumerate(steps):
        if any(each.pivot for each, _ in _all((step,), 0)):
            return steps[:number], steps[number:]
    return steps, ()


def _bounded(steps: Sequence[Step], depth: int, limit: Duration | None) -> Iterator[tuple[Step, int, Duration | None]]:
    """Yield all steps with their depth and the shortest timeout of what is around them."""
    for step in steps:
        yield step, depth, limit
        within = min((each for each in (limit, step.timeout) if isinstance(each, timedelta)), default=None)
        for part in kinds.parts(step):
            yield from _bounded(part.steps, depth + 1, within)


def _patient(saga: Saga) -> Iterator[str]:
    """Yield the steps behind the pivot that are tried again without a limit, unless they say otherwise. R44."""
    passed = False
    for step, _ in _all(saga.steps, 0):
        if passed and all(each.then is Then.COMPENSATE for each in step.on_error):
            yield step.id
        passed = passed or step.pivot


def _all(steps: Sequence[Step], depth: int) -> Iterator[tuple[Step, int]]:
    for step in steps:
        yield step, depth
        for part in kinds.parts(step):
            yield from _all(part.steps, depth + 1)


class _Clock(Immutable):
    """Adds up the time of steps.

    Attributes:
        patient: Those that are tried again without a limit.
        rounds: The most items of each loop over a list, by its id; ``None`` where nothing says it.
    """

    retried: bool
    patient: frozenset[str]
    rounds: Mapping[str, int | None]

    def row(self, steps: Sequence[Step]) -> Bound:
        """Return the time of steps one after the other."""
        return sum(map(self.step, steps), Bound())

    def step(self, step: Step) -> Bound:
        """Return the time of one step."""
        return self._body(step).within(step.timeout)

    def _body(self, step: Step) -> Bound:
        match step.body:
            case ActivityCall() as call:
                return call_time(_in_force(step, self.patient) or call, retried=self.retried)
            case SagaCall(detached=detached):
                return Bound() if detached else Bound(None, f"`{step.id}` waits for a child saga")
            case Sleep(duration=duration):
                return _written(duration, f"`{step.id}` sleeps until a moment that is computed")
            case WaitFor(timeout=timeout):
                return _written(timeout, f"`{step.id}` waits for a signal without a timeout")
            case Set() | Send() | Fail() | Return() | Answer():
                return Bound()
            case Group(steps=steps):
                return self.row(steps)
            case Switch(arms=arms):
                return _longest([self.row(arm.steps) for arm in arms])
            case Parallel() as body:
                return self._parallel(body)
            case Repeat() as body:
                rounds = most_of(body.maximum_attempts)
                if rounds is None:
                    return Bound(None, f"`{step.id}` repeats without a limit")
                pause = Bound() if body.every is None else _written(body.every, f"`{step.id}` computes its pauses")
                return self.row(body.steps).times(rounds) + pause.times(rounds - 1)
            case ForEach() as body:
                items = self.rounds.get(step.id)
                if items is None:
                    return Bound(None, f"`{step.id}` has as many rounds as its list has items")
                at_once = items if body.max_concurrency is None else body.max_concurrency
                # a computed number may be 1
                return self.row(body.steps).times(ceil(items / max(at_once, 1)) if isinstance(at_once, int) else items)
            case never:
                assert_never(never)

    def _parallel(self, body: Parallel) -> Bound:
        """Return the time of branches: of the longest chain of `needs`, or of all one after the other."""
        if body.max_concurrency is not None:
            return self.row(body.steps)
        ends: dict[str, Bound] = {}
        waiting = list(body.steps)
        while waiting:
            ready = [each for each in waiting if all(need in ends for need in each.needs)]
            if not ready:  # a circle, which the checks report
                return self.row(body.steps)
            for each in ready:
                ends[each.id] = _longest([ends[need] for need in each.needs]) + self.step(each)
            waiting = [each for each in waiting if each not in ready]
        return _longest(list(ends.values()))


def call_time(call: ActivityCall, *, retried: bool) -> Bound:
    """Return the longest time of a call: of one attempt, or of all with the pauses between them."""
    times = call.timeouts
    whole = times.schedule_to_close
    attempt = times.start_to_close if times.start_to_close is not None else whole
    once = _written(attempt, f"`{call.activity}` computes its timeout")
    if times.schedule_to_start is not None:
        once += _written(times.schedule_to_start, f"`{call.activity}` computes its timeout")
    if not retried:
        return once.within(whole)
    return _tries(once, call.retry, call.activity).within(whole)


def _tries(once: Bound, retry: Retry, activity: str) -> Bound:
    number = most_of(retry.maximum_attempts)
    if number is None:
        return Bound(None, f"`{activity}` is tried again without a limit")
    if not (isinstance(retry.initial_interval, timedelta) and isinstance(retry.maximum_interval, timedelta)):
        return Bound(None, f"`{activity}` computes its pauses")
    pause, longest = retry.initial_interval.total_seconds(), retry.maximum_interval.total_seconds()
    total = 0.0
    for left in range(number - 1, 0, -1):
        if pause >= longest or retry.backoff_coefficient == 1:
            total += min(pause, longest) * left
            break
        total += pause
        pause *= retry.backoff_coefficient
    return once.times(number) + Bound(total)


def _undo(steps: Sequence[Step], loops: Mapping[str, int | None]) -> Bound:
    """Return the time to undo steps one after the other, with all attempts."""
    total = Bound()
    for step in steps:
        items = loops.get(step.id, 1)
        if items is None and any(each.compensation for part in kinds.parts(step) for each, _ in _all(part.steps, 0)):
            total += Bound(None, f"`{step.id}` has as many rounds to undo as its list has items")
            continue
        rounds: Count | None = step.body.maximum_attempts if isinstance(step.body, Repeat) else items
        inner = sum((_undo(part.steps, loops) for part in kinds.parts(step)), Bound())
        most = most_of(rounds)
        if most is None and inner.seconds != 0:
            inner = Bound(None, f"`{step.id}` has rounds to undo without a limit")
        total += inner.times(most or 1) + _actions(step)
    return total


def _actions(step: Step) -> Bound:
    total = Bound()
    if step.compensation is None:
        return total
    if step.compensation.auto:
        return Bound(None, f"the child saga of `{step.id}` undoes itself")
    for action in _undoing(step):
        match action.call:
            case ActivityCall() as call:
                total += call_time(call, retried=True)
            case SagaCall():
                total += Bound(None, f"a child saga undoes `{step.id}`")
            case Send():
                pass
            case never:
                assert_never(never)
    return total


def _written(duration: Duration | None, why: str) -> Bound:
    return Bound(duration.total_seconds()) if isinstance(duration, timedelta) else Bound(None, why)


def _longest(bounds: Sequence[Bound]) -> Bound:
    without = [each for each in bounds if each.seconds is None]
    return without[0] if without else max(bounds, key=lambda each: each.seconds or 0.0, default=Bound())
