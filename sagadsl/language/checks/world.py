"""The names of every place of a saga with their shapes, and what is wrong with the values there.

Joins the structure (:mod:`visibility`), the declared types (:mod:`types`) and the expressions
(:mod:`inference`). Yields complaints; the families of checks make findings of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import assert_never

from sagadsl.diagnostics import Severity
from sagadsl.language.checks.known import Known
from sagadsl.language.checks.order import Needs
from sagadsl.language.expression_code import Chain
from sagadsl.language.expressions import Condition, Expression
from sagadsl.language.inference import MAY_BE_MISSING, UNKNOWN_FIELD, Complaint, Guards, Inference, looked_at
from sagadsl.language.model import (
    ActivityCall,
    Fail,
    ForEach,
    Group,
    On,
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
from sagadsl.language.suggest import Suggestions, listed
from sagadsl.language.types import (
    ANY,
    INTEGER,
    NULL,
    TEXT,
    Shape,
    listing,
    of_schema,
    one_of,
    or_null,
    record,
    union,
    without_null,
)
from sagadsl.language.visibility import (
    Seen,
    Unseen,
    conditions_around,
    in_handler,
    look,
    loops_around,
)
from sagadsl.language.walk import Lane, Phase, Site, Spot, sites, spots

TOO_EARLY = "SD304"
UNKNOWN_STEP = "SD305"
UNKNOWN_OUTCOME = "SD308"

_STATUS = one_of("pending", "running", "paused", "completed", "failed", "skipped", "cancelled")
_ERROR = record({"type": TEXT, "message": TEXT})
_FAILURE = record({"type": TEXT, "message": TEXT, "step": TEXT})
_SAGA = record(dict.fromkeys(("id", "run_id", "name", "version", "started_at"), TEXT))
_COUNTS = dict.fromkeys(("completed", "failed", "total"), INTEGER)
_ELSEWHERE = {
    "completed": "it is known in `complete_when` only",
    "error": "it is known in `on_error` only",
    "failed": "it is known in `complete_when` only",
    "failure": "it is known in compensations and in `on_failure` only",
    "idempotency_key": "it is known in steps only",
    "item_index": "it is known inside loops only",
    "output": "it is known in `failed_if` only; elsewhere write `steps.<id>.output`",
    "outputs": "it is known in `complete_when` only",
    "step": "it is known in compensations only; elsewhere write `steps.<id>`",
    "total": "it is known in `complete_when` only",
}
_DURATIONS = (
    *("timeout", "every", "sleep", "start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"),
    *("initial_interval", "maximum_interval"),
)
_SHOWN = 200
_DEEPEST = 20


class World:
    """One saga with everything that is known of its values. Built once for all checks."""

    def __init__(self, saga: Saga, known: Known, children: dict[str, World | None] | None = None) -> None:
        self.saga = saga
        self.known = known
        self.spots: dict[str, Spot] = {}
        for spot in spots(saga):
            self.spots.setdefault(spot[-1].step.id, spot)
        self.input = ANY if saga.input_schema is None else of_schema(saga.input_schema)
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

    def result(self, call: ActivityCall | SagaCall) -> Shape:
        """Return the shape of what a call gives."""
        if isinstance(call, SagaCall):
            child = self._child(call.saga)
            return ANY if child is None else child.saga_output()
        signature = (self.known.activities or {}).get(call.activity)
        if signature is None or signature.output_schema is None:
            return ANY
        return of_schema(signature.output_schema, filled=True)

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


class Place:
    """The names of one place (:class:`sagadsl.language.inference.Names`)."""

    def __init__(self, world: World, site: Site) -> None:
        self._world = world
        self._site = site
        self._names: dict[str, Shape] | None = None

    def names(self) -> Mapping[str, Shape]:
        """The first names of chains, with their shapes."""
        if self._names is None:
            self._names = dict(_names(self._world, self._site))
        return self._names

    def absent(self, name: str) -> str:
        """Say what an unknown first name may have meant."""
        known, world = self.names(), self._world
        if name in _ELSEWHERE:
            return f"{_ELSEWHERE[name]}; the names here are {listed(known)}"
        if name in world.spots:
            return f"did you mean `steps.{name}.output`?"
        if name in world.input.fields:
            return f"did you mean `input.{name}`?"
        for spot in world.spots.values():
            body = spot[-1].step.body
            if isinstance(body, ForEach) and body.variable == name:
                return f"it is known inside the loop `{spot[-1].step.id}` only"
        if any(each.endswith(f"_{name}") for each in world.spots):
            return "`-` is a minus: ids of steps are written with `_`"
        near = self.near(name, known)
        return f"did you mean `{near}`?" if near else ""

    def near(self, word: str, names: Iterable[str]) -> str | None:
        """Return the name that a misspelt one most likely stands for."""
        return self._world.suggestions.closest(word, names)

    def null_code(self, label: str) -> str:
        """The code to complain with when *label* may be null: a compensation must not rely on an output (R16)."""
        step = self._site.step
        if self._site.phase is Phase.UNDO and step is not None and label in ("step.output", f"steps.{step.id}.output"):
            return UNKNOWN_OUTCOME
        return MAY_BE_MISSING

    def step(self, chain: Chain, soft: bool) -> tuple[Shape, int, tuple[Complaint, ...]]:
        """Judge a chain that begins with ``steps``."""
        name = chain[1] if len(chain) > 1 else None
        if not isinstance(name, str):
            return ANY, len(chain), ()
        target = self._world.spots.get(name)
        if target is None:
            return ANY, len(chain), (self._unknown_step(name),)
        seen = look(self._site, target, self._world.needs)
        key = chain[2] if len(chain) > 2 else None
        if seen.unseen is not None and not (seen.unseen is Unseen.FAILED and key in ("status", "error")):
            return ANY, len(chain), (self._too_early(target, seen),)
        step = target[-1].step
        fields = {"output": self._output(step), "status": _STATUS, "error": _ERROR}
        if not isinstance(key, str):
            return record(fields, ("output", "error")), 2, ()
        if key not in fields:
            return ANY, len(chain), (self._unknown_part(step, key, fields["output"]),)
        doubt = {"output": seen.doubt, "error": "it is there only when the step has failed"}.get(key, "")
        if not doubt or soft or seen.unseen is Unseen.FAILED:
            return fields[key], 3, ()
        return without_null(fields[key]), 3, (self._doubtful(step, key, doubt),)

    def _output(self, step: Step) -> Shape:
        shape = self._world.output(step)
        own = self._site.phase is Phase.UNDO and step is self._site.step
        return _when_undone(step, shape) if own else shape

    def _unknown_step(self, name: str) -> Complaint:
        near = self.near(name, self._world.spots)
        visible = self._readable()
        help = f"did you mean `{near}`?" if near else visible
        notes = (visible,) if near else ()
        steps = ((near, f"`{near}` is here"),) if near else ()
        return Complaint(UNKNOWN_STEP, f"there is no step `{name}`", help, focus=name, notes=notes, steps=steps)

    def _too_early(self, target: Spot, seen: Seen) -> Complaint:
        name = target[-1].step.id
        assert seen.unseen is not None
        return Complaint(
            TOO_EARLY,
            f"step `{name}` cannot be read here: it {seen.unseen.value}",
            self._remedy(target, seen.unseen),
            focus=name,
            notes=(self._readable(),),
            steps=((name, "the step that is read"),),
        )

    def _remedy(self, target: Spot, unseen: Unseen) -> str:
        if self._site.phase is Phase.UNDO:
            return "a compensation sees the other steps as they were when its own step ended"
        match unseen:
            case Unseen.SIBLING:
                depth = next(d for d, (a, b) in enumerate(zip(self._site.spot, target, strict=False)) if a != b)
                return f"add `needs: [{target[depth].step.id}]` to `{self._site.spot[depth].step.id}`"
            case Unseen.LOOP:
                loop = next(level.step.id for level in target if isinstance(level.step.body, ForEach | Repeat))
                return f"read the output of the loop: `steps.{loop}.output`"
            case Unseen.FAILED:
                return "read `error.message`, or what the steps before it gave"
            case Unseen.LATER | Unseen.ITSELF | Unseen.AROUND | Unseen.OTHER_WAY:
                return "read a step that has ended by then, or move this one behind it"

    def _unknown_part(self, step: Step, key: str, output: Shape) -> Complaint:
        whole = f"steps.{step.id}"
        near = self.near(key, ("output", "status", "error"))
        if key in output.fields:
            help = f"did you mean `{whole}.output.{key}`?"
        else:
            help = f"did you mean `{near}`?" if near else "it has `output`, `status` and `error`"
        return Complaint(UNKNOWN_FIELD, f"`{whole}` has no field `{key}`", help, focus=key)

    def _doubtful(self, step: Step, key: str, doubt: str) -> Complaint:
        whole = f"steps.{step.id}.{key}"
        help = f"say what to take then: `{whole} | default(…)`, or ask `steps.{step.id}.status` first"
        message = f"`{whole}` may be missing: {doubt}"
        return Complaint(MAY_BE_MISSING, message, help, Severity.WARNING, step.id, steps=((step.id, "the step"),))

    def _readable(self) -> str:
        if self._world.suggestions.are_over:
            return "a value can read the steps that have ended by then"
        return f"the steps that can be read here are {listed(self._visible())}"

    def _visible(self) -> Iterator[str]:
        for name, spot in islice(self._world.spots.items(), _SHOWN):
            if look(self._site, spot, self._world.needs).unseen is None:
                yield name


def _looked_at(condition: Value) -> Guards:
    inner = condition.value if isinstance(condition, Condition) else condition
    return looked_at(inner.tree) if isinstance(inner, Expression) else ()


def _when_undone(step: Step, output: Shape) -> Shape:
    """Return the shape of an output as its compensation sees it: null when nobody knows the outcome (R14)."""
    completed = step.compensation is not None and step.compensation.on is On.COMPLETED
    return output if completed else or_null(output)


def _names(world: World, site: Site) -> Iterator[tuple[str, Shape]]:
    step = site.step
    yield "input", world.input
    yield "steps", ANY
    yield "saga", _SAGA
    for loop in loops_around(site):
        yield "item_index", INTEGER
        if isinstance(loop.body, ForEach):
            yield loop.body.variable, world.items(loop)
    if in_handler(site):
        yield "error", _FAILURE
    if site.phase is Phase.UNDO or (site.spot and site.spot[0].lane is Lane.ON_FAILURE):
        yield "failure", _FAILURE
    if step is not None and site.phase is not Phase.ROUND:
        yield "idempotency_key", TEXT
    if step is not None:
        yield from _phase_names(world, site.phase, step)


def _phase_names(world: World, phase: Phase, step: Step) -> Iterator[tuple[str, Shape]]:
    call = step.body if isinstance(step.body, ActivityCall | SagaCall) else None
    match phase:
        case Phase.RESULT if call is not None:
            yield "output", world.result(call)
        case Phase.UNDO if call is not None:
            parts = {
                "input": world.step_input(step),
                "output": _when_undone(step, world.result(call)),
                "outcome": one_of("succeeded", "failed", "unknown"),
                "idempotency_key": TEXT,
                "error": or_null(_ERROR),
            }
            yield "step", record(parts)
        case Phase.BRANCHES:
            yield from _COUNTS.items()
            body = step.body
            branches = body.steps if isinstance(body, ForEach | Parallel) else ()
            by_id = world.by_id(branches) if isinstance(body, ForEach) else union(map(world.output, branches))
            yield "outputs", listing(by_id)


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
