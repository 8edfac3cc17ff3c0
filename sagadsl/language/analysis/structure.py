"""The structure of a saga: its steps and its values, each with the blocks around it. It knows no shapes."""

from __future__ import annotations

from sagadsl.language.analysis.order import Needs
from sagadsl.language.model import Parallel, Route, Saga, Step
from sagadsl.language.walk import Spot, sites, spots


class Structure:
    """The steps and values of one saga. It walks through the saga once.

    Attributes:
        spots: Every step with the way to it, in the order of the file; a block comes before the steps in it.
        steps: The way to each step by its id. If two steps have the same id, the first one counts.
        sites: Every value that may hold an expression.
    """

    def __init__(self, saga: Saga) -> None:
        self.saga = saga
        self.spots = tuple(spots(saga))
        self.sites = tuple(sites(saga))
        self.steps: dict[str, Spot] = {}
        for spot in self.spots:
            self.steps.setdefault(spot[-1].step.id, spot)
        self._needs: dict[Route, Needs] = {}

    def needs(self, block: Step) -> Needs:
        """Return the order of the branches of a parallel step."""
        if block.route not in self._needs:
            self._needs[block.route] = Needs.of(block.body.steps if isinstance(block.body, Parallel) else ())
        return self._needs[block.route]
