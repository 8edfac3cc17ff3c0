"""A run of each shipped definition is killed at each of its facts, and taken up: no law of sagas is broken. R31."""

from __future__ import annotations

import pytest

from sagadsl.engine.facts import How
from sagadsl.engine.redriven import refusal
from sagadsl.language.build import build
from sagadsl.language.document import parse
from sagadsl.trial.draw import draw
from sagadsl.trial.invariants import breaches
from sagadsl.virtual.world import World
from tests.definitions.test_migrated_anywhere import FIRST, FOLDER, INPUTS, shipped_cases, shipped_world
from tests.engine.scenes import ID, signal


def _killed(name: str, failing: str, after: int) -> World | None:
    """Return a world whose run was killed after so many facts; ``None`` if it has no more facts."""
    seen = 0
    world = shipped_world(failing)

    def count(saga_id: str) -> None:
        nonlocal seen
        seen += saga_id == ID
        if seen == after and saga_id == ID and world.runs[ID].close is None:
            world.kill()

    world._after_fact = count
    saga = build(parse((FOLDER / f"{name}.saga.yaml").read_bytes())[0].data)
    world.start(saga, INPUTS.get(saga.name) or draw(saga.input_schema, name="input", full=False))
    world.at(*signal(20.0, "approval", {"approved": True, "by": "ann"}))
    world.run()
    return world if world.runs[ID].killed else None


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize(("name", "failing"), list(shipped_cases()))
def test_a_run_is_killed_after_each_fact_and_taken_up_and_no_law_is_broken(name: str, failing: str, how: How) -> None:
    taken_up = 0
    for after in range(1, FIRST):
        world = _killed(name, failing, after)
        if world is None:
            break
        before = world.runs[ID]
        if refusal(before.saga, before.state, how, killed=True) is not None:
            continue
        run = world.take_up(how)
        world.at(world.now - world.begin + 20.0, signal(0.0, "approval", {"approved": True, "by": "ann"})[1])
        world.run()
        taken_up += 1
        assert list(breaches(run.saga, run.state, run.close, world.events[run.since :], ID)) == [], after
        assert run.close is not None or run.state.attention, after
    assert taken_up
