"""A server that keeps a run for a second after its end: what a namespace's retention does, without the day."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, UpdateNamespaceRequest
from temporalio.client import Client

from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.lineage import rows_of
from sagadsl.temporal.read.near import kept
from sagadsl.temporal.refusals import SagaNotFound
from tests.conftest import serving
from tests.patience import PATIENCE

LIMITS = ('system.namespaceMinRetentionLocal="1s"', 'history.retentionTimerJitterDuration="1s"')
"""The least is an hour in a local namespace, and a run is deleted up to half an hour late, without these."""

RETENTION = timedelta(seconds=1)
_SOON = 5.0


@contextmanager
def forgetful(folder: Path) -> Iterator[str]:
    """Run such a dev server until the end of the block, and return its address."""
    with serving(folder / "server.log", *LIMITS) as address:
        asyncio.run(keep_a_second(address))
        yield address


async def keep_a_second(address: str) -> None:
    """Give the default namespace that retention, and wait until the server goes by it: a run that ends is soon gone."""
    client = await Client.connect(address)
    config = NamespaceConfig()
    config.workflow_execution_retention_ttl.FromTimedelta(RETENTION)
    request = UpdateNamespaceRequest(namespace=client.namespace, config=config)
    async with asyncio.timeout(PATIENCE):
        await client.workflow_service.update_namespace(request)
        assert await kept(client) == RETENTION
        while True:  # one that ends before all parts of the server have heard of it stays for a day
            probe = await client.start_workflow("probe", id=f"probe-{uuid.uuid4()}", task_queue="nobody")
            await probe.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(_SOON):
                    return await gone(client, probe.id)


async def delete(client: Client, id: str, run_id: str = "") -> None:
    """Have the server delete a run that has ended, the newest without *run_id*, as it does by itself in the end."""
    described = await describe(client, id, run_id=run_id or None)
    assert not described.is_open
    run = WorkflowExecution(workflow_id=id, run_id=described.run_id)
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=run)
    await client.workflow_service.delete_workflow_execution(request)
    await gone(client, id, described.run_id)


async def gone(client: Client, id: str, run_id: str = "") -> None:
    """Wait until neither the server nor its index knows a run that has ended; without *run_id*, any run of this id."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await describe(client, id, run_id=run_id or None)
            except SagaNotFound:
                if not [row for row in await rows_of(client, [id]) if run_id in ("", row.execution.run_id)]:
                    return
            await asyncio.sleep(0.1)
