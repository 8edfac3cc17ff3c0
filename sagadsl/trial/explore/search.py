"""Follows every way that a saga can go, up to so many faults, and judges where it ends.

Depth first, so that little has to be kept; of each violation the shortest way there is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    Cancel,
    CancelTimer,
    Close,
    Command,
    Settled,
    StartActivity,
    StartChild,
    StartTimer,
    TimerFired,
)
from sagadsl.engine.journal import State
from sagadsl.engine.keys import is_compensation, step_of_activity_id
from sagadsl.engine.projection import current
from sagadsl.engine.virtual import Event
from sagadsl.language.model import Saga
from sagadsl.trial.explore.copying import copied, fingerprint
from sagadsl.trial.explore.judging import judged, stuck
from sagadsl.trial.explore.moves import Circumstances, Flight, Move, moves
from sagadsl.trial.explore.summary import Summary, Violation
from sagadsl.trial.explore.world import Surroundings, longest_life
from sagadsl.trial.played import ID

START = 1_700_000_000.0
DEEPEST = 2_000
"""Things that happen in one run; a saga that goes on longer is told as such."""


@dataclass(slots=True)
class Node:
    """How far one way has come.

    Attributes:
        move: What led here; ``None`` at the beginning.
        effects: Paths of the steps whose effect stands in the world.
        undone: How many actions that undo a step took effect, by path.
        begun: Paths of the calls that undo, in the order in which they began.
        history: Events that Temporal's history would hold by now (R51).
    """

    state: State
    here: Circumstances
    parent: Node | None = None
    move: Move | None = None
    events: tuple[Event, ...] = ()
    close: Close | None = None
    faults: int = 0
    depth: int = 0
    effects: frozenset[str] = frozenset()
    undone: dict[str, int] = field(default_factory=dict)
    begun: tuple[str, ...] = ()
    history: int = 0

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

    @property
    def key(self) -> Hashable:
        """What decides how it may go on, and how it will be judged."""
        here = self.here
        asked = tuple(call for call, flight in here.flights.items() if flight.asked)
        return (
            fingerprint(self.state),
            (self.faults, here.cancelled, here.late, here.again, asked),
            (self.effects, tuple(self.undone.items()), self.begun),
            tuple(move.what for move in self.way if move.cost and (self.faults == 1 or move.kind in ("ok", "signal"))),
        )


@dataclass(slots=True)
class Search:
    """One search with one input.

    Attributes:
        most: Faults in one run.
        deadline: When to stop, by the monotonic clock; ``nodes`` after how many nodes.
    """

    saga: Saga
    around: Surroundings
    input: Any
    most: int
    deadline: float = float("inf")
    nodes: int = 10**12
    deduplicate: bool = True
    summary: Summary = field(default_factory=Summary)
    _seen: set[int] = field(default_factory=set)
    _repeated: set[tuple[str, str]] = field(default_factory=set)

    def begin(self) -> Node:
        """Return the beginning of every way."""
        node = Node(
            State(), Circumstances(START), history=4
        )  # started; scheduled, started, completed of its first task
        return self._told(node, decide(self.saga, node.state, Began(START, ID, f"run-{ID}", self.input)))

    def follow(self, way: tuple[Move, ...]) -> Node:
        """Return the node at the end of a way."""
        node = self.begin()
        for move in way:
            node = self.after(node, move)
        return node

    def explore(self, start: Node, aside: Callable[[Node, Move], None] | None = None) -> None:
        """Follow every way from *start*.

        Args:
            aside: Takes what would be a further fault instead of following it.
        """
        stack = [start]
        while stack:
            if time.monotonic() > self.deadline or self.summary.states >= self.nodes:
                self.summary.left += len(stack)
                return
            stack.extend(reversed(list(self._next(stack.pop(), aside))))

    def _next(self, node: Node, aside: Callable[[Node, Move], None] | None) -> Iterator[Node]:
        if self.deduplicate:
            key = hash(node.key)
            if key in self._seen:
                self.summary.merged += 1
                return
            self._seen.add(key)
        self.summary.states += 1
        if node.close is not None or node.depth > DEEPEST:
            self._ended(node)
            return
        ways = 0
        usual = False
        for move in moves(self.saga, node.state, node.here, self.around):
            usual = usual or (move.cost == 0 and move.kind != "signal")
            ways += move.kind not in ("cancel", "timeout")
            if node.faults + move.cost > self.most:
                continue
            if move.cost and aside is not None:
                aside(node, move)
            else:
                yield self.after(node, move)
        if not usual or not ways:
            for breach in stuck(node.state, ways=ways):
                self._violated(breach, node)

    def after(self, node: Node, move: Move) -> Node:
        """Return the node to which *move* leads."""
        state = copied(node.state)
        commands = decide(self.saga, state, move.fact)
        here, effects, undone = node.here, node.effects, node.undone
        events: tuple[Event, ...] = ()
        flights = here.flights
        if isinstance(move.fact, Settled):
            call = move.fact.call_id
            flights = {key: flight for key, flight in flights.items() if key != call}
            events = (Event(move.fact.at, ID, "end", call, detail=move.fact.outcome.value),)
            path = step_of_activity_id(call)
            if is_compensation(call):
                if move.effect:
                    undone = {**undone, path: undone.get(path, 0) + 1}
                    effects = self._without(effects, path, undone[path], state)
            elif move.effect and not call.partition("#")[0].endswith(".probe"):
                effects = effects | {path}
                undone = {key: value for key, value in undone.items() if key != path}
        again = here.again | {move.target} if move.detail == "retry" and move.kind == "operator" else here.again
        made = Node(
            state,
            replace(
                here,
                now=move.fact.at,
                flights=flights,
                cancelled=here.cancelled or move.kind == "cancel",
                late=here.late or move.kind == "timeout",
                again=again,
            ),
            node,
            move,
            events,
            faults=node.faults + move.cost,
            depth=node.depth + 1,
            effects=effects,
            undone=undone,
            begun=node.begun,
            history=node.history + 3 + _EVENTS.get(move.kind, 1),
        )
        made = self._told(made, commands)
        self._told_twice(made, move)
        return made

    def _told(self, node: Node, commands: list[Command]) -> Node:
        """Take what the saga asks for into a node."""
        flights, events = dict(node.here.flights), list(node.events)
        for command in commands:
            match command:
                case StartActivity(call_id=call):
                    life = longest_life(command)
                    flights[call] = Flight(command, node.here.now, node.here.now + life)
                    events.append(Event(node.here.now, ID, "start", call, detail=command.activity))
                    node.history += 2
                case StartChild(call_id=call):
                    flights[call] = Flight(command, node.here.now, float("inf"))
                    events.append(Event(node.here.now, ID, "start", call, detail=command.saga))
                    node.history += 2
                case Cancel(call_id=call):
                    if call in flights:
                        flights[call] = replace(flights[call], asked=True)
                    node.history += 1
                case StartTimer() | CancelTimer():
                    node.history += 1
                case Close():
                    node.close = command
                    node.history += 1
                case _:
                    pass
        started = [event.call for event in events if event.what == "start"]
        node.begun += tuple(call for call in started if is_compensation(call))
        self.summary.begun.update(started)
        node.here = replace(node.here, flights=flights)
        node.events = tuple(events)
        return node

    def _without(self, effects: frozenset[str], path: str, actions: int, state: State) -> frozenset[str]:
        record = state.records[path]
        compensation = self.saga.places[record.step].step.compensation
        needed = 1 if compensation is None else max(1, len(compensation.actions))
        return effects - {path} if actions >= needed else effects

    def _told_twice(self, node: Node, move: Move) -> None:
        """R49, R59: a fact that arrives once more changes nothing. Looked at once for each call and way to end."""
        if not isinstance(move.fact, Settled | TimerFired) or (move.kind, move.target) in self._repeated:
            return
        self._repeated.add((move.kind, move.target))
        state = copied(node.state)
        if node.close is None and (
            decide(self.saga, state, move.fact) or fingerprint(state) != fingerprint(node.state)
        ):
            breach = Violation("redelivery", "R59", move.target, f"{move.what}, told twice, changes something")
            self._violated(breach, node)

    def _ended(self, node: Node) -> None:
        summary = self.summary
        summary.runs += 1
        status = "too long" if node.close is None else node.close.status.value
        summary.ended(status, [move.what for move in node.way if move.cost])
        summary.reached(node.state)
        summary.longest = max(summary.longest, node.here.now - START)
        summary.history = max(summary.history, node.history)
        for breach in judged(self.saga, node, self.around):
            self._violated(breach, node)

    def _violated(self, breach: Violation, node: Node) -> None:
        if self.summary.wants(breach.place, node.faults, node.depth):
            status = current(node.state).value
            began = tuple((event.call, event.at) for event in node.all_events if event.what == "start")
            made = replace(breach, way=node.way, began=began, faults=node.faults, input=self.input, status=status)
            self.summary.violated(made)


_EVENTS = {"ok": 1, "error": 1, "unknown": 1, "not started": 1, "timer": 1, "signal": 1, "cancel": 1, "operator": 2}
"""Events of a history for what happened, beside the workflow task that it brings; a call has two more, of its start."""
