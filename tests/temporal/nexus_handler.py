"""A worker of somebody else's, with a Nexus service: what a saga calls by ``nexus``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import nexusrpc
from nexusrpc import handler
from temporalio import nexus, workflow
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    DeleteNexusEndpointRequest,
    ListNexusEndpointsRequest,
)
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.patience import PATIENCE


@nexusrpc.service
class Payments:
    charge: nexusrpc.Operation[Any, Any]
    refund: nexusrpc.Operation[Any, Any]
    transfer: nexusrpc.Operation[Any, Any]


@dataclass
class Seen:
    """One time that a handler was asked."""

    operation: str
    input: Any
    headers: dict[str, str]
    request: str

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def call(self) -> str:
        return self.headers["sagadsl-call"]


Act = Callable[["Desk", Seen, int], Awaitable[Any]]
"""What an operation does the nth time that it is asked, counted from 1 by operation."""


@dataclass
class Desk:
    """What handlers have seen, and what they do: ``acts`` by operation; what is not named gives ``ok``."""

    acts: dict[str, Act] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def times(self, operation: str) -> int:
        return sum(each.operation == operation for each in self.seen)

    @property
    def calls(self) -> list[str]:
        return [each.call for each in self.seen]

    async def until(self, operation: str, times: int = 1) -> None:
        """Wait until an operation has been asked so often."""
        async with asyncio.timeout(PATIENCE), self.news:
            await self.news.wait_for(lambda: self.times(operation) >= times)

    async def asked(self, operation: str, given: Any, context: handler.StartOperationContext) -> Any:
        seen = Seen(operation, given, dict(context.headers), context.request_id)
        async with self.news:
            self.seen.append(seen)
            self.news.notify_all()
        act = self.acts.get(operation)
        return "ok" if act is None else await act(self, seen, self.times(operation))


@handler.service_handler(service=Payments)
class Handlers:
    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    @handler.sync_operation
    async def charge(self, context: handler.StartOperationContext, given: Any) -> Any:
        return await self.desk.asked("charge", given, context)

    @handler.sync_operation
    async def refund(self, context: handler.StartOperationContext, given: Any) -> Any:
        return await self.desk.asked("refund", given, context)

    @nexus.workflow_run_operation
    async def transfer(self, context: nexus.WorkflowRunOperationContext, given: Any) -> nexus.WorkflowHandle[Any]:
        await self.desk.asked("transfer", given, context._temporal_context.nexus_context)
        return await context.start_workflow(
            Transfer.run,
            given,
            id=f"transfer-{uuid.uuid4().hex[:12]}",
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )


@workflow.defn(name="transfer-of-somebody-else")
class Transfer:
    """An asynchronous operation: ``given`` says how it ends."""

    @workflow.run
    async def run(self, given: Any) -> Any:
        match given:
            case "refuses":
                raise ApplicationError("no money", type="NoMoney", non_retryable=True)
            case "lasts":
                await workflow.wait_condition(lambda: False)
            case "finishes when it is told to stop":
                with contextlib.suppress(asyncio.CancelledError):
                    await workflow.wait_condition(lambda: False)
                return "done all the same"
        return {"transferred": given}


@contextlib.asynccontextmanager
async def serving(client: Client, desk: Desk, queue: str) -> AsyncIterator[None]:
    """Serve the operations on a queue."""
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[Transfer],
        nexus_service_handlers=[Handlers(desk)],
        workflow_runner=UnsandboxedWorkflowRunner(),
        graceful_shutdown_timeout=timedelta(0),
    )
    async with worker:
        yield


async def create_endpoint(client: Client, name: str, queue: str) -> None:
    """Make an endpoint that leads to a queue of the client's own namespace."""
    target = EndpointTarget(worker=EndpointTarget.Worker(namespace=client.namespace, task_queue=queue))
    spec = EndpointSpec(name=name, target=target)
    await client.operator_service.create_nexus_endpoint(CreateNexusEndpointRequest(spec=spec))


async def delete_endpoint(client: Client, name: str) -> None:
    listed = await client.operator_service.list_nexus_endpoints(ListNexusEndpointsRequest(name=name))
    (found,) = listed.endpoints
    await client.operator_service.delete_nexus_endpoint(DeleteNexusEndpointRequest(id=found.id, version=found.version))


async def _hang(address: str, queue: str) -> None:
    async def asked(_desk: Desk, _seen: Seen, _time: int) -> Any:
        print("asked", flush=True)
        await asyncio.sleep(3600)

    async with serving(await Client.connect(address), Desk({"charge": asked}), queue):
        print("serves", flush=True)
        await asyncio.sleep(3600)


if __name__ == "__main__":  # a handler that begins and never answers, to be killed
    asyncio.run(_hang(*sys.argv[1:]))
