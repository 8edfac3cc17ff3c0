"""Walks through a saga: yields its steps with the blocks around them, and its values with their routes.

It knows only structure: :mod:`sagadsl.language.analysis.visibility` decides what an expression may see at a place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from sagadsl.immutable import Immutable
from sagadsl.language import kinds
from sagadsl.language.calls import ActivityCall, Call, Counted, Retry, SagaCall, Send, Timeouts, Value
from sagadsl.language.kinds import Lane, RenderedAt, StepList
from sagadsl.language.model import Route, Saga, Step


class Level(Immutable):
    """One step on the way from the top of a definition to a step in it.

    Attributes:
        lane: Which list of the block around it holds the step; at the top, whether it is part of ``on_failure`` or
            ``on_pause``.
        way: The number of its arm or handler; 0 for all other steps.
        index: Its index in that list.
        condition: The condition of its arm or handler, if there is one.
    """

    step: Step
    lane: Lane
    way: int
    index: int
    condition: Value | None = None


Spot = tuple[Level, ...]
"""The way to a step; its last level is the step itself."""


class Site(Immutable):
    """One value of a saga, and its place.

    Attributes:
        spot: The way to its step; empty for the saga's own values.
    """

    value: Value
    route: Route
    phase: RenderedAt
    spot: Spot = ()

    @property
    def step(self) -> Step | None:
        """The step that the value belongs to."""
        return self.spot[-1].step if self.spot else None


def spots(saga: Saga) -> Iterator[Spot]:
    """Yield every step of a saga in the order of the file; a block comes before the steps in it.

    Calls of ``on_pause`` come last: they have the form of steps, although no frame ever holds them.
    """
    yield from _list(StepList(saga.steps, Lane.STEPS), ())
    yield from _list(StepList(saga.on_failure, Lane.ON_FAILURE), ())
    yield from _list(StepList(saga.on_pause, Lane.ON_PAUSE), ())


def _list(part: StepList, enclosing: Spot) -> Iterator[Spot]:
    for index, step in enumerate(part.steps):
        spot = (*enclosing, Level(step, part.lane, part.way, index, part.condition))
        yield spot
        for inner in kinds.parts(step):
            yield from _list(inner, spot)
        for number, handler in enumerate(step.on_error):
            yield from _list(StepList(handler.steps, Lane.HANDLER, number, handler.condition), spot)


def sites(saga: Saga) -> Iterator[Site]:
    """Yield every value that may hold an expression. Values of ``defaults`` that many calls share come only once."""
    ways = list(spots(saga))
    users = Counter(id(policy) for spot in ways for call in _called(spot[-1].step) for policy, _ in _policies(call))
    seen: set[int] = set()
    if saga.timeout is not None and not isinstance(saga.timeout, timedelta):
        yield Site(saga.timeout, ("timeout",), RenderedAt.START)
    if saga.undo_pause_timeout is not None and not isinstance(saga.undo_pause_timeout, timedelta):
        yield Site(saga.undo_pause_timeout, ("compensation", "pause_timeout"), RenderedAt.START)
    for default in dict.fromkeys(spot[-1].step.last_resort for spot in ways):
        if default is not None and default.timeout is not None and not isinstance(default.timeout, timedelta):
            yield Site(default.timeout, ("defaults", "pause_timeout"), RenderedAt.START)
    for spot in ways:
        yield from step_sites(spot)
        for call, route, phase in calls(spot[-1].step):
            for policy, key in _policies(call):
                shared = users[id(policy)] > 1
                if id(policy) not in seen:
                    seen.add(id(policy))
                    for value, names in _computed(policy):
                        yield Site(value, (*(("defaults",) if shared else route), key, *names), phase, spot)
    for each in saga.search_attributes:
        yield Site(each.value, ("search_attributes", each.name, "value"), RenderedAt.END)
    for name, query in saga.queries.items():
        yield Site(query, ("queries", name), RenderedAt.QUERY)
    if saga.output is not None:
        yield Site(saga.output, ("output",), RenderedAt.END)


def step_sites(spot: Spot) -> Iterator[Site]:
    """Yield the values of one step, without its retries and timeouts, and without the steps inside it."""
    step = spot[-1].step
    if step.condition is not None:
        yield Site(step.condition, (*step.route, "if"), RenderedAt.BEFORE, spot)
    for value, keys, phase in kinds.kind_of(step).values(step.body):
        yield Site(value, (*step.route, *keys), phase, spot)
    if step.timeout is not None and not isinstance(step.timeout, timedelta):
        yield Site(step.timeout, (*step.route, "timeout"), RenderedAt.BEFORE, spot)
    for value, keys in () if step.retry is None else _computed(step.retry):
        yield Site(value, (*step.route, "retry", *keys), RenderedAt.BEFORE, spot)
    for number, action in enumerate(step.compensation.actions if step.compensation is not None else ()):
        if action.condition is not None:
            yield Site(action.condition, (*action_route(step, number), "if"), RenderedAt.UNDO, spot)
    if step.output is not None:
        yield Site(step.output, (*step.route, "output"), RenderedAt.BLOCK, spot)
    for call, route, phase in calls(step):
        if isinstance(call, ActivityCall) and call.name is not None:
            yield Site(call.name, (*route, "activity", "name"), phase, spot)
        if isinstance(call, ActivityCall):
            if isinstance(call.priority, Counted):
                yield Site(call.priority.value, (*route, "priority", "value"), phase, spot)
            if call.fairness_key is not None:
                yield Site(call.fairness_key, (*route, "fairness_key"), phase, spot)
            if call.fairness_weight is not None and not isinstance(call.fairness_weight, float):
                yield Site(call.fairness_weight, (*route, "fairness_weight"), phase, spot)
        for written, keys in _sent(call):
            if written is not None:
                yield Site(written, (*route, *keys), phase, spot)
        if isinstance(call, SagaCall) and call.workflow_id is not None:
            yield Site(call.workflow_id, (*route, "workflow_id"), phase, spot)
    several = len(step.failed_if) > 1
    for number, rule in enumerate(step.failed_if):
        at = (*step.route, "failed_if", number) if several else (*step.route, "failed_if")
        yield Site(rule.condition, (*at, "if"), RenderedAt.RESULT, spot)
        if rule.message is not None:
            yield Site(rule.message, (*at, "message"), RenderedAt.RESULT, spot)
    for number, handler in enumerate(step.on_error):
        at = (*step.route, "on_error", number)
        if handler.condition is not None:
            yield Site(handler.condition, (*at, "if"), RenderedAt.HANDLER, spot)
        if handler.output is not None:
            yield Site(handler.output, (*at, "output"), RenderedAt.HANDLER, spot)
        for value, keys in _computed(handler.tries):
            yield Site(value, (*at, *keys), RenderedAt.HANDLER, spot)
        if handler.raises is not None:
            yield Site(handler.raises.message, (*at, "raise", "message"), RenderedAt.HANDLER, spot)
        if handler.pause_timeout is not None and not isinstance(handler.pause_timeout, timedelta):
            yield Site(handler.pause_timeout, (*at, "pause_timeout"), RenderedAt.HANDLER, spot)


def input_route(call: Call) -> Route:
    """Return the place below a step or an action where the input of its call is written."""
    return ("send", "payload") if isinstance(call, Send) else ("input",)


def is_input(site: Site) -> bool:
    """Whether a value is the input of a call. Two values of one text may be the same object, so the place tells."""
    return site.route[-1:] == ("input",) or site.route[-2:] == ("send", "payload")


def _sent(call: Call) -> tuple[tuple[Value | None, Route], ...]:
    if isinstance(call, Send):
        return (call.to, ("send", "to")), (call.input, input_route(call))
    return (call.input, input_route(call)), (call.task_queue, ("task_queue",))


def action_route(step: Step, number: int) -> Route:
    """Return the place of one action of a step's compensation."""
    several = step.compensation is not None and len(step.compensation.actions) > 1
    return (*step.route, "compensation", number) if several else (*step.route, "compensation")


def calls_locally(saga: Saga) -> bool:
    """Whether a call of the saga is a local activity."""
    every = (call for spot in spots(saga) for call, _, _ in calls(spot[-1].step))
    return any(isinstance(call, ActivityCall) and call.local for call in every)


def calls(step: Step) -> Iterator[tuple[Call, Route, RenderedAt]]:
    """Yield the calls of a step: its work, its probe, and its compensation."""
    if isinstance(step.body, Call):
        yield step.body, step.route, RenderedAt.BEFORE
    if step.probe is not None:
        yield step.probe, (*step.route, "probe"), RenderedAt.BEFORE
    for number, action in enumerate(step.compensation.actions if step.compensation is not None else ()):
        yield action.call, action_route(step, number), RenderedAt.UNDO


def _called(step: Step) -> Iterator[Call]:
    for call, _, _ in calls(step):
        yield call


def _policies(call: Call) -> tuple[tuple[Timeouts | Retry, str], ...]:
    return ((call.timeouts, "timeouts"), (call.retry, "retry")) if isinstance(call, ActivityCall) else ()


def _computed(policy: Timeouts | Retry) -> Iterator[tuple[Value, Route]]:
    for name, kind in type(policy).__annotations__.items():
        value = getattr(policy, name)
        if isinstance(value, Counted):
            yield value.value, (name, "value")
        elif kind in ("Duration", "Duration | None") and value is not None and not isinstance(value, timedelta):
            yield value, (name,)
