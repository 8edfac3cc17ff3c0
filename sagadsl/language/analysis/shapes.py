"""The shapes of a saga's values: of the outputs of its steps, and of the names that each place can read.

The two depend on each other: the shape of an output follows from the names that the step reads, and the shapes of names
follow from the outputs of other steps. The structure comes from :mod:`structure` and :mod:`visibility`, declared types
from :mod:`types`, and the shapes of expressions from :mod:`inference`. This module yields complaints with the words of
:mod:`readings`; the families of checks make findings of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import assert_never

from sagadsl.language.analysis import readings
from sagadsl.language.analysis.complaints import MAY_BE_MISSING, Complaint, Guards
from sagadsl.language.analysis.expectations import of_wait, payload_at, weights_in_bounds
from sagadsl.language.analysis.inference import Inference, looked_at
from sagadsl.language.analysis.known import Known
from sagadsl.language.analysis.structure import Structure
from sagadsl.language.analysis.types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NULL,
    TEXT,
    Fill,
    Shape,
    listing,
    of_schema,
    one_of,
    or_null,
    record,
    union,
    without_null,
)
from sagadsl.language.analysis.visibility import Unseen, enclosing_conditions, enclosing_loops, in_handler, look
from sagadsl.language.calls import ActivityCall, Call, On, SagaCall, Send, Value
from sagadsl.language.expressions.code import Chain
from sagadsl.language.expressions.values import Condition, Expression
from sagadsl.language.kinds import Lane, RenderedAt
from sagadsl.language.model import (
    Answer,
    Fail,
    ForEach,
    Group,
    Loop,
    Parallel,
    Repeat,
    Return,
    Route,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    WaitFor,
)
from sagadsl.language.suggest import Suggestions, listed
from sagadsl.language.walk import Site, input_route

STATUS_WORDS = ("pending", "running", "paused", "completed", "failed", "skipped", "cancelled", "abandoned")
_STATUS = one_of(*STATUS_WORDS)
_ERROR = record({"type": TEXT, "message": TEXT})
_FAILURE = record({"type": TEXT, "message": TEXT, "step": TEXT, "result": ANY}, ["result"])
_SAGA = record(dict.fromkeys(("id", "run_id", "name", "version", "started_at", "now"), TEXT))
_PAUSE = record(
    {
        **dict.fromkeys(("path", "step", "type", "message", "since", "link"), TEXT),
        "until": or_null(TEXT),
        "attempts": or_null(INTEGER),
        "occurrence": INTEGER,
        "undoing": BOOLEAN,
    }
)
_COUNTS = dict.fromkeys(("completed", "failed", "total"), INTEGER)
_DURATIONS = (
    *("timeout", "every", "sleep", "start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"),
    "settle",
    *("initial_interval", "maximum_interval"),
)
_OF_ATTRIBUTES = {
    **dict.fromkeys(("keyword", "text"), ("string",)),
    "int": ("integer",),
    "double": ("number", "integer"),
    "bool": ("boolean",),
    "datetime": ("string",),
    "keyword_list": ("array",),
}
_A_KIND = {
    **{"string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false"},
    "array": "a list",
}
_COMPUTED_COUNTS = (("maximum_attempts", "value"), ("max_concurrency", "value"), ("priority", "value"))
_UNKNOWN_OUTCOME = "SD308"
_DEEPEST = 20
_SHOWN = 200
_GUESSES = 4


class Shapes:
    """The shapes of one saga's values, and the complaints about them.

    Attributes:
        structure: The saga itself.
        input: The shape of its input.
        complaints: The mistakes in its values, each with the site of its value.
        suggestions: Suggestions for misspelt names; all checks of this saga share them.
    """

    def __init__(self, structure: Structure, known: Known, children: dict[str, Shapes | None] | None = None) -> None:
        saga = structure.saga
        self.structure = structure
        self.input = ANY if saga.input_schema is None else of_schema(saga.input_schema, filled=Fill.STARTED)
        self.complaints: list[tuple[Site, Complaint]] = []
        self.suggestions = Suggestions()
        self._known = known
        self._children: dict[str, Shapes | None] = {saga.name: None} if children is None else children
        self._outputs: dict[str, Shape] = {}
        self._states: dict[str, Shape] = {}
        self._shapes: dict[Route, Shape] = {}
        self._depth = 0
        for site in structure.sites:
            self._judge(site)

    def shape(self, value: Value, site: Site) -> Shape:
        """Return the shape that a value would have at *site*."""
        return self._inference(site).value(value)

    def output(self, step: Step) -> Shape:
        """Return the shape of ``steps.<id>.output`` when the step has an output."""
        if step.id not in self._outputs:
            self._outputs[step.id] = ANY  # for a step of a broken definition that reads itself
            shape = self.body_output(step)
            if step.output is not None:
                shape = self._early(step, step.output, ("output",), RenderedAt.BLOCK)
                self._outputs[step.id] = shape  # its handlers can read it
            for number, handler in enumerate(step.on_error):
                if handler.then is Then.CONTINUE:
                    keys = ("on_error", number, "output")
                    if handler.output is not None:
                        instead = self._early(step, handler.output, keys, RenderedAt.HANDLER)
                        shape = union([shape, instead])
                    elif step.output is None:
                        shape = union([shape, NULL])
            self._outputs[step.id] = shape
        return self._outputs[step.id]

    def result(self, call: Call) -> Shape:
        """Return the shape of a call's result."""
        if isinstance(call, SagaCall):
            if call.detached:
                return TEXT  # the id of the child
            child = self._child(call.saga)
            return ANY if child is None else child.saga_output()
        if isinstance(call, Send):
            return NULL
        signatures = [self._known.signature(name) for name in call.names]
        schemas = [None if each is None else each.output_schema for each in signatures]
        if None in schemas:
            return ANY
        return union([of_schema(schema, filled=Fill.WRITTEN) for schema in schemas])

    def saga_output(self) -> Shape:
        """Return the shape of the saga's result: of its output, or of what a step returns."""
        saga = self.structure.saga
        whole = self.by_id(saga.steps) if saga.output is None else self._shapes.get(("output",), ANY)
        early = [self.output(each.step) for each in saga.places.values() if isinstance(each.step.body, Return)]
        return union([whole, *early]) if early else whole

    def by_id(self, steps: Sequence[Step], partly: bool = False) -> Shape:
        """Return the shape of an object of the outputs of steps, by their ids."""
        optional = [each.id for each in steps if partly or each.condition is not None]
        return record({each.id: self.output(each) for each in steps}, optional)

    def step_input(self, step: Step) -> Shape:
        """Return the shape of the input that a step's call sends."""
        keys = input_route(step.body) if isinstance(step.body, Call) else ("input",)
        return self._shapes.get((*step.route, *keys), NULL)

    def items(self, step: Step) -> Shape:
        """Return the shape of a loop's variable."""
        assert isinstance(step.body, ForEach)
        found = self._early(step, step.body.items, ("for_each", "items"), RenderedAt.BEFORE)
        return found.element if found.kinds == {"array"} else ANY

    def state(self, loop: Step) -> Shape:
        """Return the shape of a loop's ``state``: of its first values, and of what a round makes of them.

        The two depend on each other. So a guess counts when a round makes nothing else of it; if no guess of some
        rounds does, the fields that change can be anything.
        """
        if loop.id not in self._states:
            assert isinstance(loop.body, Loop)
            assert loop.body.memory is not None
            key = "for_each" if isinstance(loop.body, ForEach) else "repeat"
            first = self._early(loop, loop.body.memory.state, (key, "state"), RenderedAt.BEFORE)
            then = loop.body.memory.next
            self._states[loop.id] = first if then is None else self._lasting(loop, first, then, (key, "next"))
        return self._states[loop.id]

    def _lasting(self, loop: Step, first: Shape, then: Value, keys: Route) -> Shape:
        guess = first
        for _ in range(_GUESSES):
            outputs, shapes = len(self._outputs), len(self._shapes)
            self._states[loop.id] = guess
            changed = self._early(loop, then, keys, RenderedAt.ROUND)
            while len(self._outputs) > outputs:  # they follow from the guess
                self._outputs.popitem()
            while len(self._shapes) > shapes:
                self._shapes.popitem()
            merged = {**guess.fields, **{name: _either(guess, changed, name) for name in changed.fields}}
            if merged == guess.fields:
                return guess
            guess = record(merged)
        return record({**first.fields, **dict.fromkeys(then.items or (), ANY)})

    def _early(self, step: Step, value: Value, keys: Route, phase: RenderedAt) -> Shape:
        """Return the shape of a step's value, perhaps before the walk reaches it: ``until`` sees its own round."""
        route = (*step.route, *keys)
        if route not in self._shapes and self._depth < _DEEPEST:
            self._depth += 1
            self._shapes[route] = self.shape(value, Site(value, route, phase, self.structure.steps[step.id]))
            self._depth -= 1
        return self._shapes.get(route, ANY)

    def _judge(self, site: Site) -> None:
        inference = self._inference(site)
        shape = self._shapes[site.route] = inference.value(site.value)
        key = site.route[-1]
        if key == "items":
            inference.expects(site.value, shape, ("array",), "`items` must be a list")
        elif site.route[-2:] == ("activity", "name"):
            inference.expects(site.value, shape, ("string",), "the name of an activity must be text")
        elif key == "fairness_key":
            inference.expects(site.value, shape, ("string",), "a fairness key must be text")
        elif key == "fairness_weight":
            inference.expects(site.value, shape, ("number", "integer"), "a fairness weight must be a number")
            weights_in_bounds(inference, site.value)
        elif site.route[-2:] == ("send", "to"):
            inference.expects(site.value, shape, ("string",), "the id of a workflow must be text")
        elif key == "task_queue":
            inference.expects(site.value, shape, ("string",), "a task queue must be text")
        elif site.route[-2:] in _COMPUTED_COUNTS:
            inference.expects(site.value, shape, ("integer",), f"`{site.route[-2]}` must be a whole number")
        elif site.route[0] == "search_attributes":
            self._judge_attribute(inference, site, shape)
        elif key in _DURATIONS:
            inference.expects(site.value, shape, ("string",), "a duration must be text such as `30s`")
        self.complaints += [(site, each) for each in inference.complaints]

    def _judge_attribute(self, inference: Inference, site: Site, shape: Shape) -> None:
        type_ = next(each.type for each in self.structure.saga.search_attributes if each.name == site.route[1])
        kinds = _OF_ATTRIBUTES[type_]
        what = f"a search attribute of type `{type_}` must be {_A_KIND[kinds[0]]}"
        inference.expects(site.value, shape, (*kinds, "null"), what)

    def _inference(self, site: Site) -> Inference:
        guards = tuple(chain for condition in enclosing_conditions(site) for chain in _looked_at(condition))
        return Inference(Scope(self, site), guards)

    def _child(self, name: str) -> Shapes | None:
        if name not in self._children and len(self._children) < _DEEPEST:
            self._children[name] = None  # for a child that calls its parent: the parent's shapes are not known yet
            saga = self._known.sagas.get(name)
            self._children[name] = None if saga is None else Shapes(Structure(saga), self._known, self._children)
        return self._children.get(name)

    def body_output(self, step: Step) -> Shape:
        """Return the shape of the output that a step has by its kind; a block may say another one."""
        match step.body:
            case ActivityCall() | SagaCall() | Send() as call:
                return self.result(call)
            case Group(steps=steps):
                return self.by_id(steps)
            case Repeat(steps=steps, goes_on=condition):
                return self.by_id(steps, partly=condition is not None)
            case Parallel(steps=steps, complete_when=ends_early):
                return self.by_id(steps, partly=ends_early is not None)
            case ForEach(steps=steps):
                return listing(self.by_id(steps))
            case Switch(arms=arms):
                return self.by_id([each for arm in arms for each in arm.steps], partly=True)
            case Sleep():
                return NULL
            case WaitFor() as wait:
                return of_wait(wait)
            case Set(values=values):
                return self._early(step, values, ("set",), RenderedAt.BEFORE)
            case Return(value=value):
                return self._early(step, value, ("return",), RenderedAt.BEFORE)
            case Answer(value=value):
                return self._early(step, value, ("answer",), RenderedAt.BEFORE)
            case Fail():
                return ANY
            case _:
                assert_never(step.body)


class Scope:
    """The names of one place (:class:`sagadsl.language.analysis.complaints.Names`)."""

    def __init__(self, shapes: Shapes, site: Site) -> None:
        self._shapes = shapes
        self._site = site
        self._names: dict[str, Shape] | None = None

    def names(self) -> Mapping[str, Shape]:
        """The first names of chains, with their shapes."""
        if self._names is None:
            self._names = dict(_names(self._shapes, self._site))
        return self._names

    def absent(self, name: str) -> str:
        """Suggest what an unknown first name was meant to be."""
        known, steps = self.names(), self._shapes.structure.steps
        if name in readings.ELSEWHERE:
            return f"{readings.ELSEWHERE[name]}; the names here are {listed(known)}"
        if name in steps:
            return f"did you mean `steps.{name}.output`?"
        if name in self._shapes.input.fields:
            return f"did you mean `input.{name}`?"
        for spot in steps.values():
            body = spot[-1].step.body
            if isinstance(body, ForEach) and body.variable == name:
                return f"it is known inside the loop `{spot[-1].step.id}` only"
        if any(each.endswith(f"_{name}") for each in steps):
            return "`-` is a minus: ids of steps are written with `_`"
        near = self.near(name, known)
        return f"did you mean `{near}`?" if near else readings.BORROWED.get(name, "")

    def near(self, word: str, names: Iterable[str]) -> str | None:
        """Return the name of *names* that a misspelt *word* most likely stands for."""
        return self._shapes.suggestions.closest(word, names)

    def null_code(self, label: str) -> str:
        """Return the code of the complaint that *label* may be null; a compensation must not rely on outputs (R16)."""
        step = self._site.step
        if (
            self._site.phase is RenderedAt.UNDO
            and step is not None
            and label in ("step.output", f"steps.{step.id}.output")
        ):
            return _UNKNOWN_OUTCOME
        return MAY_BE_MISSING

    def step(self, chain: Chain, soft: bool) -> tuple[Shape, int, tuple[Complaint, ...]]:
        """Judge a chain that begins with ``steps``."""
        name = chain[1] if len(chain) > 1 else None
        if not isinstance(name, str):
            return ANY, len(chain), ()
        target = self._shapes.structure.steps.get(name)
        if target is None:
            return ANY, len(chain), (self._unknown(name),)
        seen = look(self._site, target, self._shapes.structure.needs)
        key = chain[2] if len(chain) > 2 else None
        if seen.unseen is not None and not (seen.unseen is Unseen.FAILED and key in ("status", "error")):
            return ANY, len(chain), (readings.too_early(self._site, target, seen.unseen, self._readable()),)
        step = target[-1].step
        fields = {"output": self._output(step), "status": _STATUS, "error": _ERROR}
        if not isinstance(key, str):
            return record(fields, ("output", "error")), 2, ()
        if key not in fields:
            is_field, near = key in fields["output"].fields, self.near(key, fields)
            return ANY, len(chain), (readings.unknown_part(step, key, is_field=is_field, near=near),)
        doubt = {"output": seen.doubt, "error": "it is there only when the step has failed"}.get(key, "")
        if not doubt or soft or seen.unseen is Unseen.FAILED:
            return fields[key], 3, ()
        return without_null(fields[key]), 3, (readings.may_be_missing(self._site, step, key, doubt),)

    def _output(self, step: Step) -> Shape:
        shape = self._shapes.output(step)
        own = self._site.phase is RenderedAt.UNDO and step is self._site.step
        return _when_undone(step, shape) if own else shape

    def _unknown(self, name: str) -> Complaint:
        near = self.near(name, self._visible()) or self.near(name, self._shapes.structure.steps)
        return readings.unknown_step(name, near, self._readable())

    def _readable(self) -> str:
        if self._shapes.suggestions.are_over:
            return "a value can read the steps that have ended by then"
        visible = listed(self._visible())
        return "no step can be read here" if visible == "none" else f"the steps that can be read here are {visible}"

    def _visible(self) -> Iterator[str]:
        for name, spot in islice(self._shapes.structure.steps.items(), _SHOWN):
            if look(self._site, spot, self._shapes.structure.needs).unseen is None:
                yield name


def _when_undone(step: Step, output: Shape) -> Shape:
    """Return the shape that an output has for its compensation: it is null when nobody knows the outcome (R14)."""
    completed = step.compensation is not None and step.compensation.on is On.COMPLETED
    return output if completed else or_null(output)


def _names(shapes: Shapes, site: Site) -> Iterator[tuple[str, Shape]]:
    step = site.step
    yield "input", shapes.input
    yield "steps", ANY
    yield "saga", _SAGA
    for loop in enclosing_loops(site):
        yield "item_index", INTEGER
        if isinstance(loop.body, Loop) and loop.body.memory is not None:
            yield "state", shapes.state(loop)
        if isinstance(loop.body, ForEach):
            yield loop.body.variable, shapes.items(loop)
    if in_handler(site):
        yield "error", _FAILURE
    lane = site.spot[0].lane if site.spot else Lane.STEPS
    if site.phase is RenderedAt.UNDO or lane in (Lane.ON_FAILURE, Lane.ON_PAUSE):
        yield "failure", _FAILURE
    if lane is Lane.ON_PAUSE:
        yield "pause", _PAUSE
    if step is not None and site.phase not in (RenderedAt.FIRST, RenderedAt.ROUND, RenderedAt.BLOCK):
        yield "idempotency_key", TEXT
    if site.phase is RenderedAt.SIGNAL:
        yield "payload", payload_at(site)
    if step is not None:
        yield from _phase_names(shapes, site.phase, step)


def _phase_names(shapes: Shapes, phase: RenderedAt, step: Step) -> Iterator[tuple[str, Shape]]:
    call = step.body if isinstance(step.body, Call) else None
    match phase:
        case RenderedAt.RESULT if call is not None:
            yield "output", shapes.result(call)
        case RenderedAt.UNDO if call is not None:
            parts = {
                "input": shapes.step_input(step),
                "output": _when_undone(step, shapes.result(call)),
                "outcome": one_of("succeeded", "failed", "unknown"),
                "idempotency_key": TEXT,
                "error": or_null(_ERROR),
            }
            if isinstance(call, ActivityCall):
                parts["activity"] = TEXT
            yield "step", record(parts)
        case RenderedAt.BLOCK:
            yield "output", shapes.body_output(step)
            if isinstance(step.body, Loop) and step.body.memory is not None:
                yield "state", shapes.state(step)
        case RenderedAt.BRANCHES:
            yield from _COUNTS.items()
            body = step.body
            if isinstance(body, ForEach):
                yield "outputs", listing(shapes.by_id(body.steps))
            elif isinstance(body, Parallel):
                yield "outputs", listing(union(map(shapes.output, body.steps)))


def _either(one: Shape, other: Shape, name: str) -> Shape:
    return union([one.field(name) or ANY, other.field(name) or ANY])


def _looked_at(condition: Value) -> Guards:
    inner = condition.value if isinstance(condition, Condition) else condition
    return looked_at(inner.tree) if isinstance(inner, Expression) else ()
