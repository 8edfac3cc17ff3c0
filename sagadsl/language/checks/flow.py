"""SD7xx, first part: paths that lead nowhere, and waits that nobody ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.language.analysis import order
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.kinds import complete_when
from sagadsl.language.model import (
    Fail,
    ForEach,
    Group,
    Handler,
    Leaf,
    Parallel,
    Repeat,
    Saga,
    Step,
    Switch,
    WaitFor,
)


def switches_without_else(analysis: Analysis) -> Iterator[Finding]:
    """SD701: when no arm holds, the step fails with `NoMatchingCase`."""
    for place in analysis.saga.places.values():
        step = place.step
        if isinstance(step.body, Switch) and all(arm.condition is not None for arm in step.body.arms):
            yield Finding(
                "SD701",
                f"switch `{step.id}` has no `else`: it fails with `NoMatchingCase` when no arm holds",
                (*step.route, "switch"),
                severity=Severity.WARNING,
                help="add `- else: []` when there is nothing to do then, or an `else` with a `fail` step that says why",
                step=step.id,
                at_key=True,
            )


def steps_after_an_abort(analysis: Analysis) -> Iterator[Finding]:
    """SD702: nothing runs after a `fail` that has no condition."""
    for steps in _sequences(analysis.saga):
        for number, step in enumerate(steps[:-1]):
            if _always_fails(step):
                unreached = steps[number + 1]
                yield Finding(
                    "SD702",
                    f"step `{unreached.id}` can never run: `{step.id}` always fails before it",
                    (*unreached.route, "id"),
                    severity=Severity.WARNING,
                    help=f"give `{step.id}` an `if`, or remove what stands after it",
                    step=unreached.id,
                    related=(((*step.route, "id"), "always fails"),),
                )
                break


def waits_that_nobody_ends(analysis: Analysis) -> Iterator[Finding]:
    """SD703: a signal that never comes, or a poll that never succeeds, keeps the saga open for ever."""
    if analysis.saga.timeout is not None:
        return
    places = analysis.saga.places
    for place in places.values():
        step = place.step
        ended = any(complete_when(places[block].step) is not None for block in place.blocks if block in places)
        if isinstance(step.body, WaitFor) and step.body.timeout is None and not ended:
            yield _endless(
                step,
                ("wait_for",),
                f"step `{step.id}` waits for the signal `{step.body.signal}` without a limit",
                "add `timeout: 24h` to the wait",
            )
        if isinstance(step.body, Repeat) and step.body.maximum_attempts is None and not ended:
            yield _endless(
                step,
                ("repeat",),
                f"step `{step.id}` repeats without a limit",
                "add `maximum_attempts: 100` to `repeat`",
            )


def signals_with_two_payloads(analysis: Analysis) -> Iterator[Finding]:
    """SD704: one signal has two payload schemas. It is checked before anybody knows which step takes it."""
    first: dict[str, tuple[Mapping[str, Any], Step]] = {}
    for place in analysis.saga.places.values():
        step = place.step
        if not isinstance(step.body, WaitFor) or step.body.payload is None:
            continue
        schema, other = first.setdefault(step.body.signal, (step.body.payload, step))
        if schema != step.body.payload:
            yield Finding(
                "SD704",
                f"signal `{step.body.signal}` has another payload here than in step `{other.id}`",
                (*step.route, "wait_for", "payload"),
                help="declare the same `payload` in both, leave it out in one, or use two signals",
                step=step.id,
                related=(((*other.route, "wait_for", "payload"), "the first declaration"),),
            )


def handlers_that_never_match(analysis: Analysis) -> Iterator[Finding]:
    """SD707: the first handler that takes an error wins, so a handler after a catch-all has nothing to do."""
    for place in analysis.saga.places.values():
        step = place.step
        taken: dict[str, int] = {}
        for number, handler in enumerate(step.on_error):
            route: Route = (*step.route, "on_error", number)
            if "" in taken:
                yield _shadowed(step, route, taken[""], f"handler {number + 1} of step `{step.id}` never runs")
                continue
            doubled = [name for name in handler.types if name in taken]
            if handler.types and len(doubled) == len(handler.types):
                names = ", ".join(f"`{name}`" for name in doubled)
                message = f"handler {number + 1} of step `{step.id}` never runs: {names} is taken before"
                yield _shadowed(step, route, taken[doubled[0]], message)
            if handler.condition is None:
                for name in _taken_by(handler):
                    taken.setdefault(name, number)


def _taken_by(handler: Handler) -> tuple[str, ...]:
    """Return the error types that a handler without a condition takes; an empty name stands for all types."""
    return handler.types or ("",)


def _shadowed(step: Step, route: Route, earlier: int, message: str) -> Finding:
    return Finding(
        "SD707",
        message,
        route,
        severity=Severity.WARNING,
        help="put the handler for particular errors before the one that takes all",
        step=step.id,
        related=(((*step.route, "on_error", earlier), "takes these errors first"),),
    )


def _endless(step: Step, key: Route, message: str, bound: str) -> Finding:
    return Finding(
        "SD703",
        message,
        (*step.route, *key),
        severity=Severity.WARNING,
        help=f"{bound}, or a `timeout` to the whole saga",
        step=step.id,
        at_key=True,
    )


def _always_fails(step: Step) -> bool:
    """Whether the saga never goes on after this step."""
    if step.condition is not None or order.handled(step) or step.on_error:
        return False
    if isinstance(step.body, Leaf):
        return isinstance(step.body, Fail)
    match step.body:
        case Switch(arms=arms):
            closed = any(arm.condition is None for arm in arms)
            return closed and all(any(_always_fails(inner) for inner in arm.steps) for arm in arms)
        case ForEach():
            return False  # the list may be empty
        case Group() | Parallel() | Repeat():
            inside = (inner for steps in order.sequences(step) for inner in steps)
            return complete_when(step) is None and any(map(_always_fails, inside))
        case _:
            assert_never(step.body)


def _sequences(saga: Saga) -> Iterator[Sequence[Step]]:
    """Yield every list of steps that run one after the other."""
    yield saga.steps
    yield saga.on_failure
    for place in saga.places.values():
        yield from order.sequences(place.step)
        for handler in place.step.on_error:
            yield handler.steps
