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
from sagadsl.language.kinds import RenderedAt
from sagadsl.language.model import ActivityCall, Route, Saga, SagaCall, Step
from sagadsl.language.walk import Spot, calls


class Analysis:
    """One saga and what can be told of it. What takes time is computed when it is first asked for, and once.

    Attributes:
        saga: The model.
        known: What there is beside the file; left out, nothing is known of it.
        structure: Its steps and values with what stands around them.
    """

    def __init__(self, saga: Saga, known: Known | None = None) -> None:
        self.saga = saga
        self.known = Known() if known is None else known
        self.structure = Structure(saga)

    @cached_property
    def shapes(self) -> Shapes:
        """The static types of its values, and what is wrong with its expressions."""
        return Shapes(self.structure, self.known)

    @cached_property
    def pivots(self) -> Pivots:
        """Where it can no longer be undone, and which steps run after and beside that."""
        return pivots(self.saga, self.structure.needs)

    @cached_property
    def afterwards(self) -> tuple[Step, ...]:
        """The steps of ``on_failure``, wherever in it: they run when the compensations are over."""
        return tuple(place.step for place in self.saga.places.values() if place.is_on_failure)

    @cached_property
    def activity_calls(self) -> tuple[tuple[Spot, ActivityCall, Route, RenderedAt], ...]:
        """Every call of an activity with the step it belongs to, where it stands, and when its input is rendered.

        Of two steps with one id, the calls of the first.
        """
        return tuple(
            (spot, call, route, phase)
            for spot in self.structure.steps.values()
            for call, route, phase in calls(spot[-1].step)
            if isinstance(call, ActivityCall)
        )

    @cached_property
    def saga_calls(self) -> tuple[tuple[Spot, SagaCall, Route, RenderedAt], ...]:
        """Every call of a child saga, likewise."""
        return tuple(saga_calls(self.structure.spots))


def saga_calls(spots: Iterable[Spot]) -> Iterator[tuple[Spot, SagaCall, Route, RenderedAt]]:
    """Yield the calls of child sagas by steps, with where they stand and when their input is rendered."""
    for spot in spots:
        for call, route, phase in calls(spot[-1].step):
            if isinstance(call, SagaCall):
                yield spot, call, route, phase
