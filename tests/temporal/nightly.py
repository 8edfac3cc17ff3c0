"""A schedule that is paused: a test lets it begin its runs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from temporalio.client import (
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleSpec,
    ScheduleState,
)

from tests.patience import PATIENCE
from tests.temporal.play import Stage


async def scheduled(made: Stage, id: str, saga: str, input_: Any) -> ScheduleHandle:
    action = ScheduleActionStartWorkflow(saga, args=[input_], id=id, task_queue=made.queue)
    return await made.client.create_schedule(id, Schedule(action, ScheduleSpec(), state=ScheduleState(paused=True)))


async def triggered(schedule: ScheduleHandle, number: int) -> str:
    """Let a schedule begin its next run, and return the run's id. All runs of one second would have the same id."""
    now = datetime.now(UTC).replace(microsecond=0)
    while datetime.now(UTC).replace(microsecond=0) == now:
        await asyncio.sleep(0.1)
    await schedule.trigger()
    async with asyncio.timeout(PATIENCE):
        while len(actions := (await schedule.describe()).info.recent_actions) < number:
            await asyncio.sleep(0.1)
    begun = actions[-1].action
    assert isinstance(begun, ScheduleActionExecutionStartWorkflow)
    return begun.workflow_id


async def at_rest(schedule: ScheduleHandle) -> None:
    """Wait until the schedule has heard of the end of its runs, which is some time later."""
    async with asyncio.timeout(PATIENCE):
        while (await schedule.describe()).info.running_actions:
            await asyncio.sleep(0.1)
