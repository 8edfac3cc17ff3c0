"""Why a run does not go on although it has a worker: the error with which its workflow task fails again and again."""

from __future__ import annotations

from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from sagadsl.temporal.read.backwards import newest_first
from sagadsl.temporal.read.described import Described

_FAILED = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
_OTHER_ENDS = (EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
_NEWEST = 20


async def stuck(client: Client, described: Described) -> dict[str, Any] | None:
    """Return why the newest workflow task of a run has failed, and its next attempt; ``None`` if it has not failed.

    The server records the first failure of a task, and not the following ones. A task that timed out
    does not count: there, the worker has gone.
    """
    attempt = described.raw.pending_workflow_task.attempt
    if attempt < 2:
        return None
    async for event in newest_first(client, described.id, described.run_id, most=_NEWEST):
        if event.event_type == _FAILED:
            message = event.workflow_task_failed_event_attributes.failure.message
            since = event.event_time.ToDatetime().isoformat(timespec="milliseconds") + "Z"
            return {"message": message, "attempt": attempt, "since": since}
        if event.event_type in _OTHER_ENDS:
            return None
    return None
