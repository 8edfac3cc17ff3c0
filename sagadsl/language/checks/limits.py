"""SD7xx, second part: the limits of Temporal for one run, and the most that a definition may need. R51.

The sums are upper bounds. They assume that the longest arm runs, and that every step succeeds and has to be
undone. A sum stays open when it depends on data without a declared bound, and the finding says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.immutable import Immutable
from sagadsl.language.analysis import order
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.lengths import length
from sagadsl.language.calls import Call, most_of
from sagadsl.language.model import ForEach, Group, Leaf, Loop, Parallel, Repeat, Saga, Step, Switch

CARRIED = 80_000
"""About so many steps to be undone fit into a carry, a payload of 2 MB. Measurements say: a step takes 16 to 25 bytes
if its compensation gets keys or numbers. Texts that differ from step to step take more."""
PENDING = 2_000
"""The most activities or child workflows that may be open at the same time."""


def more_at_once_than_temporal_bears(analysis: Analysis) -> Iterator[Finding]:
    """SD705: too many calls at once. The 2,001st open activity makes the workflow task fail, again and again."""
    saga = analysis.saga
    for step in (*saga.steps, *saga.on_failure):
        yield from _crowds(step, saga)


def more_to_undo_than_a_run_hands_on(analysis: Analysis) -> Iterator[Finding]:
    """SD706: in the worst case there is more to undo than one run can hand to the next."""
    saga = analysis.saga
    number = _to_undo(saga.steps, saga)
    if number > CARRIED:
        largest = max(saga.steps, key=lambda step: _step_to_undo(step, saga))
        unknown = tuple(_without_bound(saga.steps, saga))
        yield Finding(
            "SD706",
            f"this saga may have {number:,} steps to undo, but one run can hand only about {CARRIED:,} on to the next",
            (*largest.route, "id"),
            severity=Severity.WARNING,
            help="let a child saga (`saga:`) do a part of the items, or bound them with `maxItems` in `input`",
            notes=(f"not counted, since nothing bounds them: {', '.join(unknown)}",) if unknown else (),
            step=largest.id,
            label=f"{_step_to_undo(largest, saga):,} of them are here",
        )


class _Open(Immutable):
    """The calls that may be open at once: at least *known*; without bound when the number depends on *data*."""

    known: int
    data: bool = False


def _crowds(step: Step, saga: Saga) -> Iterator[Finding]:
    """Report the innermost block in which too many calls may be open at once."""
    inner = tuple(each for steps in order.sequences(step) for each in steps)
    below = [found for each in inner for found in _crowds(each, saga)]
    yield from below
    if below:
        return
    pending = _pending(step, saga)
    key = "for_each" if isinstance(step.body, ForEach) else "parallel"
    if pending.known > PENDING:
        yield Finding(
            "SD705",
            f"step `{step.id}` may have {pending.known:,} calls open at once, but Temporal allows only {PENDING:,}",
            (*step.route, key),
            help="bound it with `max_concurrency`, e.g. 100",
            step=step.id,
            at_key=True,
        )
    elif pending.data and isinstance(step.body, ForEach):
        yield Finding(
            "SD705",
            f"step `{step.id}` runs all items at once, however many there are; Temporal allows {PENDING:,} open calls",
            (*step.route, key, "max_concurrency"),
            severity=Severity.WARNING,
            help="bound it: `max_concurrency: 100`, or `maxItems` in the schema of `input`",
            step=step.id,
        )


def _pending(step: Step, saga: Saga) -> _Open:
    if isinstance(step.body, Leaf):
        return _Open(1 if isinstance(step.body, Call) else 0)
    match step.body:
        case Parallel(steps=branches, max_concurrency=most):
            each = [_pending(branch, saga) for branch in branches]
            counts = [branch.known for branch in each]
            return _Open(
                sum(sorted(counts, reverse=True)[: most_of(most) or None]), any(branch.data for branch in each)
            )
        case ForEach(items=items, steps=steps, max_concurrency=most):
            body = _widest(steps, saga)
            bounds = [bound for bound in (most_of(most), length(items, saga)) if bound is not None]
            return _Open(body.known * min(bounds, default=1), body.data or (not bounds and body.known > 0))
        case Group() | Switch() | Repeat():
            inner = [_widest(steps, saga) for steps in order.sequences(step)]
            return _Open(max((one.known for one in inner), default=0), any(one.data for one in inner))
        case _:
            assert_never(step.body)


def _widest(steps: Sequence[Step], saga: Saga) -> _Open:
    each = [_pending(step, saga) for step in steps]
    return _Open(max((one.known for one in each), default=0), any(one.data for one in each))


def _to_undo(steps: Sequence[Step], saga: Saga) -> int:
    return sum(_step_to_undo(step, saga) for step in steps)


def _step_to_undo(step: Step, saga: Saga) -> int:
    own = 0 if step.compensation is None else 1
    return own + max((_to_undo(handler.steps, saga) for handler in step.on_error), default=0) + _inside(step, saga)


def _inside(step: Step, saga: Saga) -> int:
    if isinstance(step.body, Leaf):
        return 0
    match step.body:
        case ForEach(items=items, steps=steps):
            return _to_undo(steps, saga) * (length(items, saga) or 1)
        case Repeat(steps=steps, maximum_attempts=rounds):
            return _to_undo(steps, saga) * (most_of(rounds) or 1)
        case Switch(arms=arms):
            return max((_to_undo(arm.steps, saga) for arm in arms), default=0)
        case Group(steps=steps) | Parallel(steps=steps):
            return _to_undo(steps, saga)
        case _:
            assert_never(step.body)


def _without_bound(steps: Sequence[Step], saga: Saga) -> Iterator[str]:
    """Yield the loops that leave something to undo, and have no known bound on their rounds."""
    for step in steps:
        if isinstance(step.body, Loop) and most_rounds(step.body, saga) is None and _to_undo(step.body.steps, saga):
            yield f"`{step.id}`"
        for sequence in order.sequences(step):
            yield from _without_bound(sequence, saga)


def most_rounds(loop: Loop, saga: Saga) -> int | None:
    """Return the most rounds that a loop can have; ``None`` when nothing bounds them."""
    match loop:
        case ForEach(items=items):
            return length(items, saga)
        case Repeat(maximum_attempts=rounds):
            return most_of(rounds)
        case _:
            assert_never(loop)
