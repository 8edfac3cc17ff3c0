"""SD2xx and SD4xx for child sagas: do they exist, do they end, do ids differ, do they accept their inputs?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.analysis import Analysis, saga_calls
from sagadsl.language.analysis.shapes import Shapes
from sagadsl.language.analysis.types import Fill, of_schema
from sagadsl.language.calls import SagaCall
from sagadsl.language.checks.arguments import misfits
from sagadsl.language.expressions.values import Constant
from sagadsl.language.kinds import Lane, RenderedAt
from sagadsl.language.model import ForEach, Loop, Saga, Step
from sagadsl.language.suggest import Suggestions
from sagadsl.language.walk import Site, Spot, spots


def children_that_are_not_beside_the_file(analysis: Analysis) -> Iterator[Finding]:
    """SD204: there is no definition of this name beside the file, but perhaps the worker has one."""
    known = analysis.known
    if known.neighbours is None:
        return
    suggestions = Suggestions()
    for spot, call, route, _phase in analysis.saga_calls:
        if call.saga in (analysis.saga.name, *known.sagas, *known.neighbours):
            continue
        near = suggestions.closest(call.saga, known.neighbours)
        yield Finding(
            "SD204",
            f"no saga named `{call.saga}` stands beside this file",
            (*route, "saga"),
            severity=Severity.WARNING,
            help=f"did you mean `{near}`?" if near else "the worker has to know it then, in its folder of definitions",
            step=spot[-1].step.id,
        )


def children_in_a_circle(analysis: Analysis) -> Iterator[Finding]:
    """SD205: a saga that calls itself, directly or through others, never ends."""
    name, sagas = analysis.saga.name, analysis.known.sagas
    reported: set[str] = set()
    for spot, call, route, _phase in analysis.saga_calls:
        way = None if call.saga in reported else _way_back(name, call.saga, sagas)
        if way is None:
            continue
        reported.add(call.saga)
        links = pairwise(way)
        certain = not _is_conditional(spot) and all(_always_calls(sagas[one], other) for one, other in links)
        circle = " → ".join(f"`{each}`" for each in (name, *way))
        yield Finding(
            "SD205",
            f"`{name}` runs itself: {circle}",
            (*route, "saga"),
            severity=Severity.ERROR if certain else Severity.WARNING,
            help="a loop is written with `repeat` or `for_each`; what repeats for ever is started anew from outside",
            step=spot[-1].step.id,
        )


def ids_that_are_the_same_again(analysis: Analysis) -> Iterator[Finding]:
    """SD208: two runs of a saga, or two rounds of a loop, give their child the same `workflow_id`."""
    for spot in analysis.structure.spots:
        step = spot[-1].step
        if not isinstance(step.body, SagaCall) or step.body.workflow_id is None:
            continue
        reads = step.body.workflow_id.reads
        same = next((loop for loop in range(len(spot) - 1) if _is_the_same(analysis, spot, loop, reads)), None)
        if same is not None:
            where = f"in every round of `{spot[same].step.id}`"
            help = f"let it read {_differs(spot[same].step)}, or leave it out"
        elif all(chain in _OF_THE_DEFINITION for chain in reads):
            where, help = "in every run of the saga", "let it read `input` or `saga.id`, or leave it out"
        else:
            continue
        yield Finding(
            "SD208",
            f"the `workflow_id` of `{step.id}` is the same {where}, and only one child can have it",
            (*step.route, "workflow_id"),
            severity=Severity.WARNING,
            help=help,
            step=step.id,
        )


_OF_THE_DEFINITION = (("saga", "name"), ("saga", "version"))
"""What an expression reads that is the same in every run."""


def _is_the_same(analysis: Analysis, spot: Spot, depth: int, reads: Iterable[tuple[str, ...]]) -> bool:
    """Whether the level at *depth* is a loop, and what is read is surely equal in all of its rounds."""
    if not isinstance(spot[depth].step.body, Loop):
        return False
    loops = [level.step.body for level in spot[depth:-1]]
    variables = {body.variable for body in loops if isinstance(body, ForEach)}
    for chain in reads:
        if chain[0] in {*variables, "item_index", "state", "idempotency_key"} or chain in (("saga",), ("saga", "now")):
            return False
        if chain[0] == "steps":
            other = analysis.structure.steps.get(chain[1]) if len(chain) > 1 else None
            if other is None or any(level.step is spot[depth].step for level in other):
                return False
    return True


def _differs(loop: Step) -> str:
    return f"`{loop.body.variable}`" if isinstance(loop.body, ForEach) else "`item_index`"


def inputs_that_children_do_not_take(analysis: Analysis) -> Iterator[Finding]:
    """SD403: the input of a child saga does not satisfy the schema that the child declares."""
    saga = analysis.saga
    for spot, call, route, phase in analysis.saga_calls:
        child = saga if call.saga == saga.name else analysis.known.sagas.get(call.saga)
        if child is None or child.input_schema is None or (call.input is None and phase is RenderedAt.UNDO):
            continue
        yield from _input(
            analysis.shapes, Site(call.input or Constant({}), (*route, "input"), phase, spot), call, child
        )


def _input(shapes: Shapes, site: Site, call: SagaCall, child: Saga) -> Iterator[Finding]:
    assert site.step is not None
    route = site.route if call.input is not None else (*site.route[:-1], "saga")
    for misfit in misfits(shapes, site, call.input, of_schema(child.input_schema, filled=Fill.SENT), f"`{child.name}`"):
        yield Finding(
            "SD403",
            misfit.message,
            (*route, *misfit.path) if call.input is not None else route,
            severity=misfit.severity,
            help=misfit.help,
            at_key=misfit.at_key,
            focus=misfit.focus,
            step=site.step.id,
        )


def _way_back(parent: str, name: str, sagas: Mapping[str, Saga]) -> list[str] | None:
    """Return the shortest chain of calls from the child *name* back to its *parent*; ``None`` when there is none."""
    ways = [[name]]
    seen = {name}
    for way in ways:
        if way[-1] == parent:
            return way
        child = sagas.get(way[-1])
        for _spot, call, _route, _phase in saga_calls(spots(child)) if child is not None else ():
            if call.saga not in seen:
                seen.add(call.saga)
                ways.append([*way, call.saga])
    return None


def _always_calls(saga: Saga, name: str) -> bool:
    return any(call.saga == name and not _is_conditional(spot) for spot, call, _, _ in saga_calls(spots(saga)))


def _is_conditional(spot: Spot) -> bool:
    """Whether the saga may skip this step: then it can end even though it calls itself there."""
    ways = (Lane.ARM, Lane.HANDLER, Lane.ON_FAILURE)
    return any(
        level.step.condition is not None or level.lane in ways or isinstance(level.step.body, ForEach) for level in spot
    )
