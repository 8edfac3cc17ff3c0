"""The names of every place of a saga with their shapes, and what is wrong with the values there.

Joins the structure (:mod:`visibility`), the declared types (:mod:`types`) and the expressions
(:mod:`inference`). Yields complaints; the families of checks make findings of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from sagadsl.language.analysis.complaints import Complaint, Guards
from sagadsl.language.analysis.inference import Inference, looked_at
from sagadsl.language.analysis.known import Known
from sagadsl.language.analysis.order import Needs
from sagadsl.language.analysis.place import Place
from sagadsl.language.analysis.types import (
    ANY,
    NULL,
    Fill,
    Shape,
    listing,
    of_schema,
    record,
    union,
)
from sagadsl.language.analysis.visibility import (
    conditions_around,
)
from sagadsl.language.expressions.values import Condition, Expression
from sagadsl.language.kinds import Phase
from sagadsl.language.model import (
    ActivityCall,
    Call,
    Fail,
    ForEach,
    Group,
    Parallel,
    Repeat,
    Route,
    Saga,
    SagaCall,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    Value,
    WaitFor,
)
from sagadsl.language.suggest import Suggestions
from sagadsl.language.walk import Site, Spot, sites, spots

_DURATIONS = (
    *("timeout", "every", "sleep", "start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"),
    *("initial_interval", "maximum_interval"),
)
_DEEPEST = 20


class World:
    """One saga with everything that is known of its values. Built once for all checks."""

    def __init__(self, saga: Saga, known: Known, children: dict[str, World | None] | None = None) -> None:
        self.saga = saga
        self.known = known
        self.spots: dict[str, Spot] = {}
        for spot in spots(saga):
            self.spots.setdefault(spot[-1].step.id, spot)
        self.input = ANY if saga.input_schema is None else of_schema(saga.input_schema, filled=Fill.STARTED)
        self.complaints: list[tuple[Site, Complaint]] = []
        self.suggestions = Suggestions()
        self._children: dict[str, World | None] = {saga.name: None} if children is None else children
        self._needs: dict[str, Needs] = {}
        self._outputs: dict[str, Shape] = {}
        self._shapes: dict[Route, Shape] = {}
        self._depth = 0
        for site in sites(saga):
            self._judge(site)

    def shape(self, value: Value, site: Site) -> Shape:
        """Return the shape of a value as if it stood at *site*."""
        return self._inference(site).value(value)

    def output(self, step: Step) -> Shape:
        """Return the shape of ``steps.<id>.output``, where the step has one."""
        if step.id not in self._outputs:
            self._outputs[step.id] = ANY  # what a step of a broken definition reads of itself
            shape = self._body_output(step)
            for number, handler in enumerate(step.on_error):
                if handler.then is Then.CONTINUE:
                    keys = ("on_error", number, "output")
                    instead = NULL if handler.output is None else self._early(step, handler.output, keys, Phase.HANDLER)
                    shape = union([shape, instead])
            self._outputs[step.id] = shape
        return self._outputs[step.id]

    def result(self, call: Call) -> Shape:
        """Return the shape of what a call gives."""
        if isinstance(call, SagaCall):
            child = self._child(call.saga)
            return ANY if child is None else child.saga_output()
        signature = (self.known.activities or {}).get(call.activity)
        if signature is None or signature.output_schema is None:
            return ANY
        return of_schema(signature.output_schema, filled=Fill.WRITTEN)

    def saga_output(self) -> Shape:
        """Return the shape of the saga's result."""
        if self.saga.output is None:
            return self.by_id(self.saga.steps)
        return self._shapes.get(("output",), ANY)

    def step_input(self, step: Step) -> Shape:
        """Return the shape of a call's input as sent."""
        return self._shapes.get((*step.route, "input"), NULL)

    def items(self, step: Step) -> Shape:
        """Return the shape of a loop's variable."""
        assert isinstance(step.body, ForEach)
        found = self._early(step, step.body.items, ("for_each", "items"), Phase.BEFORE)
        return found.element if found.kinds == {"array"} else ANY

    def needs(self, block: Step) -> Needs:
        """Return the order of the branches of a parallel step."""
        if block.id not in self._needs:
            self._needs[block.id] = Needs.of(block.body.steps if isinstance(block.body, Parallel) else ())
        return self._needs[block.id]

    def _early(self, step: Step, value: Value, keys: Route, phase: Phase) -> Shape:
        """Return the shape of a step's value, which may be asked for before its turn: ``until`` sees its round."""
        route = (*step.route, *keys)
        if route not in self._shapes and self._depth < _DEEPEST:
            self._depth += 1
            self._shapes[route] = self.shape(value, Site(value, route, phase, self.spots[step.id]))
            self._depth -= 1
        return self._shapes.get(route, ANY)

    def _judge(self, site: Site) -> None:
        inference = self._inference(site)
        shape = self._shapes[site.route] = inference.value(site.value)
        key = site.route[-1]
        if key == "items":
            inference.expects(site.value, shape, ("array",), "`items` must be a list")
        elif key == "task_queue":
            inference.expects(site.value, shape, ("string",), "a task queue must be text")
        elif key in _DURATIONS:
            inference.expects(site.value, shape, ("string",), "a duration must be text such as `30s`")
        self.complaints += [(site, each) for each in inference.complaints]

    def _inference(self, site: Site) -> Inference:
        guards = tuple(chain for condition in conditions_around(site) for chain in _looked_at(condition))
        return Inference(Place(self, site), guards)

    def _child(self, name: str) -> World | None:
        if name not in self._children and len(self._children) < _DEEPEST:
            self._children[name] = None  # a child that calls its parent knows nothing of it
            saga = self.known.sagas.get(name)
            self._children[name] = None if saga is None else World(saga, self.known, self._children)
        return self._children.get(name)

    def _body_output(self, step: Step) -> Shape:
        match step.body:
            case ActivityCall() | SagaCall() as call:
                return self.result(call)
            case Group(steps=steps) | Repeat(steps=steps):
                return self.by_id(steps)
            case Parallel(steps=steps, complete_when=ends_early):
                return self.by_id(steps, partly=ends_early is not None)
            case ForEach(steps=steps):
                return listing(self.by_id(steps))
            case Switch(arms=arms):
                return self.by_id([each for arm in arms for each in arm.steps], partly=True)
            case Sleep():
                return NULL
            case WaitFor(payload=payload):
                return ANY if payload is None else of_schema(payload)
            case Set(values=values):
                return self._early(step, values, ("set",), Phase.BEFORE)
            case Fail():
                return ANY
            case _:
                assert_never(step.body)

    def by_id(self, steps: Sequence[Step], partly: bool = False) -> Shape:
        """Return the shape of the outputs of steps, by their ids."""
        optional = [each.id for each in steps if partly or each.condition is not None]
        return record({each.id: self.output(each) for each in steps}, optional)


def _looked_at(condition: Value) -> Guards:
    inner = condition.value if isinstance(condition, Condition) else condition
    return looked_at(inner.tree) if isinstance(inner, Expression) else ()


_last: tuple[Saga, Known, World] | None = None


def world_of(saga: Saga, known: Known) -> World:
    """Return the world of a saga; the checks of one family ask one after the other for the same."""
    global _last  # noqa: PLW0603  # one tuple, replaced as a whole: whoever finds another's builds its own
    last = _last
    if last is not None and last[0] is saga and (last[1] is known or last[1] == known):
        return last[2]
    world = World(saga, known)
    _last = (saga, known, world)
    return world
