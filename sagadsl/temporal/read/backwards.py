"""Reads the history of a run backwards: for events near its end, however long the run is."""

from __future__ import annotations

from collections.abc import AsyncIterator

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

_PAGE = 20
_LARGER = 5
"""How many times larger each page is than the one before: an event that is not near the end may be far from it."""

_LARGEST = 500


async def newest_first(client: Client, id: str, run_id: str, *, most: int | None = None) -> AsyncIterator[HistoryEvent]:
    """Yield the events of a run, the newest first, and no more than *most*."""
    token, page, seen = b"", _PAGE, 0
    while True:
        answer = await client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=client.namespace,
                execution=WorkflowExecution(workflow_id=id, run_id=run_id),
                maximum_page_size=page,
                next_page_token=token,
            ),
            retry=True,
        )
        for event in answer.history.events:
            if seen == most:
                return
            seen += 1
            yield event
        token, page = answer.next_page_token, min(page * _LARGER, _LARGEST)
        if not token:
            return
