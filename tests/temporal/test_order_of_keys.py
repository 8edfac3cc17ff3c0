"""The order in which a definition writes its keys is that of the run, whichever way the definition comes to it."""

from __future__ import annotations

import asyncio

import pytest

from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import migrating
from tests.conftest import Server
from tests.engine.scenes import act, saga
from tests.temporal.play import Stage, stage

pytestmark = pytest.mark.temporal

BOTH = {"id": "both", "wait_for": {"any": {"stop": {}, "approve": {}}}}
"""Of signals that have come before the wait, the first one here is taken."""
FIRST = {"id": "first", "wait_for": {"signal": "begin"}}
OUTPUT = "{{ steps.both.output.signal }}"
WAITING = saga(FIRST, BOTH, name="waiting", output=OUTPUT)
LATER = saga(FIRST, act("pack"), BOTH, name="waiting", version="2", output=OUTPUT)


async def _decided(made: Stage, started: sagas.Started) -> object:
    for signal in ("approve", "stop", "begin"):
        await sagas.signal(made.client, started.id, signal)
    return (await made.end(started)).output


@pytest.mark.parametrize("way", ["inline", "by name", "migrated", "migrated by name"])
def test_of_several_signals_that_have_come_the_first_of_the_definition_is_taken(server: Server, way: str) -> None:
    """R100."""

    async def scenario() -> None:
        own = [LATER] if "migrated" in way else [WAITING]
        async with stage(server.address, definitions=own) as made:
            if way == "by name":
                started = await sagas.start(made.client, "waiting", None, task_queue=made.queue, by_name=True)
            else:
                started = await made.start(WAITING)
            if "migrated" in way:
                package = await sagas.packed(made.client, LATER, {})
                done = await migrating.migrate(made.client, started.id, package, by_name="by name" in way)
                assert done.outcome == "migrated"
            assert await _decided(made, started) == "stop"

    asyncio.run(scenario())
