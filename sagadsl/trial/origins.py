"""Where the values come from that a definition reads: from the outputs of activities, from the input, or from nowhere.

A chain may begin with a name of its place: ``state``, ``output``, ``step``, a loop variable. It may lead to something
that is computed: a field of a loop's state, the output of a block or of a ``set`` step. It is followed until it begins
with the output of an activity, or with ``input``. What lets the saga go on is handed along where the value is not
changed on its way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagadsl.language import walk
from sagadsl.language.analysis.visibility import enclosing_loops
from sagadsl.language.calls import ActivityCall, Value
from sagadsl.language.expressions.code import chain_of
from sagadsl.language.expressions.values import Expression
from sagadsl.language.kinds import RenderedAt
from sagadsl.language.model import ForEach, Loop, Memory, Saga, Set, Step
from sagadsl.trial.wishes import Chain, Wish, Wishes, texts

ELEMENT = "[]"
"""In a chain: any element of the list."""


class Origins:
    """Finds what a definition reads of outputs and of its input."""

    def __init__(self, saga: Saga) -> None:
        self._saga = saga
        self._spots = {spot[-1].step.id: spot for spot in walk.spots(saga)}

    def wishes(self) -> Iterator[Wish]:
        """Yield each chain that is read, from ``steps`` (of an activity) or ``input`` on, with values that suit it."""
        for site in walk.sites(self._saga):
            for chain, examples in _wishes(site).of_site(site):
                yield from self._origins(chain, examples, site, ())

    def _origins(self, chain: Chain, examples: list[Any], site: walk.Site, seen: tuple[Chain, ...]) -> Iterator[Wish]:
        """Follow a chain from the place where it is read."""
        step, loops = site.step, list(enclosing_loops(site))
        variables = {loop.body.variable: loop for loop in loops if isinstance(loop.body, ForEach)}
        match chain:
            case ("input", *_):
                yield chain, examples
            case ("steps", id_, "output", *rest) if id_ in self._spots:
                yield from self._of_output(self._step(id_), tuple(rest), examples, seen)
            case ("step", "output", *rest) if step is not None:
                yield from self._of_output(step, tuple(rest), examples, seen)
            case ("output", *rest) if step is not None:
                yield from self._of_body(step, tuple(rest), examples, seen)
            case ("state", field, *rest) if (found := _remembering(site)) is not None:
                loop, memory = found
                if (loop.id, field) not in seen:
                    first = (
                        examples[::-1] if site.phase is RenderedAt.FIRST else examples
                    )  # a round comes before the end
                    here = (*seen, (loop.id, field))
                    if memory.next is not None:
                        place = self._site(loop, memory.next, RenderedAt.ROUND)
                        yield from self._of_value(memory.next, (field, *rest), examples, place, here)
                    place = self._site(loop, memory.state, RenderedAt.BEFORE)
                    yield from self._of_value(memory.state, (field, *rest), first, place, here)
            case (name, *rest) if name in variables:
                loop = variables[name]
                assert isinstance(loop.body, ForEach)
                place = self._site(loop, loop.body.items, RenderedAt.BEFORE)
                yield from self._of_value(loop.body.items, (ELEMENT, *rest), examples, place, seen)

    def _of_output(self, step: Step, rest: Chain, examples: list[Any], seen: tuple[Chain, ...]) -> Iterator[Wish]:
        if step.output is None:
            yield from self._of_body(step, rest, examples, seen)
        else:
            site = self._site(step, step.output, RenderedAt.BLOCK)
            yield from self._of_value(step.output, rest, examples, site, seen)

    def _of_body(self, step: Step, rest: Chain, examples: list[Any], seen: tuple[Chain, ...]) -> Iterator[Wish]:
        """Follow a chain into what a step gives by its kind."""
        body = step.body
        if isinstance(body, ActivityCall):
            yield ("steps", step.id, "output", *rest), examples
        elif isinstance(body, Set):
            yield from self._of_value(
                body.values, rest, examples, self._site(step, body.values, RenderedAt.BEFORE), seen
            )
        else:
            below = rest[1:] if isinstance(body, ForEach) else rest  # its output is a list
            if below and below[0] in self._spots:
                yield from self._of_output(self._step(below[0]), below[1:], examples, seen)

    def _of_value(
        self, value: Value, rest: Chain, examples: list[Any], site: walk.Site, seen: tuple[Chain, ...]
    ) -> Iterator[Wish]:
        """Follow a chain into a value that is computed at *site*."""
        while rest and value.items is not None and rest[0] in value.items:
            value, rest = value.items[rest[0]], rest[1:]
        if not isinstance(value, Expression):
            return
        chain = chain_of(value.tree)
        if chain is not None:
            yield from self._origins((*texts(chain), *rest), examples, site, seen)
        elif not rest and examples:
            for inner, wished in _wishes(site).of_node(value.tree, condition=False, wish=examples):
                yield from self._origins(inner, wished, site, seen)

    def _step(self, id_: str) -> Step:
        return self._spots[id_][-1].step

    def _site(self, step: Step, value: Value, phase: RenderedAt) -> walk.Site:
        return walk.Site(value, (), phase, self._spots[step.id])


def _remembering(site: walk.Site) -> tuple[Step, Memory] | None:
    """Return the loop whose ``state`` a place reads, and what it keeps."""
    loops = list(enclosing_loops(site))
    if site.phase is RenderedAt.BLOCK and site.step is not None:
        loops.append(site.step)
    found = [(each, each.body.memory) for each in loops if isinstance(each.body, Loop) and each.body.memory is not None]
    return found[-1] if found else None


def _wishes(site: walk.Site) -> Wishes:
    found = _remembering(site)
    return Wishes(None if found is None else found[1].state)
