"""A run that waits holds nothing of the messages by which it came to wait."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from temporalio.bridge.proto.workflow_activation import InitializeWorkflow, ResolveActivity
from temporalio.bridge.proto.workflow_commands import ScheduleActivity

from sagadsl.temporal.ask import signalling
from sagadsl.temporal.client import Started
from sagadsl.temporal.wire.arguments import open_envelope
from tests.conftest import Server
from tests.engine.scenes import act, saga
from tests.temporal.play import PATIENCE, Stage, play

pytestmark = pytest.mark.temporal

MESSAGES = (InitializeWorkflow, ResolveActivity, ScheduleActivity)


def held(id_: str) -> list[str]:
    """Return the names of the messages in memory that brought a saga its beginning, or began and ended its step."""
    found: list[Any] = [each for each in gc.get_objects() if isinstance(each, MESSAGES)]
    return [type(each).__name__ for each in found if id_ in str(each)]


def test_a_waiting_run_holds_no_message_of_its_past(server: Server) -> None:
    async def look(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: bool(found["waiting_for"]))
        async with asyncio.timeout(PATIENCE):
            while held(started.id):
                gc.collect()
                await asyncio.sleep(0.05)
        await signalling.signal(made.client, started.id, "go")

    definition = saga(act("a", input={"id": "{{ saga.id }}"}), {"id": "go", "wait_for": {"signal": "go"}})
    played = play(server.address, definition, act=look)

    assert (played.ended.status, played.calls[-1]) == ("completed", "a")


def test_a_definition_is_parsed_once_and_not_at_each_replay(server: Server) -> None:
    """The worker keeps no run in memory, so it replays each of them at each of its tasks."""
    definition = saga(act("a"), {"id": "go", "wait_for": {"signal": "go"}}, act("b"), name="parsed-once")
    open_envelope.cache_clear()

    async def more(made: Stage, first: Started) -> None:
        others = [await made.start(definition) for _ in range(4)]
        for started in (first, *others):
            await made.until_status(started, lambda found: bool(found["waiting_for"]))
            await signalling.signal(made.client, started.id, "go")
        assert {(await made.end(started)).status for started in others} == {"completed"}

    played = play(server.address, definition, act=more, max_cached_workflows=0)
    known = open_envelope.cache_info()

    assert played.ended.status == "completed"
    assert known.misses <= 3  # by the client, by the worker when it checks it, and at a replay, which trusts it
    assert known.hits >= 20
