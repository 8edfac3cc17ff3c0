"""Runs in virtual time and what happens in them, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from sagadsl.engine.facts import Error
from sagadsl.engine.records import Record
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.runs import VirtualRun
from sagadsl.virtual.world import World
from tests.engine.scenes import ID, Script, built, plain, saga, scripted

SILENT = Attempt(takes=inf)
"""It heartbeats, and never ends."""

TWICE = {"maximum_attempts": 2}
CHILD = saga(plain("x", activity="do.inner"), name="child")


def world_of(script: Script | None = None, **how: Any) -> World:
    return World(scripted(script or {}), sagas={"child": built(CHILD)}, **how)


def run_in(world: World, *steps: Mapping[str, Any], crash_at: float | None = None, **top: Any) -> VirtualRun:
    run = world.start(built(saga(*steps, **top)))
    if crash_at is not None:
        world.clock.later(crash_at, world.crash)
    world.run()
    return run


def events_of(world: World, call: str = "a", saga_id: str = ID) -> list[tuple[Any, ...]]:
    """Return what happened to a call: seconds, what, number of the attempt, detail, error."""
    return [
        (round(each.at - world.begin, 3), each.what, each.attempt, each.detail, each.error)
        for each in world.events
        if (each.call, each.saga) == (call, saga_id)
    ]


def record_of(run: VirtualRun) -> Record:
    return run.state.records["a"]


def cause_of(run: VirtualRun) -> Error:
    """Return the error of step `a`."""
    error = record_of(run).error
    assert error is not None
    return error


def how(run: VirtualRun) -> tuple[str, str, int | None]:
    """Return the outcome of step `a`, the message of its error, and its attempts."""
    record = record_of(run)
    return record.outcome.value, "" if record.error is None else record.error.message, record.attempts
