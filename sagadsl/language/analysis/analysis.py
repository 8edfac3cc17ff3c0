"""The analysis of a saga: everything that is known without data. Each check gets it as its argument.

It has the saga itself, the known activities and sagas, its structure, its shapes, its calls and its pivots.
If a check needs more, add it here, so that the next check finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from sagadsl.language.analysis.known import Known
from sagadsl.language.analysis.order import Pivots, pivots
from sagadsl.language.analysis.shapes import Shapes
from sagadsl.language.analysis.structure import Structure
from sagadsl.language.calls import ActivityCall, SagaCall
from sagadsl.language.kinds import RenderedAt
from sagadsl.language.model import Route, Saga, Step
from sagadsl.language.walk import Spot, calls


class Analysis:
    """One saga and all that is known of it. What takes time is computed only once, when somebody first asks for it.

    Attributes:
        saga: The model.
        known: What is known beside the file; by default nothing.
        structure: Its steps and values, each with the blocks around it.
    """

    def __init__(self, saga: Saga, known: Known | None = None) -> None:
        self.saga = saga
        self.known = Known() if known is None else known
        self.structure = Structure(saga)

    @cached_property
    def shapes(self) -> Shapes:
        """The shapes of its values, and the complaints about its expressions."""
        return Shapes(self.structure, self.known)

    @cached_property
    def pivots(self) -> Pivots:
        """Its pivots, and the steps that run after and beside them."""
        return pivots(self.saga, self.structure.needs)

    @cached_property
    def afterwards(self) -> tuple[Step, ...]:
        """All steps inside ``on_failure``, at every depth: they run after the compensations."""
        return tuple(place.step for place in self.saga.places.values() if place.is_on_failure)

    @cached_property
    def activity_calls(self) -> tuple[tuple[Spot, ActivityCall, Route, RenderedAt], ...]:
        """Every call of an activity, with the way to its step, its place, and the moment when its input is rendered.

        Operations are none: what is known of activities says nothing of them, and the server itself tries them again.
        If two steps have the same id, it has only the calls of the first.
        """
        return tuple(
            (spot, call, route, phase)
            for spot in self.structure.steps.values()
            for call, route, phase in calls(spot[-1].step)
            if isinstance(call, ActivityCall) and call.operation is None
        )

    @cached_property
    def saga_calls(self) -> tuple[tuple[Spot, SagaCall, Route, RenderedAt], ...]:
        """Every call of a child saga, in the same form."""
        return tuple(saga_calls(self.structure.spots))


def saga_calls(spots: Iterable[Spot]) -> Iterator[tuple[Spot, SagaCall, Route, RenderedAt]]:
    """Yield the calls of child sagas, each with its step, its place, and the moment when its input is rendered."""
    for spot in spots:
        for call, route, phase in calls(spot[-1].step):
            if isinstance(call, SagaCall):
                yield spot, call, route, phase
