"""What the server says of a schedule, and of the runs that it has begun."""

from __future__ import annotations

from collections.abc import AsyncIterator

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeScheduleRequest, DescribeScheduleResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.read.lineage import rows_asked

SCHEDULED_BY = "TemporalScheduledById"


async def runs_begun_by(client: Client, schedule: str) -> AsyncIterator[WorkflowExecutionInfo]:
    """Yield the runs of a schedule that the index knows."""
    quoted = schedule.replace("\\", "\\\\").replace("'", "\\'")
    async for row in rows_asked(client, f"{SCHEDULED_BY} = '{quoted}'"):
        yield row


async def schedule_asked(client: Client, id: str) -> DescribeScheduleResponse | None:
    """Return a schedule as the server has it; nothing if there is none."""
    try:
        request = DescribeScheduleRequest(namespace=client.namespace, schedule_id=id)
        return await client.workflow_service.describe_schedule(request, retry=True)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return None
