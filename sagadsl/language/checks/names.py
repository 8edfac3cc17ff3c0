"""SD2xx: names that must be unique, or must exist, or must not hide another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagadsl.diagnostics.findings import Finding
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.order import Needs
from sagadsl.language.calls import ActivityCall
from sagadsl.language.model import ForEach, Parallel, Step
from sagadsl.language.suggest import Suggestions, listed
from sagadsl.language.walk import calls

OWN = "sagadsl."
"""The prefix of the names of sagadsl's own activities."""

_RESERVED = (
    *("completed", "error", "failed", "failure", "idempotency_key", "input", "item_index", "output", "outputs"),
    *("saga", "step", "steps", "total"),
    *("and", "else", "false", "if", "in", "is", "none", "not", "null", "or", "true"),
)


def ids_used_twice(analysis: Analysis) -> Iterator[Finding]:
    """SD201: an id is the name of one step in the whole definition, blocks and handlers included."""
    first: dict[str, Step] = {}
    for spot in analysis.structure.spots:
        step = spot[-1].step
        if step.id in first:
            yield Finding(
                "SD201",
                f"the id `{step.id}` is used twice",
                (*step.route, "id"),
                help="give each step an id of its own: outputs, keys and messages go by it",
                step=step.id,
                related=(((*first[step.id].route, "id"), "first used here"),),
            )
        first.setdefault(step.id, step)


def needs_of_no_sibling(analysis: Analysis) -> Iterator[Finding]:
    """SD202: a branch can wait for other branches of its own block only."""
    suggestions = Suggestions()
    for block, branches in _parallel(analysis):
        siblings = {branch.id for branch in branches}
        for branch in branches:
            for number, name in enumerate(branch.needs):
                if name in siblings:
                    continue
                near = suggestions.closest(name, siblings - {branch.id})
                others = "" if suggestions.are_over else f": {listed(siblings - {branch.id})}"
                where = f"stands outside of `{block.id}`" if name in analysis.structure.steps else "does not exist"
                yield Finding(
                    "SD202",
                    f"`{branch.id}` needs `{name}`, which {where}",
                    (*branch.route, "needs", number),
                    help=f"did you mean `{near}`?" if near else f"a branch needs branches of the same block{others}",
                    step=branch.id,
                )


def needs_in_a_circle(analysis: Analysis) -> Iterator[Finding]:
    """SD203: branches that wait for each other never begin."""
    for block, branches in _parallel(analysis):
        by_id = {branch.id: branch for branch in branches}
        for circle in _circles(by_id, analysis.structure.needs(block)):
            way = " → ".join(f"`{name}`" for name in (*circle, circle[0]))
            yield Finding(
                "SD203",
                f"`needs` goes round in a circle: {way}" if len(circle) > 1 else f"`{circle[0]}` needs itself",
                (*by_id[circle[0]].route, "needs"),
                help="take one of these out, so that one branch can begin",
                step=circle[0],
                related=tuple(((*by_id[name].route, "needs"), "and this") for name in circle[1:]),
            )


def variables_that_hide_a_name(analysis: Analysis) -> Iterator[Finding]:
    """SD206: a loop variable has the name of something else, so that expressions could not tell them apart."""
    for spot in analysis.structure.spots:
        body = spot[-1].step.body
        if not isinstance(body, ForEach):
            continue
        if body.variable in _RESERVED:
            yield Finding(
                "SD206",
                f"the loop variable `{body.variable}` is also a name of the language",
                (*spot[-1].step.route, "for_each", "as"),
                help="choose another name with `as`",
                step=spot[-1].step.id,
            )


def activities_of_sagadsl_itself(analysis: Analysis) -> Iterator[Finding]:
    """SD207: a step calls an activity that sagadsl itself needs, and that no step may call."""
    for spot in analysis.structure.spots:
        step = spot[-1].step
        for call, route, _phase in calls(step):
            own = [name for name in call.names if name.startswith(OWN)] if isinstance(call, ActivityCall) else ()
            for name in own:
                yield Finding(
                    "SD207",
                    f"`{name}` is an activity of sagadsl itself, which no step can call",
                    (*route, "activity"),
                    help=f"names that begin with `{OWN}` are reserved: give the activity another name",
                    step=step.id,
                )


def _parallel(analysis: Analysis) -> Iterator[tuple[Step, tuple[Step, ...]]]:
    for spot in analysis.structure.spots:
        body = spot[-1].step.body
        if isinstance(body, Parallel):
            yield spot[-1].step, body.steps


def _circles(branches: Mapping[str, Step], order: Needs) -> Iterator[list[str]]:
    """Yield the circles of ``needs``, each from its first branch in the file."""
    position = {name: number for number, name in enumerate(branches)}
    seen: set[str] = set()
    for start in branches:
        way: dict[str, int] = {}
        name: str | None = start
        while name is not None and name not in seen:
            seen.add(name)
            way[name] = len(way)
            name = next(_stuck(branches[name], order), None)
            if name in way:
                circle = list(way)[way[name] :]
                first = circle.index(min(circle, key=position.__getitem__))
                yield circle[first:] + circle[:first]


def _stuck(branch: Step, order: Needs) -> Iterator[str]:
    """Yield the branches that *branch* needs and that never end: they wait in a circle, or for branches in a circle."""
    before = order.before[order.index[branch.id]]
    for name in branch.needs:
        if name in order.index and not before >> order.index[name] & 1:
            yield name
