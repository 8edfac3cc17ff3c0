"""A run of each shipped definition migrates at each of its facts: no law of sagas is broken. R70 to R77."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagadsl.engine.facts import StartActivity
from sagadsl.engine.migration import judge
from sagadsl.engine.verdict import Judgement
from sagadsl.language import raw_steps
from sagadsl.language.build import build
from sagadsl.language.document import parse
from sagadsl.trial.invariants import breaches
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World
from tests.engine.scenes import ID, signal

FOLDER = Path(__file__).parents[2] / "definitions"
FILES = sorted(FOLDER.glob("*.saga.yaml"))
INPUTS: dict[str, Any] = {
    "fulfil-order": {
        "order": "o-1",
        "account": "a",
        "shop_account": "s",
        "approval_above": 1,
        "lines": [{"sku": f"s{n}", "quantity": 1, "price": 5} for n in range(3)],
    },
}
FIRST = 25
"""So many facts of each run are tried; later ones are the same again."""


def _newer(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a later version: other compensations, other retries, one more step at the end."""
    newer = copy.deepcopy(definition)
    newer["version"] = "next"
    for step in raw_steps.everywhere(newer):
        undo = step.get("compensation")
        if isinstance(undo, dict) and "activity" in undo:
            undo["activity"] = f"{undo['activity']}_next"
        if "activity" in step:
            step["retry"] = {"maximum_attempts": 2}
    newer["steps"].append({"id": "one_more", "activity": "newer.step", "compensation": "none"})
    return newer


def shipped_world(failing: str) -> World:
    def participant(_saga: str, command: StartActivity, attempt: int) -> Attempt:
        if failing and command.call_id == failing:
            return Attempt(error="Refused", message="no", retryable=False)
        return Attempt(takes=1.0, output={"tracking": "t", "reference": "r", "balance": 1, "ready": True})

    children = [build(parse(path.read_bytes())[0].data) for path in FILES]
    return World(participant, sagas={child.name: child for child in children})


def shipped_cases() -> Iterator[tuple[str, str]]:
    for path in FILES:
        saga = build(parse(path.read_bytes())[0].data)
        last = [each for each in saga.steps if not each.pivot][-1].id
        for failing in ("", last):
            yield path.name.partition(".")[0], failing


@pytest.mark.parametrize(("name", "failing"), list(shipped_cases()))
def test_a_run_migrates_after_each_fact_and_no_law_is_broken(name: str, failing: str) -> None:
    data = parse((FOLDER / f"{name}.saga.yaml").read_bytes())[0].data
    old, new = build(data), build(_newer(data))
    input_ = INPUTS.get(old.name, {"items": [1, 2], "job": "j", "fail": False})
    migrated = refused = 0
    for after in range(1, FIRST):
        world = shipped_world(failing)
        seen = 0

        def count(saga_id: str) -> None:
            nonlocal seen
            seen += saga_id == ID
            if seen == after and saga_id == ID:  # noqa: B023 # each world has its own
                world.clock.later(0, lambda: tried.append(world.migrate(new)))  # noqa: B023

        tried: list[Judgement] = []
        world._after_fact = count  # the hook has to know the world
        run = world.start(old, input_)
        world.at(*signal(20.0, "approval", {"approved": True, "by": "ann"}))
        world.run()
        if not tried:
            break
        migrated += not tried[0].reasons
        refused += bool(tried[0].reasons)
        assert list(breaches(run.saga, run.state, run.close, world.events[run.since :], ID)) == []
        assert run.close is not None
        if run.state.migrations and not failing and run.state.status is not None:
            assert run.saga.digest == new.digest
        for record in run.state.records.values():
            if record.undo is not None and record.undo.definition:
                assert run.saga.former[record.undo.definition].digest == old.digest
    assert migrated
    assert judge(old, World().start(old, input_).state, old).reasons == ()
