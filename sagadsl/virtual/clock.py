"""Virtual time: performs all that is due, in order. Time jumps to whatever is due next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

BEGIN = 1_700_000_000.0
"""The instant at which virtual time begins if nobody says otherwise: trials then give the same every day."""


class Clock:
    """A heap of plans, each for an instant. Plans for the same instant happen in the order in which they were made.

    Attributes:
        now: Seconds since 1970.
        begin: The instant at which time began.
    """

    def __init__(self, start: float) -> None:
        self.now = start
        self.begin = start
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def later(self, delay: float, act: Callable[[], None]) -> None:
        """Plan *act* for *delay* seconds from now; a negative delay counts as none."""
        heapq.heappush(self._due, (self.now + delay if delay > 0 else self.now, next(self._order), act))

    def unique(self) -> int:
        """Return a number that was never returned before."""
        return next(self._order)

    def run(self, until: float | None = None) -> None:
        """Perform all that is due, until nothing is left, or *until* seconds have passed since time began."""
        due, last = self._due, None if until is None else self.begin + until
        while due:
            if last is not None and due[0][0] > last:
                self.now = last
                return
            at, _, act = heapq.heappop(due)
            self.now = max(self.now, at)
            act()
