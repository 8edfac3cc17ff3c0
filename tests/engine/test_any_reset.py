"""Sagas that nobody has thought of go back to some step of theirs at some moment, again and again. R80, R81."""

from __future__ import annotations

import random

import pytest

from sagadsl.engine import redriven
from sagadsl.engine.facts import How, OperatorAsked, Verb
from sagadsl.engine.operator import refusal
from sagadsl.language.build import build
from sagadsl.trial.invariants import breaches
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.engine.any_saga import CHILD, Maker, Seeded
from tests.engine.scenes import ID, operator, signal
from tests.engine.test_any_migration import SEEDS, participant


def _played(seed: int) -> tuple[World, VirtualRun]:
    choice = random.Random(seed)
    definition = Maker(Seeded(choice)).saga()
    how = {"replay": choice.random() < 0.3, "drain": choice.random() < 0.3}
    world = World(participant(random.Random(seed)), sagas={"child": build(CHILD)}, **how)
    moments, seen = {choice.randint(1, 12) for _ in range(choice.randint(1, 3))}, 0

    def ask() -> None:
        run = world.runs[ID]
        may = [path for path in run.state.records if refusal(run.state, Verb.RESET, path, saga=run.saga) is None]
        if may:
            world.tell(ID, OperatorAsked(world.now, Verb.RESET, choice.choice(may)))

    def count(saga_id: str) -> None:
        nonlocal seen
        seen += saga_id == ID
        if saga_id == ID and seen in moments:
            world.clock.later(0, ask)

    world._after_fact = count  # the hook has to know the world
    run = world.start(build(definition), {"n": choice.randint(0, 3), "items": [1, 2]}, ID)
    for at in (1.0, 6.0, 15.0, 30.0):
        world.at(*signal(at, "go"))
    if choice.random() < 0.3:
        world.cancel_at(choice.choice((1.0, 2.0, 4.0, 8.0)))
    if choice.random() < 0.3:
        world.at(*operator(2.0, Verb.PAUSE))
        world.at(*operator(12.0, Verb.RESUME))
    if choice.random() < 0.5:
        world.clock.later(choice.choice((0.5, 1.2, 2.2, 3.3, 5.0, 7.0)), lambda: _kill(world, choice))
    world.run(500.0)
    run = world.runs[ID]
    for _ in range(6):
        for path in list(run.state.attention):
            verb = choice.choice((Verb.RETRY_STEP, Verb.SKIP_STEP))
            world.tell(ID, OperatorAsked(world.now, verb, path, occurrence=run.state.occurrences.get(path, 1)))
        world.run(world.now - world.begin + 500.0)
    return world, run


def _kill(world: World, choice: random.Random) -> None:
    """End the run as a server does, and recover it, if that makes sense."""
    run, how = world.runs[ID], choice.choice(list(How))
    if run.close is None and redriven.refusal(run.saga, run.state, how, killed=True) is None:
        world.kill(ID)
        world.clock.later(choice.choice((0.0, 2.0)), lambda: world.take_up(how, ID))


@pytest.mark.parametrize("part", range(4))
def test_wherever_a_saga_goes_back_no_law_is_broken_and_it_says_why_it_failed(part: int) -> None:
    back = 0
    for seed in range(part * SEEDS, (part + 1) * SEEDS):
        world, run = _played(seed)
        back += any(event.what == "went_back" for event in world.events)
        assert list(breaches(run.saga, run.state, run.close, world.events[run.since :], ID)) == [], seed
        assert run.close is not None or run.state.attention or run.state.calls, seed
        if run.close is not None and run.close.status.value != "completed":
            assert run.state.failure is not None, seed
    assert back > 20
