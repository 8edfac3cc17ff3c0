"""Sends a heartbeat and waits for what the server answers: the SDK's own call sends it later, and tells nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import activity
from temporalio.api.workflowservice.v1 import RecordActivityTaskHeartbeatRequest
from temporalio.client import Client

from sagadsl.temporal.link.codec import of_activity


async def record_heartbeat(client: Client, info: activity.Info, details: Sequence[Any]) -> None:
    """Send a heartbeat with these *details*, and wait for the server's answer. Raises ``RPCError``."""
    request = RecordActivityTaskHeartbeatRequest(
        task_token=info.task_token, identity=client.identity, namespace=info.namespace
    )
    if details:
        request.details.payloads.extend(await of_activity(client, info).encode(details))
    await client.workflow_service.record_activity_task_heartbeat(request, retry=True)
