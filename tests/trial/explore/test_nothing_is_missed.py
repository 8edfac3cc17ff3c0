"""Nothing goes wrong in a random run that the explorer has not foreseen: neither an end nor a violation."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from sagadsl.engine import operator
from sagadsl.engine.facts import OperatorAsked, Outcome, SignalReceived, StartActivity, Verb
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.language.paths import is_compensation
from sagadsl.trial.explore.circumstances import Circumstances
from sagadsl.trial.explore.judging import judged
from sagadsl.trial.explore.nodes import Node
from sagadsl.trial.explore.run import Task, explore, surroundings_of
from sagadsl.trial.explore.world import Surroundings
from sagadsl.trial.played import ID
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.clock import BEGIN
from sagadsl.virtual.runs import Event, VirtualRun
from sagadsl.virtual.world import World
from tests.engine.any_saga import Maker, Seeded

SAGAS = range(36)
RUNS = 60
FAULTS = 2
STATES = 1_000
"""A saga that has more is left out: what was not followed cannot have been foreseen.

Those that have more have more than 16,000, so that nothing is lost by this number.
"""


@dataclass
class _Random:
    """A run whose faults, times and decisions are drawn, and whose participants keep books.

    Attributes:
        calls: What is known to be called, as far as faults may strike it.
        effects: Paths of the steps whose effect stands; ``undone`` the calls that undid one, by path.
    """

    saga: Saga
    surroundings: Surroundings
    choice: random.Random
    calls: Sequence[str]
    faults: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    cancel_at: float | None = None
    effects: set[str] = field(default_factory=set)
    undone: dict[str, set[str]] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.slowest = self.choice.choice((0.1, 3.0))
        self.fresh: list[str] = []
        self.world = World(self._attempt, on_event=self._book, after_fact=self._after, start=BEGIN)
        for _ in range(self.choice.randint(0, FAULTS)):
            match self.choice.choice(("call", "call", "call", "cancel", "silence")):
                case "call" if self.calls:
                    call = self.choice.choice(self.calls)
                    ways = ("refused",) if is_compensation(call) else ("refused", "done", "not done", "queue")
                    self.faults.setdefault(call, self.choice.choice(ways))
                case "cancel":
                    self.cancel_at = self.choice.uniform(0, 6)
                case "silence":
                    self.silent = True
                case _:
                    pass

    def run(self, input_: Any) -> VirtualRun:
        if self.cancel_at is not None:
            self.world.cancel_at(self.cancel_at, ID)
        run = self.world.start(self.saga, input_, ID)
        self.world.run(1e6)
        return run

    def _attempt(self, _saga_id: str, command: StartActivity, _attempt: int) -> Attempt:
        takes = self.choice.uniform(0.05, self.slowest)
        base = command.call_id.partition("#")[0]
        fault = self.faults.get(command.call_id)
        if base.endswith(".probe"):
            if fault is not None:
                return Attempt(error="ProbeFailed", retryable=False, takes=takes)
            return Attempt(output=base.removesuffix(".probe") in self.effects, takes=takes)
        if fault == "refused":
            return Attempt(error="Refused", retryable=False, takes=takes)
        if fault in ("done", "not done"):
            return Attempt(takes=inf)
        if fault == "queue" and command.schedule_to_start is not None and not command.local:
            return Attempt(starts=False)
        usual = None if is_compensation(base) else self.surroundings.outputs(command.activity)[0]
        return Attempt(output=usual, takes=takes)

    def _book(self, event: Event) -> None:
        """Write into the books what the end of a call has done, before the saga hears of it."""
        base = event.call.partition("#")[0]
        if event.what != "end" or base.endswith(".probe"):
            return
        if is_compensation(base):
            path = base.rpartition(".compensation")[0]
            if event.detail == Outcome.SUCCEEDED.value:
                self.undone.setdefault(path, set()).add(base)
                undo = self.saga.places[self.world.runs[ID].state.records[path].step].step.compensation
                if undo is not None and len(self.undone[path]) >= len(undo.actions):
                    self.effects.discard(path)
            return
        fault = self.faults.get(event.call)
        done = event.detail == Outcome.SUCCEEDED.value or (
            event.detail == Outcome.UNKNOWN.value
            and fault not in ("refused", "not done")
            and (fault == "done" or self.choice.random() < 0.5)  # a cancel stopped it, somewhere
        )
        if done:
            self.effects.add(base)
            self.fresh.append(base)

    def _after(self, _saga_id: str) -> None:
        state = self.world.runs[ID].state
        while self.fresh:
            path = self.fresh.pop()
            if state.records[path].outcome is Outcome.FAILED:  # `failed_if`: its output says no
                self.effects.discard(path)
            else:
                self.undone.pop(path, None)
        if not self.silent and state.waiting:
            self.world.clock.later(0.05, self._signal)
        if state.attention:
            self.world.clock.later(0.05, self._decide)

    def _signal(self) -> None:
        for name in list(self.world.runs[ID].state.waiting):
            self.world.tell(ID, SignalReceived(self.world.now, name, None))

    def _decide(self) -> None:
        """An operator takes any verb that leads on, is honest about a pivot, and repeats a thing once."""
        state = self.world.runs[ID].state
        path = next(iter(state.attention), "")
        verbs = [
            each for each in (Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT) if not operator.refusal(state, each, path)
        ]
        if path in self.repeated:
            verbs = [each for each in verbs if each is not Verb.RETRY_STEP]
        if path == state.pivot_at:
            wrong = Verb.ABORT if path in self.effects else Verb.SKIP_STEP
            verbs = [each for each in verbs if each is not wrong]
        if path and verbs:
            verb = self.choice.choice(verbs)
            self.repeated |= {path} if verb is Verb.RETRY_STEP else set()
            self.world.tell(ID, OperatorAsked(self.world.now, verb, path, "ann", "drawn"))


def _definition(seed: int) -> dict[str, Any]:
    choice = random.Random(seed)
    return Maker(Seeded(choice), sequential=choice.random() < 0.3).saga()


def _missed(seed: int, seen: Counter[str]) -> list[str] | None:
    """Return what went wrong unforeseen with one saga; ``None`` if it cannot be explored as a whole."""
    definition = _definition(seed)
    found = explore(Task(definition, most=FAULTS, states=STATES)).summary
    if found.left:
        return None
    saga, surroundings = build(definition), surroundings_of(Task(definition))
    input_ = next(iter(surroundings.inputs()), None)
    calls: set[str] = set()
    missed = []
    for number in range(RUNS):
        played = _Random(saga, surroundings, random.Random(number), sorted(calls))
        run = played.run(input_)
        events = tuple(played.world.events)
        calls |= {event.call for event in events if event.what == "start" and "#" not in event.call}
        what = f"saga {seed}, run {number}, {played.faults}, cancelled at {played.cancel_at}"
        if run.close is None:
            if not {kind for kind, _ in found.violations} & {"unbounded-wait", "never-ends", "no-way-out"}:
                missed.append(f"{what}: open")
            continue
        undone = {path: frozenset(done) for path, done in played.undone.items()}
        here = Circumstances(played.world.now, effects=frozenset(played.effects))
        node = Node(run.state, here, saga, events=events, close=run.close, undone=undone)
        wrong = {each.place for each in judged(saga, node, surroundings)}
        status = run.close.status.value
        seen.update((status, *(kind for kind, _ in wrong)))
        if status not in found.ends or wrong - found.violations.keys():
            missed.append(f"{what}: {status}, {sorted(wrong - found.violations.keys())}")
    return missed


def test_a_random_run_shows_nothing_that_the_explorer_has_not_found() -> None:
    """R1 to R3, R10, R12, R20, R43: with as many faults, in sagas that nobody has thought of."""
    seen: Counter[str] = Counter()
    alone = [seed for seed in SAGAS if '"saga":' not in json.dumps(_definition(seed))]

    missed = [_missed(seed, seen) for seed in alone]

    assert [each for several in missed if several for each in several] == []
    assert sum(each is not None for each in missed) > 10
    assert {"completed", "compensated", "failed", "effect-left", "expression-fails"} <= seen.keys()
