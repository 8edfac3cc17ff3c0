"""The names of one place with their shapes, and what is wrong with reading a step from there.

What is known of the rest of the saga is the :class:`sagadsl.language.analysis.world.World`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from sagadsl.diagnostics.findings import Severity
from sagadsl.language.analysis.complaints import MAY_BE_MISSING, UNKNOWN_FIELD, Complaint
from sagadsl.language.analysis.types import (
    ANY,
    INTEGER,
    TEXT,
    Shape,
    listing,
    one_of,
    or_null,
    record,
    union,
    without_null,
)
from sagadsl.language.analysis.visibility import Seen, Unseen, in_handler, look, loops_around
from sagadsl.language.expressions.code import Chain
from sagadsl.language.kinds import Lane, Phase, is_loop
from sagadsl.language.model import Call, ForEach, On, Parallel, Step
from sagadsl.language.suggest import listed
from sagadsl.language.walk import Site, Spot

if TYPE_CHECKING:
    from sagadsl.language.analysis.world import World

TOO_EARLY = "SD304"
UNKNOWN_STEP = "SD305"
UNKNOWN_OUTCOME = "SD308"

STATUS_WORDS = ("pending", "running", "paused", "completed", "failed", "skipped", "cancelled")
_STATUS = one_of(*STATUS_WORDS)
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
_SHOWN = 200


class Place:
    """The names of one place (:class:`sagadsl.language.analysis.inference.Names`)."""

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
        near = self.near(name, self._visible()) or self.near(name, self._world.spots)
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
                loop = next(level.step.id for level in target if is_loop(level.step))
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
        if self._site.phase is Phase.END and key == "output":
            message += "; what is read in it is null then"
            help = f"say what to give instead, `{whole} | default(…)`, or that null is meant, `… | default(null)`"
        return Complaint(MAY_BE_MISSING, message, help, Severity.WARNING, step.id, steps=((step.id, "the step"),))

    def _readable(self) -> str:
        if self._world.suggestions.are_over:
            return "a value can read the steps that have ended by then"
        visible = listed(self._visible())
        return "no step can be read here" if visible == "none" else f"the steps that can be read here are {visible}"

    def _visible(self) -> Iterator[str]:
        for name, spot in islice(self._world.spots.items(), _SHOWN):
            if look(self._site, spot, self._world.needs).unseen is None:
                yield name


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
    call = step.body if isinstance(step.body, Call) else None
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
            if isinstance(body, ForEach):
                yield "outputs", listing(world.by_id(body.steps))
            elif isinstance(body, Parallel):
                yield "outputs", listing(union(map(world.output, body.steps)))
