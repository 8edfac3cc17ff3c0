"""Sagas that nobody has thought of end on a real server as virtual time foresees."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from sagadsl.engine import operator
from sagadsl.engine.facts import OperatorAsked, Verb
from sagadsl.engine.projection import report, status
from sagadsl.language.build import build
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.wire.requests import Asked
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World
from tests.engine.any_saga import CHILD, Maker, Seeded
from tests.engine.scenes import ID, scripted
from tests.temporal.play import ByAnyName, Stage, agreed, playing

pytestmark = pytest.mark.temporal

SEEDS = range(1600)
PLAIN = 40
"""Sagas that need no operator; of the others, all are played."""

LONGEST = 9.0
"""Seconds of virtual time that a saga may take to be played in real time."""

PATIENCE = 4
"""Decisions of an operator."""

VERBS = (Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT)
AT_ONCE = 12
LOST = Attempt(takes=60)
FAULTS = (
    Attempt(error="Refused", message="no", retryable=False),
    Attempt(error="Busy", message="later"),
    Attempt(error="Busy", message="perhaps", clean=False),
    LOST,
    Attempt(output={"ok": False}),
    Attempt(output={"ok": True}),
)


@dataclass(frozen=True)
class _Case:
    definition: Mapping[str, Any]
    script: Mapping[str, list[Attempt]]
    decisions: Sequence[tuple[Verb, str]]
    foreseen: Mapping[str, Any]

    async def decide(self, stage: Stage, started: Started) -> None:
        """Be the operator: decide what waits, as in virtual time."""
        for verb, path in self.decisions:
            await stage.until_status(started, partial(_waits, path))
            await sagas.operate(stage.client, started.id, verb, Asked(path, by="ann", why="drawn"))


def _waits(path: str, status: Mapping[str, Any]) -> bool:
    return any(each["path"] == path for each in status["attention"])


def _seen(status: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both hosts have to agree on."""
    steps = {step["path"]: agreed(step) for step in status["steps"]}
    shown = {key: report[key] for key in ("undone", "not_undone", "not_attempted", "why_not") if key in report}
    return {"status": status["status"], "failure": status["failure"], "others": status["other_errors"], **shown} | steps


def _case(seed: int) -> _Case | None:
    """Return a saga, what its calls do, what an operator decides, and what becomes of it; ``None`` if it takes long."""
    choice = random.Random(seed)
    maker = Maker(Seeded(choice), sequential=True, sends=False)
    definition = maker.saga()
    script = {"act.probe": [Attempt(output=maker.pick(True, False))]}
    for name in (*maker.calls, "act.x", "act.y", "undo.one", "undo.two", "undo.x"):
        if maker.chance(2 if name.startswith("undo.") else 5):
            script[name] = [maker.pick(*FAULTS) for _ in range(choice.randint(1, 2))]
    world = World(scripted(script), sagas={"child": build(CHILD)})
    run = world.start(build(definition), {"n": 2})
    world.run()
    decisions: list[tuple[Verb, str]] = []
    while run.state.attention and len(decisions) < PATIENCE:
        path = next(iter(run.state.attention))
        possible = [verb for verb in VERBS if operator.refusal(run.state, verb, path) is None]
        decisions.append((maker.pick(*possible), path))
        world.tell(ID, OperatorAsked(world.now, decisions[-1][0], path, "ann", "drawn"))
        world.run()
    written = json.dumps(definition)
    if run.close is None or world.now - world.begin > LONGEST or '"missing"' in written:
        return None
    if '"local"' in written and any(LOST in attempts for attempts in script.values()):
        return None  # a worker that ends while a local activity still runs makes the SDK complain
    reported = report(run.saga, run.state) if run.close.failure is not None else {}
    return _Case(definition, script, decisions, _seen(status(run.saga, run.state), reported))


def _cases() -> dict[int, _Case]:
    cases: dict[int, _Case] = {}
    plain = 0
    for seed in SEEDS:
        case = _case(seed)
        if case is not None and (case.decisions or plain < PLAIN):
            plain += not case.decisions
            cases[seed] = case
    return cases


def test_any_saga_that_does_one_thing_at_a_time_ends_as_foreseen(temporal_address: str) -> None:
    """R53: the hosts differ in nothing but time. What runs beside something else may end in another order."""
    cases = _cases()
    room = asyncio.Semaphore(AT_ONCE)
    happened: dict[int, Mapping[str, Any]] = {}

    async def one(seed: int, case: _Case) -> None:
        async with room:
            played = await playing(
                temporal_address,
                case.definition,
                ByAnyName(case.script),
                act=case.decide,
                input_={"n": 2},
                children=[CHILD],
            )
            happened[seed] = _seen(played.status, played.ended.report or {})

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for seed, case in cases.items():
                group.create_task(one(seed, case))

    asyncio.run(all_of_them())

    assert sum(len(case.decisions) for case in cases.values()) > 30
    assert {verb for case in cases.values() for verb, _ in case.decisions} == set(VERBS)
    differences = {
        seed: {
            key: (case.foreseen.get(key), value)
            for key, value in happened[seed].items()
            if case.foreseen.get(key) != value
        }
        for seed, case in cases.items()
        if happened[seed] != case.foreseen
    }
    assert differences == {}
