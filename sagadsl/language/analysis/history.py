"""How large the history of a saga can become: events and bytes, at worst, without what people and other workflows send.

The numbers of events are those of Temporal: a call is scheduled, started and over, and a workflow task (three events)
follows. Retries of a call add none. A step with `retry`, and a handler that says ``then: retry``, add all that they
repeat. A child saga has a history of its own. What comes from people is not counted: a cancel (four events, and four
for each call that it stops), an operator's request (about eight), signals that no step waits for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from sagadsl.immutable import Immutable
from sagadsl.language import kinds
from sagadsl.language.analysis.known import Signature
from sagadsl.language.analysis.lengths import length
from sagadsl.language.calls import ActivityCall, Call, Count, SagaCall, Send, most_of
from sagadsl.language.model import (
    Answer,
    Branching,
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
from sagadsl.language.schema.largest import MOST_BYTES, largest

GOES_ON_AFTER = 4_096
"""Events after which the server asks a run to go on in a new one."""

GOES_ON_AT = 4_000_000
"""Bytes after which it does so, too."""

MOST_EVENTS, MOST_HISTORY_BYTES = 51_200, 50 * 1024 * 1024
"""Where the server ends a run; it warns at a fifth of it."""

_TASK = 3  # of a workflow task: scheduled, started, completed
_CALL = 3 + _TASK
_TIMER = 2 + _TASK
_SIGNAL = 1 + _TASK
_UPDATE = 2 + _TASK
_SENT = 2 + _TASK
_CHILD = 3 + 2 * _TASK
_OPERATION = 3 + 2 * _TASK  # it has started, and then ended
_LOCAL = 1 + _TASK
_NOTE = 1  # that nobody knows what a call has done
_START, _CLOSE = 1 + _TASK, 1
_EVENT_BYTES = 250
"""Of an event beside its payloads; 209 were measured on average."""


class Most(Immutable):
    """The most events and bytes; with ``None`` there is no limit, for the reason *why*."""

    events: int | None = 0
    bytes: int | None = 0
    why: str = ""

    def __add__(self, other: Most) -> Most:
        events = None if self.events is None or other.events is None else self.events + other.events
        size = None if self.bytes is None or other.bytes is None else self.bytes + other.bytes
        return Most(events, size, self.why or other.why)

    def times(self, number: int) -> Most:
        """Return it so many times."""
        return Most(
            None if self.events is None else self.events * number,
            None if self.bytes is None else self.bytes * number,
            self.why,
        )


class StepSize(Immutable):
    """What one step adds.

    Attributes:
        depth: In how many blocks it stands.
        forward: On the way forward; ``undo``: to undo it.
    """

    id: str
    depth: int
    forward: Most
    undo: Most


class SagaSize(Immutable):
    """What a saga's history holds at most.

    Attributes:
        whole: From the start to the end, all undoing included.
        longest: The events of its longest run: after ``GOES_ON_AFTER`` it goes on in a new one as soon as no call is
            open. With ``None`` no limit follows from the definition.
    """

    forward: Most
    undo: Most
    whole: Most
    longest: int | None
    steps: tuple[StepSize, ...]

    @property
    def is_in_one_run(self) -> bool:
        """Whether it never has to go on in a new run."""
        return self.whole.events is not None and self.whole.events <= GOES_ON_AFTER


def history(saga: Saga, definition: Any, activities: Mapping[str, Signature] | None = None) -> SagaSize:
    """Return how large a saga's history can become.

    Args:
        definition: Its text as data, which travels with its start.
        activities: The activities that are known: their types say how large what travels can be.
    """
    meter = _Meter(activities or {}, saga)
    forward, undo = meter.row(saga.steps), meter.undo(saga.steps)
    more = meter.row(saga.on_failure) + meter.row(saga.on_pause)
    size = len(json.dumps(definition, ensure_ascii=False).encode()) + largest(saga.input_schema)
    start = _of(_START + _CLOSE + (_TIMER if saga.timeout is not None else 0) + len(saga.search_attributes), size)
    whole = start + forward + undo + more
    open_at_once = meter.at_once(saga.steps)
    events = whole.events
    if events is None or events > GOES_ON_AFTER:
        events = None if open_at_once is None else GOES_ON_AFTER + max(open_at_once, _CALL)
    steps = tuple(
        StepSize(step.id, depth, meter.step(step), meter.undo((step,))) for step, depth in _all(saga.steps, 0)
    )
    return SagaSize(forward, undo, whole, events, steps)


def _all(steps: Sequence[Step], depth: int) -> Iterator[tuple[Step, int]]:
    for step in steps:
        yield step, depth
        for part in kinds.parts(step):
            yield from _all(part.steps, depth + 1)


def _of(events: int, *payloads: int) -> Most:
    return Most(events, events * _EVENT_BYTES + sum(payloads))


class _Meter(Immutable):
    """Adds up what steps add, with the types of known activities."""

    activities: Mapping[str, Signature]
    saga: Saga

    def row(self, steps: Sequence[Step]) -> Most:
        """Return what steps add together, with their handlers and all of their tries."""
        return sum(map(self.step, steps), Most())

    def step(self, step: Step) -> Most:
        """Return what one step adds on the way forward."""
        body = self._body(step) + (_of(_TIMER) if step.timeout is not None else Most())
        if step.probe is not None:
            body += self._call(step.probe)
        if step.compensation is not None:
            body += _of(_NOTE)
        for handler in step.on_error:
            steps = self.row(handler.steps)
            repeats = handler.then is Then.RETRY
            body = self._tried(step, body + steps, most_of(handler.tries.maximum_attempts)) if repeats else body + steps
        tries = 1 if step.retry is None else most_of(step.retry.maximum_attempts)
        if tries == 1:
            return body
        return self._tried(step, body + self.undo((step,)), tries)

    def _tried(self, step: Step, once: Most, tries: int | None) -> Most:
        if tries is None:
            return Most(None, None, f"`{step.id}` is tried again without a limit")
        return once.times(tries) + _of(_TIMER).times(tries - 1)

    def _body(self, step: Step) -> Most:
        match step.body:
            case ActivityCall() | SagaCall() | Send() as call:
                return self._call(call)
            case Sleep():
                return _of(_TIMER)
            case WaitFor(timeout=timeout):
                return _of(_UPDATE + (_TIMER if timeout is not None else 0), MOST_BYTES)
            case Answer():
                return _of(_UPDATE, MOST_BYTES)
            case Set() | Fail() | Return():
                return Most()
            case Group(steps=steps) | Parallel(steps=steps):
                return self.row(steps)
            case Switch(arms=arms):
                return max((self.row(arm.steps) for arm in arms), key=_rank, default=Most())
            case Repeat() as body:
                return self._rounds(step, body.maximum_attempts, self.row(body.steps), pauses=body.every is not None)
            case ForEach() as body:
                return self._items(step, body, self.row(body.steps))
            case never:
                assert_never(never)

    def _items(self, step: Step, loop: ForEach, once: Most) -> Most:
        items = length(loop.items, self.saga)
        if items is None and once.events != 0:
            return Most(
                None, None, f"`{step.id}` has as many rounds as its list has items: `maxItems` would bound them"
            )
        return once.times(items or 0)

    def _rounds(self, step: Step, count: Count | None, once: Most, *, pauses: bool) -> Most:
        rounds = most_of(count)
        whole = once + (_of(_TIMER) if pauses else Most())
        if rounds is None and whole.events != 0:
            return Most(None, None, f"`{step.id}` repeats without a limit")
        return whole.times(rounds or 1)

    def _call(self, call: Call) -> Most:
        match call:
            case ActivityCall():
                known = [self.activities.get(name) for name in call.names]
                sent = max(MOST_BYTES if each is None else largest(each.input_schema) for each in known)
                got = max(MOST_BYTES if each is None else largest(each.output_schema) for each in known)
                if call.local:
                    tries = most_of(call.retry.maximum_attempts)
                    why = f"`{call.activity}` is tried again without a limit, by timers"
                    return Most(None, None, why) if tries is None else _of(_LOCAL + _TIMER * (tries - 1), got)
                return _of(_OPERATION if call.operation is not None else _CALL, sent, got)
            case SagaCall(detached=detached):
                return _of(2 + _TASK, MOST_BYTES) if detached else _of(_CHILD, MOST_BYTES, MOST_BYTES)
            case Send():
                return _of(_SENT, MOST_BYTES)
            case never:
                assert_never(never)

    def undo(self, steps: Sequence[Step]) -> Most:
        """Return what undoing steps adds."""
        total = Most()
        for step in steps:
            inner = sum((self.undo(part.steps) for part in kinds.parts(step)), Most())
            if isinstance(step.body, ForEach):
                inner = self._items(step, step.body, inner)
            elif isinstance(step.body, Repeat):
                inner = self._rounds(step, step.body.maximum_attempts, inner, pauses=False)
            total += inner
            if step.compensation is not None:
                actions = step.compensation.actions
                total += _of(_CHILD, MOST_BYTES) if step.compensation.auto else Most()
                total += sum((self._call(action.call) for action in actions), Most())
        return total

    def at_once(self, steps: Sequence[Step]) -> int | None:
        """Return the events of the largest block in which calls are open all the time; ``None`` without a limit."""
        found: int | None = 0
        for step, _ in _all(steps, 0):
            body = step.body
            if isinstance(body, Branching) and body.max_concurrency != 1:
                events = self.step(step).events
                found = None if events is None or found is None else max(found, events)
        return found


def _rank(size: Most) -> float:
    return float("inf") if size.events is None else size.events
