"""Which sagas there are, newest first, as the server's index knows them; that lags a little behind the sagas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from sagadsl.frozen import frozen
from sagadsl.temporal.attributes import SAGA_STATUS, SAGA_VERSION
from sagadsl.temporal.index import registered

_PATIENCE = timedelta(seconds=10)
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
_NOT_INDEXED = ("compensating",)
"""A saga tells the index that it needs somebody, not each of its phases: that would be an event each time."""

STATUSES = tuple(_QUERIES)
"""The words by which ``list`` can choose."""


@frozen
class Listed:
    """One run in a list; ``version`` is empty where the server does not keep it."""

    id: str
    run_id: str
    name: str
    version: str
    status: str
    started_at: datetime
    closed_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return what ``list`` tells programs."""
        closed = None if self.closed_at is None else self.closed_at.isoformat()
        known = {"id": self.id, "run_id": self.run_id, "name": self.name, "version": self.version}
        return {**known, "status": self.status, "started_at": self.started_at.isoformat(), "closed_at": closed}


@frozen
class Page:
    """Some runs, and the token of the page after them; empty after the last one."""

    sagas: tuple[Listed, ...]
    next: bytes


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
    conditions = [name_condition([name])] if name else []
    conditions += [f"({query})"] if query else []
    async for found in client.list_workflows(_joined([*conditions, *_status_conditions(status, tells)])):
        if (listed := await _listed(found, tells)) and status in (None, listed.status):
            yield listed


async def page(
    client: Client, *, conditions: Sequence[str] = (), status: str | None = None, size: int = 50, token: bytes = b""
) -> Page:
    """Return up to *size* runs, and where the next ones begin; a page that has fewer need not be the last.

    Args:
        conditions: In Temporal's list filter, all of which hold; see ``name_condition`` and ``id_condition``.
        status: One of ``STATUSES``.
        token: Of the page before.
    """
    tells = await tells_failures_apart(client)
    query = _joined([*conditions, *_status_conditions(status, tells)])
    pages = client.list_workflows(query, page_size=size, next_page_token=token or None, rpc_timeout=_PATIENCE)
    await pages.fetch_next_page()
    found = [await _listed(each, tells) for each in pages.current_page or ()]
    return Page(tuple(each for each in found if each and status in (None, each.status)), pages.next_page_token or b"")


async def counts(client: Client, conditions: Sequence[str] = ()) -> dict[str, int]:
    """Return how many workflows stand how, by status. The server's index lags, and counts other workflows too."""
    tells = await tells_failures_apart(client)

    async def count(*more: str) -> int:
        return (await client.count_workflows(_joined([*conditions, *more]))).count

    words = [word for word in STATUSES if word not in _NOT_INDEXED and (tells or word not in ("paused", "compensated"))]
    found = await asyncio.gather(*(count(*_status_conditions(word, tells)) for word in words))
    return dict(zip(words, found, strict=True))


def name_condition(names: Sequence[str]) -> str:
    """Return the condition that a saga has one of these names; ``x*`` is any that begins with ``x``."""
    exact = ", ".join(f"'{_quoted(name)}'" for name in names if not name.endswith("*"))
    parts = [f"WorkflowType IN ({exact})"] if exact else []
    parts += [f"WorkflowType STARTS_WITH '{_quoted(name[:-1])}'" for name in names if name.endswith("*")]
    return f"({' OR '.join(parts)})" if parts else "WorkflowType = ''"


def id_condition(beginning: str) -> str:
    """Return the condition that an id begins so."""
    return f"WorkflowId STARTS_WITH '{_quoted(beginning)}'"


async def _listed(found: WorkflowExecution, tells: bool) -> Listed | None:
    """Return a workflow as a saga; ``None`` when it is none."""
    memo = await found.memo()
    if "saga" not in memo:
        return None
    version = str(memo.get("version") or found.typed_search_attributes.get(SAGA_VERSION) or "")
    status = _status(found, tells)
    return Listed(found.id, found.run_id, found.workflow_type, version, status, found.start_time, found.close_time)


def _joined(conditions: Sequence[str]) -> str | None:
    return " AND ".join(conditions) or None


def _status_conditions(status: str | None, tells: bool) -> list[str]:
    """Return what the server can choose by; without the sagas' own status, it chooses too many."""
    if status is None:
        return []
    conditions = [_QUERIES[status]]
    if tells and status in ("paused", "compensating"):
        conditions.append(f"{SAGA_STATUS.name} = '{status}'")
    elif tells and status == "running":
        conditions.append(f"({SAGA_STATUS.name} IS NULL OR {SAGA_STATUS.name} NOT IN ('paused', 'compensating'))")
    elif tells and status == "failed":
        conditions.append(f"{SAGA_STATUS.name} = 'failed'")
    elif tells and status == "compensated":
        conditions.append(f"({SAGA_STATUS.name} IS NULL OR {SAGA_STATUS.name} != 'failed')")
    return conditions


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
