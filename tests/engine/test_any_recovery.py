"""Sagas that nobody has thought of are killed after any fact, also twice, and taken up either way. R31."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from sagadsl.engine import redriven
from sagadsl.engine.facts import How, OperatorAsked, Verb
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.trial.invariants import breaches
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.engine.any_saga import CHILD, Maker, Seeded
from tests.engine.scenes import ID, operator, signal
from tests.engine.test_any_migration import participant

SEEDS = 60
"""So many sagas are tried by each part of the test, each killed after every fact: some seconds."""


@cache
def _saga(seed: int) -> tuple[Saga, Any]:
    """Return the saga of a seed, and the state of its choice afterwards."""
    choice = random.Random(seed)
    return build(Maker(Seeded(choice)).saga()), choice.getstate()


@cache
def _child() -> Saga:
    return build(CHILD)


class _Killed:
    """Plays a saga that is killed after some of its facts, and taken up: as asked, or else in the way that is left."""

    def __init__(self, seed: int, kills: Sequence[int] = (), hows: Sequence[How] = ()) -> None:
        self.facts = 0
        self._kills, self._hows = list(kills), list(hows)
        saga, after = _saga(seed)
        self._choice = choice = random.Random()
        choice.setstate(after)
        how = {"replay": choice.random() < 0.3, "drain": choice.random() < 0.3}
        self.world = World(participant(random.Random(seed)), sagas={"child": _child()}, after_fact=self._count, **how)
        self.world.start(saga, {"n": choice.randint(0, 3), "items": [1, 2]}, ID)
        for at in (1.0, 6.0, 15.0, 30.0):
            self.world.at(*signal(at, "go"))
        if choice.random() < 0.3:
            self.world.cancel_at(choice.choice((1.0, 2.0, 4.0, 8.0)))
        if choice.random() < 0.3:
            self.world.at(*operator(2.0, Verb.PAUSE))
            self.world.at(*operator(12.0, Verb.RESUME))
        self._play()

    @property
    def run(self) -> VirtualRun:
        return self.world.runs[ID]

    def _count(self, saga_id: str) -> None:
        self.facts += saga_id == ID
        if saga_id == ID and self._kills and self.facts == self._kills[0] and self.run.close is None:
            self._kills.pop(0)
            self.world.kill()
            self.world.clock.later(self._choice.choice((0.0, 2.0)), self._take_up)

    def _take_up(self) -> None:
        for how in (self._hows.pop(0), How.UNDO, How.FORWARD):
            if redriven.refusal(self.run.saga, self.run.state, how, killed=True) is None:
                self.world.take_up(how)
                return

    def _play(self) -> None:
        """Let it run; somebody decides what waits for a person."""
        self.world.run(500.0)
        for _ in range(8):
            for path in list(self.run.state.attention):
                verb = self._choice.choice((Verb.RETRY_STEP, Verb.SKIP_STEP))
                seen = self.run.state.occurrences.get(path, 1)
                self.world.tell(ID, OperatorAsked(self.world.now, verb, path, occurrence=seen))
            self.world.run(self.world.now - self.world.begin + 500.0)


def _check_all(seed: int) -> int:
    """Kill a saga after each of its facts; return how often it was killed."""
    choice = random.Random(seed)
    facts = _Killed(seed).facts
    for at in range(1, facts):
        for how in How:
            kills = [at] if choice.random() < 0.5 else [at, at + choice.randint(1, 4)]
            hows = [how, choice.choice(list(How))]
            played = _Killed(seed, kills, hows)
            run, said = played.run, (seed, kills, hows)
            assert list(breaches(run.saga, run.state, run.close, played.world.events[run.since :], ID)) == [], said
            assert run.close is not None or run.state.attention or run.state.calls, said
            if run.close is not None and run.close.status.value != "completed":
                assert run.state.failure is not None, said
    return 2 * max(0, facts - 1)


@pytest.mark.parametrize("part", range(4))
def test_wherever_a_saga_is_killed_its_recovery_breaks_no_law(part: int) -> None:
    assert sum(_check_all(seed) for seed in range(part * SEEDS, (part + 1) * SEEDS)) > 200
