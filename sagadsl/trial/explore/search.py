"""Follows every way that a saga can go, with up to a number of faults, and judges how it ends.

The search goes depth first, so that it keeps few states. For each violation it keeps the shortest way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import (
    Began,
    Cancel,
    CancelTimer,
    Close,
    Command,
    ContinueAsNew,
    Fact,
    Inherited,
    LateEnd,
    MigrationDropped,
    OperatorAsked,
    Outcome,
    Resumed,
    SendSignal,
    Settled,
    SignalReceived,
    StartActivity,
    StartChild,
    StartTimer,
    TimerFired,
)
from sagadsl.engine.journal import State
from sagadsl.engine.pack import pack
from sagadsl.engine.projection import current
from sagadsl.engine.redriven import begins_again
from sagadsl.engine.scope import step_to_undo
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.engine.verbs import DECISIONS, Verb
from sagadsl.immutable import replace
from sagadsl.language.calls import Call
from sagadsl.language.model import Saga
from sagadsl.language.paths import parse_call, path_in, step_of_activity_id
from sagadsl.trial.explore.circumstances import (
    CONTINUED,
    FULL,
    HELD,
    KILLED,
    MIGRATED,
    REDRIVEN,
    RESET,
    SERVER_ENDED_IT,
    Circumstances,
    Flight,
    Move,
    Silence,
    is_undo,
)
from sagadsl.trial.explore.copying import copied, fingerprint, order_counts
from sagadsl.trial.explore.judging import judged, stays, stuck
from sagadsl.trial.explore.moves import moves, redrives
from sagadsl.trial.explore.nodes import Met, Node
from sagadsl.trial.explore.summary import Summary, Violation
from sagadsl.trial.explore.versions import broken_promise, migrates, promised, tried_again, went_back
from sagadsl.trial.explore.world import Surroundings, longest_life
from sagadsl.trial.played import ID
from sagadsl.virtual.runs import Event

DEEPEST = 300
"""Moves in one run, besides ten for each step. A saga that goes on longer is reported as one that never ends."""


@dataclass(slots=True)
class Search:
    """One search with one input.

    Attributes:
        most: How many faults one run may have.
        deadline: When to stop, by the monotonic clock. ``nodes``: after how many nodes to stop.
        generation: Set when the saga is begun anew under the id of a saga that has ended.
    """

    saga: Saga
    surroundings: Surroundings
    input: Any
    most: int
    deadline: float = float("inf")
    nodes: int = 10**12
    deduplicate: bool = True
    generation: str = ""
    summary: Summary = field(default_factory=Summary)
    exact: bool = field(init=False)
    deepest: int = field(init=False)
    _trail: list[Node] = field(default_factory=list)
    _met: Met = field(default_factory=Met)
    _repeated: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.exact = any(map(order_counts, self.surroundings.versions))
        self.deepest = DEEPEST + 10 * max(len(each.places) for each in self.surroundings.versions)

    def begin(self) -> Node:
        """Return the beginning of every way."""
        now = self.surroundings.now
        node = Node(State(), Circumstances(now), self.saga, history=4)  # start; task scheduled, started, completed
        self._perform(node, decide(self.saga, node.state, Began(now, ID, f"run-{ID}", self.input, self.generation)))
        return node

    def follow(self, way: tuple[Move, ...]) -> Node:
        """Return the node at the end of a way; do not repeat the moves that it shares with the way before."""
        shared = 0
        while shared < min(len(way), len(self._trail) - 1) and self._trail[shared + 1].move == way[shared]:
            shared += 1
        self._trail = self._trail[: shared + 1] or [self.begin()]
        for move in way[shared:]:
            self._trail.append(self.after(self._trail[-1], move))
        return self._trail[-1]

    def explore(self, start: Node, aside: Callable[[Node, Move], None] | None = None) -> None:
        """Follow every way from *start*.

        Args:
            aside: Takes each move that would be a further fault; the search does not follow it then.
        """
        stack = [start]
        while stack:
            if time.monotonic() > self.deadline or self.summary.states >= self.nodes:
                self.summary.left += len(stack)
                return
            stack.extend(reversed(list(self._next(stack.pop(), aside))))

    def _next(self, node: Node, aside: Callable[[Node, Move], None] | None) -> Iterator[Node]:
        if self.deduplicate and self._met.again(hash(node.key(exact=self.exact))):
            self.summary.merged += 1
            return
        self.summary.states += 1
        if node.broken:
            self._violated(Violation("interpreter-breaks", "R56", "", f"the interpreter fails: {node.broken}"), node)
            return
        if node.close is not None or node.depth > self.deepest:
            self._ended(node)
            left = self.most - node.spent
            for move in redrives(node.saga, node.state, node.here, self.surroundings, left):
                if aside is not None:
                    aside(node, move)
                else:
                    yield self.after(node, move)
            return
        ways = 0
        usual = False
        for move in moves(node.saga, node.state, node.here, self.surroundings, self.most - node.spent):
            usual = usual or (move.cost == 0 and move.kind != "signal")
            ways += move.kind not in ("cancel", "timeout") or not move.cost
            if move.cost and aside is not None:
                aside(node, move)
            else:
                yield self.after(node, move)
        if not usual or not ways:
            for breach in stuck(node.state, ways=ways):
                self._violated(breach, node)

    def after(self, node: Node, move: Move) -> Node:
        """Return the node to which *move* leads."""
        state, fact, broken = copied(node.state), move.fact, ""
        try:
            commands = [] if isinstance(fact, Silence) else decide(node.saga, state, fact)
        except Exception as error:  # noqa: BLE001  # an error of the interpreter: the search looks for ways to it
            commands, broken = [], repr(error)
        here, undone = node.here, node.undone
        events: tuple[Event, ...] = ()
        flights, effects = here.flights, _after_late(node.saga, state, fact, here.effects)
        if isinstance(fact, Settled):
            path = node.state.calls[fact.call_id]
            flights = {key: flight for key, flight in flights.items() if key != fact.call_id}
            events = (Event(fact.at, ID, "end", fact.call_id, detail=fact.outcome.value),)
            if is_undo(fact.call_id):
                if move.effect or self._was_undone(node, path, move):
                    undone = {**undone, path: undone.get(path, frozenset()) | {parse_call(fact.call_id).path}}
                    effects = effects - {path} if len(undone[path]) >= self._actions(node, path) else effects
            elif move.effect and not self._said_no(node, state, path):
                effects = effects | {path}
                undone = {key: value for key, value in undone.items() if key != path}
        if move.detail == "complete" and isinstance(fact, OperatorAsked):
            effects, undone = self._done_by_hand(node, state, fact.path)
        if isinstance(fact, Inherited):
            commands += self._lost(node, state, fact)
            events = tuple(_taken_up(node, fact))
            if move.effect:
                effects = effects | {node.state.calls[call] for call in flights if not is_undo(call)}
                undone = {key: value for key, value in undone.items() if key not in effects}
            flights = {}
        if isinstance(fact, Silence):
            flights = {**flights, move.target: _handled(flights[move.target], move)}
        if (back := went_back(node, state, move)) is not None:
            events = (*events, back)
        events = (*events, *tried_again(node, state, fact))
        again = here.again
        if move.detail == "reset":
            again = again | {RESET}
        elif move.detail in ("retry", "pause"):
            again = again | {move.target}
        elif move.kind in _ONCE:
            again = again | {_ONCE[move.kind]}
        fault = (move.what,) if move.cost else ()
        made = Node(
            state,
            Circumstances(
                fact.at,
                flights,
                effects,
                here.cancelled or move.kind == "cancel",
                here.late or move.kind == "timeout",
                again,
            ),
            node.saga,
            node,
            move,
            events,
            spent=node.spent + move.cost,
            faults=node.faults + fault,
            other=node.other + fault if move.kind in ("ok", "signal") else node.other,
            depth=node.depth + 1,
            undone=undone,
            begun=node.begun,
            broken=broken,
            history=node.history + 3 + _EVENTS.get(move.kind, 1),
            promised=node.promised,
        )
        self._perform(made, commands)
        if not broken:
            self._check_redelivery(made, move)
            self._decided_late(made)
        if move.detail in ("complete", "skip", "abort") and move.target in state.attention:
            what = f"after {move.detail} it waits for an operator again"
            self._violated(Violation("no-way-out", "R22", move.target, what), made)
        return made

    def _lost(self, node: Node, state: State, fact: Inherited) -> list[Command]:
        """Tell a new run that nobody knows how the calls ended that do not begin again; return what it asks for."""
        lost = [call for call in node.here.flights if not begins_again(node.state, fact.how, call)]
        ends = [Settled(fact.at, call, Outcome.UNKNOWN, error=SERVER_ENDED_IT, cancelled=True) for call in lost]
        return [command for end in ends for command in decide(node.saga, state, end)]

    def _done_by_hand(self, node: Node, state: State, path: str) -> tuple[frozenset[str], Mapping[str, frozenset[str]]]:
        """Return the effects that stand when an operator has done by hand what waited at *path*."""
        effects, undone, call = node.here.effects, node.undone, parse_call(path)
        if not call.undoes:
            called = isinstance(node.saga.places[state.records[path].step].step.body, Call)
            kept = {key: value for key, value in undone.items() if key != path}
            return (effects | {path}, kept) if called else (effects, undone)
        undone = {**undone, call.step: undone.get(call.step, frozenset()) | {path}}
        all_undone = len(undone[call.step]) >= self._actions(node, call.step)
        return (effects - {call.step} if all_undone else effects), undone

    def _said_no(self, node: Node, state: State, path: str) -> bool:
        """Whether a call that succeeded has done nothing, as `failed_if` says."""
        if (record := state.records.get(path)) is not None:
            return record.outcome is Outcome.FAILED
        return node.state.records[path].undo is not None  # the saga has gone back over it, and had nothing to undo

    def _was_undone(self, node: Node, path: str, move: Move) -> bool:
        """R24: whether the participant says that there is nothing to undo."""
        compensation = step_to_undo(node.saga, node.state.records[path]).compensation
        actions = compensation.actions if compensation is not None else ()
        return any(move.detail in action.already_undone for action in actions)

    def _actions(self, node: Node, path: str) -> int:
        compensation = step_to_undo(node.saga, node.state.records[path]).compensation
        return 1 if compensation is None else max(1, len(compensation.actions))

    def _perform(self, node: Node, commands: list[Command]) -> None:
        """Add to a node what the saga asks for."""
        flights, events = dict(node.here.flights), list(node.events)
        again: list[Command] = []
        for command in commands:
            match command:
                case StartActivity(call_id=call):
                    self._anew(node, call, command.arguments)
                    if self.surroundings.later is not None:
                        node.promised = promised(node, command)
                        if (broken := broken_promise(node, command, self.surroundings)) is not None:
                            self._violated(broken, node)
                    life = longest_life(command)
                    flights[call] = Flight(command, node.here.now, node.here.now + life)
                    events.append(Event(node.here.now, ID, "start", call, detail=command.activity))
                    node.history += 2
                case StartChild(call_id=call):
                    self._anew(node, call, [command.workflow_id, command.input])
                    flights[call] = Flight(command, node.here.now, float("inf"))
                    events.append(Event(node.here.now, ID, "start", call, detail=command.saga))
                    node.history += 2
                case SendSignal(call_id=call):
                    self._anew(node, call, command.request)
                    flights[call] = Flight(command, node.here.now, float("inf"))
                    events.append(Event(node.here.now, ID, "start", call, detail=command.signal))
                    node.history += 2
                case Cancel(call_id=call, abandons=abandons):
                    if call in flights:
                        sent = call in node.here.flights
                        flights[call] = replace(flights[call], asked=True, sent=sent, abandoned=abandons)
                    node.history += 1
                case StartTimer() | CancelTimer():
                    node.history += 1
                case Close():
                    node.close = command
                    node.history += 1
                case ContinueAsNew():
                    again = self._continued(node)
        node.begun += tuple([event.call for event in events if event.what == "start" and is_undo(event.call)])
        node.here = replace(node.here, flights=flights)
        node.events = tuple(events)
        if again:
            self._perform(node, again)

    def _anew(self, node: Node, call: str, sent: object) -> None:
        """R49: a saga that is begun anew sends no key of the run before, whose effects may stand."""
        if self.generation and f'"{path_in(ID, "")}' in json.dumps(sent):
            what = f"`{call}` is sent a key of the run before under the same id"
            self._violated(Violation("key-shared", "R49", step_of_activity_id(call), what), node)

    def _continued(self, node: Node) -> list[Command]:
        """Let the saga go on in a new run, with the carry of the old one; return what it asks for (R50)."""
        try:
            if node.state.migrating and not migrates(node, self.surroundings):
                return decide(node.saga, node.state, MigrationDropped(node.here.now, "it does not fit any more"))
            pack(node.saga, node.state)
            node.state = restore(json.loads(json.dumps(snapshot(node.state))))
            return decide(node.saga, node.state, Resumed(node.here.now, f"run-2-{ID}"))
        except Exception as error:  # noqa: BLE001  # as in `after`
            node.broken = repr(error)
            return []

    def _check_redelivery(self, node: Node, move: Move) -> None:
        """R22, R49, R59: a fact that arrives once more changes nothing. Check it once for each call and way to end."""
        fact, kind = move.fact, f"{move.kind} {move.detail if move.kind == 'operator' else ''}"
        several = Settled | LateEnd | TimerFired | OperatorAsked | SignalReceived
        if node.close is not None or not isinstance(fact, several) or (kind, move.target) in self._repeated:
            return
        if isinstance(fact, OperatorAsked) and fact.path in node.state.attention:
            return  # it waits again: see `_decided_late`
        self._repeated.add((kind, move.target))
        if isinstance(fact, OperatorAsked) and fact.verb is not Verb.RESET:  # that saga may go back once more
            fact = replace(fact, request="")  # from somebody else, who has seen the same
        state = copied(node.state)
        if decide(node.saga, state, fact) or fingerprint(state) != fingerprint(node.state):
            rule = "R22" if isinstance(fact, OperatorAsked) else "R59"
            breach = Violation("redelivery", rule, move.target, f"{move.what}, delivered twice, changes something")
            self._violated(breach, node)

    def _decided_late(self, node: Node) -> None:
        """R22: a decision of an operator about an earlier failure of a step has no effect on a later failure."""
        for path in node.state.attention:
            before = node.state.occurrences.get(path, 1) - 1
            if before < 1 or ("late", path) in self._repeated:
                continue
            self._repeated.add(("late", path))
            for verb in DECISIONS:
                state = copied(node.state)
                late = OperatorAsked(node.here.now, verb, path, "operator", "explored", occurrence=before)
                if decide(node.saga, state, late) or fingerprint(state) != fingerprint(node.state):
                    what = f"a decision about an earlier failure of `{path}` is carried out"
                    self._violated(Violation("late-decision", "R22", path, what), node)

    def _ended(self, node: Node) -> None:
        summary = self.summary
        summary.runs += 1
        status = "too long" if node.close is None else node.close.status.value
        summary.ended(status, node.faults)
        summary.reached(node.state)
        summary.longest = max(summary.longest, node.here.now - self.surroundings.now)
        summary.history = max(summary.history, node.history)
        summary.stays.update(stays(node.saga, node, self.surroundings))
        for breach in judged(node.saga, node, self.surroundings):
            self._violated(breach, node)

    def _violated(self, breach: Violation, node: Node) -> None:
        if self.summary.wants(breach.place, node.spent, node.depth):
            status = current(node.state).value
            began = tuple((event.call, event.at) for event in node.all_events if event.what == "start")
            made = replace(
                breach,
                way=node.way,
                began=began,
                faults=node.spent,
                input=self.input,
                status=status,
                begin=self.surroundings.now,
            )
            self.summary.violated(made)


def _after_late(saga: Saga, state: State, fact: Fact | Silence, effects: frozenset[str]) -> frozenset[str]:
    """Return the effects that stand after an attempt has ended late: not that of a result that means no."""
    if not isinstance(fact, LateEnd):
        return effects
    record = state.records[parse_call(fact.call_id).step]
    says_no = saga.places[record.step].step.failed_if and record.outcome is Outcome.FAILED
    return effects - {record.path} if says_no else effects


def _handled(flight: Flight, move: Move) -> Flight:
    """Return a call that has been held up or let go on: its limits count anew, or are others."""
    held = move.kind == "held"
    return replace(flight, held=held, released=not held, ends=inf)


def _taken_up(node: Node, fact: Inherited) -> Iterator[Event]:
    """Yield the events of a kill, if there was one, and of the run that takes the saga up."""
    for call in node.here.flights:
        yield Event(fact.at, ID, "end", call, detail=Outcome.UNKNOWN.value, error=SERVER_ENDED_IT.type)
    yield Event(fact.at, ID, "taken_up", "", detail=fact.verb)


_ONCE = {
    "held": HELD,
    "continued": CONTINUED,
    "full": FULL,
    "migrated": MIGRATED,
    "killed": KILLED,
    "redriven": REDRIVEN,
}
"""Moves that happen only once in a run, and the mark for each."""

_EVENTS = {
    "ok": 1,
    "error": 1,
    "unknown": 1,
    "not started": 1,
    "timer": 1,
    "signal": 1,
    "cancel": 1,
    "operator": 2,
    "held": -3,
    "released": -3,
}
"""Events in a history for each kind of move, beside the workflow task that follows; the start of a call adds two."""
