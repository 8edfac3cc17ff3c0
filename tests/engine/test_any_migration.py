"""Sagas that nobody has thought of migrate to changed ones that nobody has thought of either. R70 to R75."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from sagadsl.engine.facts import OperatorAsked, StartActivity, Verb
from sagadsl.engine.verdict import Judgement
from sagadsl.language.build import build
from sagadsl.trial.invariants import breaches
from sagadsl.virtual.calls import Attempt, Participant
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.engine.any_saga import CHILD, Maker, Seeded
from tests.engine.scenes import ID, operator, signal

SEEDS = 250
"""So many sagas are tried by each part of the test: some seconds."""


def _lists(steps: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield every list of steps."""
    yield steps
    for step in steps:
        handlers = step["on_error"] if isinstance(step.get("on_error"), list) else []
        arms = [arm.get("steps") or arm.get("else") for arm in step.get("switch", ())]
        for inner in (step.get("steps"), step.get("parallel"), *arms, *(each.get("steps") for each in handlers)):
            if isinstance(inner, list):
                yield from _lists(inner)


def _changed(choice: random.Random, definition: dict[str, Any]) -> dict[str, Any]:
    """Return a later version, in which something is new, moved, gone or undone otherwise."""
    newer = copy.deepcopy(definition)
    newer["version"] = "2"
    undo = {"activity": "undo.new", "retry": "none"}
    for number in range(choice.randint(1, 3)):
        steps = choice.choice(list(_lists(newer["steps"])))
        match choice.choice(("insert", "insert", "append", "append", "delete", "swap", "undo", "timeout", "order")):
            case "insert":
                step = {"id": f"n{number}", "activity": "act.one", "retry": "none", "compensation": undo}
                steps.insert(choice.randint(0, len(steps)), step)
            case "append":
                steps.append({"id": f"n{number}", "activity": "act.one", "retry": "none", "compensation": undo})
            case "delete" if len(steps) > 1:
                steps.pop(choice.randrange(len(steps)))
            case "swap" if len(steps) > 1:
                at = choice.randrange(len(steps) - 1)
                steps[at], steps[at + 1] = steps[at + 1], steps[at]
            case "undo":
                for step in steps:
                    step.update({"compensation": undo} if "activity" in step else {})
            case "timeout":
                newer["timeout"] = "15s"
            case _:
                newer["compensation"] = {**newer["compensation"], "order": "parallel"}
    return newer


def participant(choice: random.Random) -> Participant:
    def act(_saga: str, _command: StartActivity, _attempt: int) -> Attempt:
        chance = choice.random()
        if chance < 0.12:
            return Attempt(error="Refused", message="no", retryable=False)
        return Attempt(takes=1e9 if chance < 0.16 else choice.choice((0.1, 1.0, 3.0)), output={"ok": True})

    return act


def _played(seed: int) -> tuple[World, VirtualRun, list[Judgement]]:
    """Play a saga that is asked to migrate after one of its first facts."""
    choice = random.Random(seed)
    definition = Maker(Seeded(choice)).saga()
    old, new = build(definition), build(_changed(choice, definition))
    how = {"replay": choice.random() < 0.3, "drain": choice.random() < 0.3}
    world = World(participant(random.Random(seed)), sagas={"child": build(CHILD)}, **how)
    judged: list[Judgement] = []
    after, seen = choice.randint(1, 9), 0

    def count(saga_id: str) -> None:
        nonlocal seen
        seen += saga_id == ID
        if seen == after and saga_id == ID:
            world.clock.later(0, lambda: judged.append(world.migrate(new)))

    world._after_fact = count  # the hook has to know the world
    run = world.start(old, {"n": choice.randint(0, 3), "items": [1, 2]}, ID)
    world.at(*signal(choice.choice((1.0, 2.0, 5.0)), "go"))
    if choice.random() < 0.3:
        world.cancel_at(choice.choice((1.0, 2.0, 4.0, 8.0)))
    if choice.random() < 0.3:
        world.at(*operator(2.0, Verb.PAUSE))
        world.at(*operator(12.0, Verb.RESUME))
    world.run(500.0)
    for _ in range(6):
        for path in list(run.state.attention):
            verb = choice.choice((Verb.RETRY_STEP, Verb.SKIP_STEP))
            world.tell(ID, OperatorAsked(world.now, verb, path, occurrence=run.state.occurrences.get(path, 1)))
        world.run(world.now - world.begin + 500.0)
    return world, run, judged


@pytest.mark.parametrize("part", range(4))
def test_whatever_migrates_to_whatever_no_law_is_broken_and_nothing_is_left_open(part: int) -> None:
    migrated = refused = 0
    for seed in range(part * SEEDS, (part + 1) * SEEDS):
        world, run, judged = _played(seed)
        migrated += bool(run.state.migrations)
        refused += bool(judged and judged[0].reasons)
        assert list(breaches(run.saga, run.state, run.close, world.events[run.since :], ID)) == [], seed
        assert run.close is not None or run.state.attention or run.state.calls, seed
        if judged and judged[0].reasons:
            assert run.state.migrations == [], seed
    assert migrated > 20
    assert refused > 20
