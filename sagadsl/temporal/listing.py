"""Which sagas there are, newest first, as the server's index knows them; that lags a little behind the sagas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from sagadsl.temporal.attributes import SAGA_STATUS, SAGA_VERSION
from sagadsl.temporal.client import registered

_CLOSED = {
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}
_QUERIES = {
    "running": "ExecutionStatus = 'Running'",
    "paused": "ExecutionStatus = 'Running'",
    "compensating": "ExecutionStatus = 'Running'",
    "completed": "ExecutionStatus = 'Completed'",
    "cancelled": "ExecutionStatus = 'Canceled'",
    "compensated": "ExecutionStatus = 'Failed'",
    "failed": "ExecutionStatus = 'Failed'",
    "terminated": "ExecutionStatus = 'Terminated'",
    "timed_out": "ExecutionStatus = 'TimedOut'",
}
STATUSES = tuple(_QUERIES)
"""The words by which ``list`` can choose."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One run in a list; ``version`` is empty where the server does not keep it."""

    id: str
    run_id: str
    name: str
    version: str
    status: str
    started_at: datetime
    closed_at: datetime | None


async def list_sagas(
    client: Client, *, name: str | None = None, status: str | None = None, query: str | None = None
) -> AsyncIterator[Listed]:
    """Yield runs of sagas; workflows that are no sagas are left out.

    Args:
        name: Of the definition.
        status: One of ``STATUSES``.
        query: A further condition in Temporal's own list filter.
    """
    tells = await tells_failures_apart(client)
    conditions = [f"WorkflowType = '{_quoted(name)}'"] if name else []
    conditions += [_QUERIES[status]] if status else []
    conditions += [f"({query})"] if query else []
    async for found in client.list_workflows(" AND ".join(conditions) or None):
        memo = await found.memo()
        if "saga" not in memo:
            continue
        word = _status(found, tells)
        if status is None or word == status:
            version = str(memo.get("version") or found.typed_search_attributes.get(SAGA_VERSION) or "")
            yield Listed(found.id, found.run_id, found.workflow_type, version, word, found.start_time, found.close_time)


async def tells_failures_apart(client: Client) -> bool:
    """Return whether the server keeps the status of sagas, and not only that of workflows."""
    return SAGA_STATUS.name in await registered(client)


def _status(found: WorkflowExecution, tells: bool) -> str:
    if found.status in _CLOSED:
        return _CLOSED[found.status]
    said = found.typed_search_attributes.get(SAGA_STATUS)
    if said:
        return said
    if found.status is WorkflowExecutionStatus.FAILED:
        return "compensated" if tells else "failed"
    return "running"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
