"""Sagas that a schedule of Temporal's starts, and how its runs come by their ids (docs/deployment.md)."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    ScheduleSpec,
    ScheduleState,
)

from sagadsl.temporal.read import runs
from tests.conftest import Server
from tests.engine.scenes import act, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Stage, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


async def scheduled(client: Client, queue: str, name: str, every: timedelta) -> ScheduleHandle:
    """Return a schedule of the saga `nightly` that begins nothing by itself."""
    action = ScheduleActionStartWorkflow("nightly", args=[{"who": "ann"}], id=name, task_queue=queue)
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)])
    return await client.create_schedule(name, Schedule(action, spec, state=ScheduleState(paused=True)))


async def ended(played: Stage, name: str, number: int) -> list[tuple[str, str]]:
    """Return id and status of the runs of a schedule, once that many have ended."""
    async with asyncio.timeout(PATIENCE):
        while True:
            query = f'WorkflowId STARTS_WITH "{name}" AND ExecutionStatus = "Completed"'
            found = [(run.id, run.run_id) async for run in played.client.list_workflows(query)]
            if len(found) == number:
                return [(id_, (await runs.result(played.client, id_)).status) for id_, _ in sorted(found)]
            await asyncio.sleep(0.1)


def filled_in(server: Server, times: int) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """Fill in an hour of a schedule that is due each half hour, and return its runs and the keys of their calls."""
    name = f"nightly-{uuid.uuid4().hex[:8]}"
    definition = saga(act("a"), name="nightly")

    async def scenario() -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
        async with stage(server.address, definitions=[definition]) as played:
            schedule = await scheduled(played.client, played.queue, name, timedelta(minutes=30))
            range_: dict[str, Any] = {"start_at": FIRST, "end_at": FIRST + timedelta(minutes=30)}
            for time in range(1, times + 1):
                await schedule.backfill(ScheduleBackfill(**range_, overlap=ScheduleOverlapPolicy.ALLOW_ALL))
                runs = await ended(played, name, 2 * time)
            await schedule.delete()
            return runs, played.keys

    return asyncio.run(scenario())


def test_a_schedule_starts_a_saga_by_its_name_with_the_time_in_its_id(server: Server) -> None:
    """R49: each time has keys of its own."""
    runs, keys = filled_in(server, 1)
    ids = [id_ for id_, _ in runs]
    assert [id_.split("-", 2)[2] for id_ in ids] == ["2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"]
    assert {status for _, status in runs} == {"completed"}
    assert sorted(keys["a"]) == [f"{id_}/a/do" for id_ in ids]


def test_the_same_range_filled_in_twice_runs_twice_under_the_same_keys(server: Server) -> None:
    """R49, and what docs/deployment.md warns of: the second run of an id calls under the keys of the first."""
    runs, keys = filled_in(server, 2)
    assert len(runs) == 4
    assert len({id_ for id_, _ in runs}) == 2
    assert sorted(keys["a"]) == [f"{id_}/a/do" for id_, _ in runs]
