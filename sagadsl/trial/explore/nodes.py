"""The places on the ways of a search, and which of them it has met before."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from sagadsl.engine.facts import Close
from sagadsl.engine.journal import State
from sagadsl.language.model import Saga
from sagadsl.trial.explore.circumstances import Circumstances, Move
from sagadsl.trial.explore.copying import fingerprint
from sagadsl.virtual.runs import Event

REMEMBERED = 500_000
"""How many states a search remembers as met before, at least; at most twice as many, in some 100 bytes each."""


class Met:
    """The states that a search has met; of more than it may remember it forgets the oldest, and follows them again."""

    def __init__(self, at_least: int = REMEMBERED) -> None:
        self._at_least = at_least
        self._new: set[int] = set()
        self._old: set[int] = set()

    def again(self, key: int) -> bool:
        """Say whether it remembers a state, and remember it from now on."""
        if key in self._new:
            return True
        if len(self._new) >= self._at_least:
            self._old, self._new = self._new, set()
        self._new.add(key)
        return key in self._old


@dataclass(slots=True)
class Node:
    """A place on a way: the saga after some moves.

    Attributes:
        move: The move that led here; ``None`` at the beginning.
        faults: What was unusual on the way. ``spent``: how many faults it counts as.
        undone: Which calls of a step's compensation took effect, by the step's path.
        begun: Ids of the calls that undo, in the order in which they began.
        other: Outputs and payloads other than the usual ones, because the state does not tell them apart.
        broken: How the interpreter failed; the way ends there.
        history: Events that Temporal's history would hold by now (R51).
        saga: The definition that it has by now. ``promised``: the digests of the definitions under which steps began.
    """

    state: State
    here: Circumstances
    saga: Saga
    parent: Node | None = None
    move: Move | None = None
    events: tuple[Event, ...] = ()
    close: Close | None = None
    spent: int = 0
    faults: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    depth: int = 0
    undone: Mapping[str, frozenset[str]] = field(default_factory=dict)
    begun: tuple[str, ...] = ()
    broken: str = ""
    history: int = 0
    promised: Mapping[str, str] = field(default_factory=dict)

    @property
    def way(self) -> tuple[Move, ...]:
        """What has happened, in order."""
        return tuple(node.move for node in self._line() if node.move is not None)

    @property
    def all_events(self) -> tuple[Event, ...]:
        return tuple(event for node in self._line() for event in node.events)

    def _line(self) -> list[Node]:
        line: list[Node] = []
        node: Node | None = self
        while node is not None:
            line.append(node)
            node = node.parent
        return line[::-1]

    def key(self, *, exact: bool) -> Hashable:
        """Return what decides how the way may go on, and how it will be judged."""
        here = self.here
        asked = tuple(
            [
                (call, flight.asked, flight.sent, flight.held, flight.released)
                for call, flight in here.flights.items()
                if flight.asked or flight.held or flight.released
            ]
        )
        return (
            fingerprint(self.state, exact=exact),
            (self.spent, here.cancelled, here.late, here.again, asked),
            (here.effects, frozenset(self.undone.items()), self.begun),
            # The table says how the saga ends after each single fault, so keep ways with different single faults apart.
            self.faults if len(self.faults) == 1 else self.other,
        )
