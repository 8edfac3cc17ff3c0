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
