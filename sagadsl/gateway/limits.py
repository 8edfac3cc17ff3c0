"""The limits of one gateway: requests per second and caller, waiting requests at a time, bytes of a body.

Pure except for the clock, which is an argument. It counts and refuses; it knows nothing of HTTP.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sagadsl.errors import SagadslError

_REMEMBERED = 10_000
"""Most callers that are counted, the newest ones: an attacker with many names must not fill the memory."""


class TooMany(SagadslError):
    """More requests than the gateway takes now."""

    code = "SD945"
    exit_code = 4

    def __init__(self, what: str, again: float) -> None:
        super().__init__(what, again)
        self.what, self.again = what, max(1, math.ceil(again))

    def __str__(self) -> str:
        return self.what

    @property
    def help(self) -> str:
        return f"try again in {self.again} s"


class TooLarge(SagadslError):
    """A body larger than the gateway takes."""

    code = "SD946"
    exit_code = 4

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the body has more than {self.limit:,} bytes"

    @property
    def help(self) -> str:
        return "pass a reference to where the data is"


@dataclass(slots=True)
class Rate:
    """Requests per second; those of one second may come at once, and twice as many after a pause.

    Attributes:
        clock: Gives seconds, and never goes back.
    """

    per_second: float
    clock: Callable[[], float]
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, who: str) -> None:
        """Count one request. Raises ``TooMany``."""
        now, most = self.clock(), 2 * self.per_second
        left, since = self._left.pop(who, (most, now))
        left = min(most, left + (now - since) * self.per_second)
        self._left[who] = (max(left - 1, 0.0) if left >= 1 else left, now)
        while len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            raise TooMany(f"more than {self.per_second:g} requests a second", (1 - left) / self.per_second)


@dataclass(slots=True)
class Seats:
    """Requests that wait at the same time: in all, and of each caller."""

    most: int
    each: int
    _taken: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def seat(self, who: str) -> Iterator[None]:
        """Wait inside this block. Raises ``TooMany``."""
        if sum(self._taken.values()) >= self.most:
            raise TooMany(f"{self.most} requests wait already", 1)
        if self._taken.get(who, 0) >= self.each:
            raise TooMany(f"{self.each} requests of yours wait already", 1)
        self._taken[who] = self._taken.get(who, 0) + 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            if not self._taken[who]:
                del self._taken[who]

    @property
    def taken(self) -> int:
        """How many wait now."""
        return sum(self._taken.values())
