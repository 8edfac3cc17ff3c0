"""Yields workflows of the server's index, newest first.

The index itself lists open workflows first, and offers no other order. So this module asks for one slice of
time after the other, each small enough for one answer, and sorts each slice itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client

_PATIENCE = timedelta(seconds=10)
_SLICE = 500
"""Runs that one slice may hold: as many as fit into one answer."""

_FIRST_SPAN = timedelta(hours=1)
_STEP = 4
_SHORTEST_SPAN = timedelta(milliseconds=1)
"""A slice this short is fetched at once, however many workflows it holds."""


async def newest(
    client: Client, conditions: Sequence[str], before: datetime | None = None
) -> AsyncIterator[list[WorkflowExecutionInfo]]:
    """Yield slices of the workflows that meet all *conditions*, the newest first, until there are no more.

    Args:
        before: Leave out workflows that began then or later.
    """
    span, upper = _FIRST_SPAN, before
    while whole := await count(client, within(conditions, None, upper)):
        lower: datetime | None = None
        if whole > _SLICE:
            span = await _fitting(client, conditions, upper, span)
            lower = (upper or datetime.now(UTC)) - span
        slice_ = [each async for each in _fetched(client, within(conditions, lower, upper))]
        yield sorted(slice_, key=lambda each: each.start_time.ToNanoseconds(), reverse=True)
        if lower is None:
            return
        upper = lower


async def _fitting(client: Client, conditions: Sequence[str], upper: datetime | None, span: timedelta) -> timedelta:
    """Return a length of time before *upper* that holds about as many workflows as one slice; try *span* first."""

    async def found(length: timedelta) -> int:
        lower = (upper or datetime.now(UTC)) - length
        return await count(client, within(conditions, lower, upper))

    held = await found(span)
    while held > _SLICE and span > _SHORTEST_SPAN:
        span /= _STEP
        held = await found(span)
    while held < _SLICE // _STEP and await found(span * _STEP) <= _SLICE:
        span *= _STEP
        held = await found(span)
    return span


async def count(client: Client, conditions: Sequence[str]) -> int:
    """Return how many workflows meet all *conditions*."""
    answer = await client.workflow_service.count_workflow_executions(
        CountWorkflowExecutionsRequest(namespace=client.namespace, query=_joined(conditions)),
        retry=True,
        timeout=_PATIENCE,
    )
    return int(answer.count)


async def _fetched(client: Client, conditions: Sequence[str]) -> AsyncIterator[WorkflowExecutionInfo]:
    token = b""
    while True:
        answer = await client.workflow_service.list_workflow_executions(
            ListWorkflowExecutionsRequest(
                namespace=client.namespace, page_size=_SLICE, next_page_token=token, query=_joined(conditions)
            ),
            retry=True,
            timeout=_PATIENCE,
        )
        for each in answer.executions:
            yield each
        token = answer.next_page_token
        if not token:
            return


def within(conditions: Sequence[str], lower: datetime | None, upper: datetime | None) -> list[str]:
    """Return the *conditions*, and further ones: a workflow began at *lower* or later, and before *upper*."""
    bounds = [] if lower is None else [f"StartTime >= '{_spelt(lower)}'"]
    return [*conditions, *bounds, *([] if upper is None else [f"StartTime < '{_spelt(upper)}'"])]


def _spelt(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _joined(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions)
