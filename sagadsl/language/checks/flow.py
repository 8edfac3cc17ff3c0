"""SD7xx, first part: paths that lead nowhere, and waits that nobody ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.language.analysis import order
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.kinds import complete_when, expected_route
from sagadsl.language.model import (
    Ending,
    ForEach,
    Group,
    Handler,
    Leaf,
    Parallel,
    Repeat,
    Return,
    Saga,
    Step,
    Switch,
    Then,
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
    """SD702: nothing runs after a `fail` or a `return` that has no condition."""
    for steps in _sequences(analysis.saga):
        for number, step in enumerate(steps[:-1]):
            if _ends_the_saga(step):
                unreached = steps[number + 1]
                yield Finding(
                    "SD702",
                    f"step `{unreached.id}` can never run: `{step.id}` always ends the saga before it",
                    (*unreached.route, "id"),
                    severity=Severity.WARNING,
                    help=f"give `{step.id}` an `if`, or remove what stands after it",
                    step=unreached.id,
                    related=(((*step.route, "id"), "always ends the saga"),),
                )
                break


def returns_when_the_saga_has_failed(analysis: Analysis) -> Iterator[Finding]:
    """SD715: a saga that has failed cannot end with success any more. R110."""
    for place in analysis.saga.places.values():
        if place.is_on_failure and isinstance(place.step.body, Return):
            yield Finding(
                "SD715",
                f"step `{place.step.id}` returns in `on_failure`, when the saga has failed already",
                (*place.step.route, "return"),
                help="to end well after an error, return in the `steps` of an error handler (`on_error`)",
                step=place.step.id,
                at_key=True,
            )


def waits_that_nobody_ends(analysis: Analysis) -> Iterator[Finding]:
    """SD703: a signal that never comes, or a poll that never succeeds, keeps the saga open for ever."""
    if analysis.saga.timeout is not None:
        return
    places = analysis.saga.places
    for place in places.values():
        step = place.step
        around = [places[block].step for block in place.blocks if block in places]
        ended = any(complete_when(each) is not None for each in around)
        ended = ended or any(each.timeout is not None for each in (*around, step))
        if isinstance(step.body, WaitFor) and step.body.timeout is None and not ended:
            yield _endless(
                step,
                ("wait_for",),
                f"step `{step.id}` waits for the signal `{step.body.either}` without a limit",
                "add `timeout: 24h` to the wait",
            )
        if isinstance(step.body, Repeat) and step.body.maximum_attempts is None and not (ended or _counts(step.body)):
            yield _endless(
                step,
                ("repeat",),
                f"step `{step.id}` repeats without a limit",
                "add `maximum_attempts: 100` to `repeat`",
            )


def _counts(loop: Repeat) -> bool:
    """Whether a loop ends by the number of its rounds."""
    return loop.goes_on is not None and any(chain[0] == "item_index" for chain in loop.goes_on.reads)


def signals_with_two_payloads(analysis: Analysis) -> Iterator[Finding]:
    """SD704: one signal has two payload schemas. It is checked before anybody knows which step takes it."""
    first: dict[str, tuple[Mapping[str, Any], Step, Route]] = {}
    for place in analysis.saga.places.values():
        step = place.step
        if not isinstance(step.body, WaitFor):
            continue
        for each in step.body.expected:
            route = (*step.route, *expected_route(step.body, each), "payload")
            if each.payload is None:
                continue
            schema, other, before = first.setdefault(each.signal, (each.payload, step, route))
            if schema != each.payload:
                yield Finding(
                    "SD704",
                    f"signal `{each.signal}` has another payload here than in step `{other.id}`",
                    route,
                    help="declare the same `payload` in both, leave it out in one, or use two signals",
                    step=step.id,
                    related=((before, "the first declaration"),),
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
                message = f"handler {number + 1} of step `{step.id}` never runs: an earlier handler takes {names}"
                yield _shadowed(step, route, taken[doubled[0]], message)
            if handler.condition is None:
                for name in _taken_by(handler):
                    taken.setdefault(name, number)


def outputs_that_no_handler_uses(analysis: Analysis) -> Iterator[Finding]:
    """SD718: a handler's `output` needs `then: continue`; with another `then` nothing reads it."""
    for place in analysis.saga.places.values():
        for number, handler in enumerate(place.step.on_error):
            if handler.output is None or handler.then is Then.CONTINUE:
                continue
            yield Finding(
                "SD718",
                f"`output` of handler {number + 1} of step `{place.step.id}` is never used",
                (*place.step.route, "on_error", number, "output"),
                severity=Severity.WARNING,
                help="leave it out, or say `then: continue`",
                notes=("with `raise`, a handler compensates unless `then` says something else",)
                if handler.raises is not None and handler.then is Then.COMPENSATE
                else (),
                step=place.step.id,
                at_key=True,
            )


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
        help=f"{bound}, or a `timeout` to a block around it or to the whole saga",
        step=step.id,
        at_key=True,
    )


def _ends_the_saga(step: Step) -> bool:
    """Whether the saga never goes on after this step."""
    if step.condition is not None or order.handled(step) or step.on_error:
        return False
    if isinstance(step.body, Leaf):
        return isinstance(step.body, Ending)
    match step.body:
        case Switch(arms=arms):
            closed = any(arm.condition is None for arm in arms)
            return closed and all(any(_ends_the_saga(inner) for inner in arm.steps) for arm in arms)
        case ForEach():
            return False  # the list may be empty
        case Group() | Parallel() | Repeat():
            inside = (inner for steps in order.sequences(step) for inner in steps)
            return complete_when(step) is None and any(map(_ends_the_saga, inside))
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
