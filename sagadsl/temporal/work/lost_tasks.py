"""Reads in the history which news a worker had heard that has lost a workflow task."""

from __future__ import annotations

from collections import Counter

from temporalio import activity
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

from sagadsl.temporal.read.backwards import newest_first
from sagadsl.temporal.wire.lost_tasks import LOST_ACTIVITY, CameLater, News, to_json
from sagadsl.temporal.work.local_ends import had_begun

_EVENTS = 20_000
"""How many events are read at most; nobody knows of a task that was lost before them."""

_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW

_KINDS = {
    News.SIGNAL: ("WORKFLOW_EXECUTION_SIGNALED",),
    News.CANCEL: ("WORKFLOW_EXECUTION_CANCEL_REQUESTED",),
    News.TIMER: ("TIMER_FIRED",),
    News.ACTIVITY: (
        "ACTIVITY_TASK_COMPLETED",
        "ACTIVITY_TASK_FAILED",
        "ACTIVITY_TASK_TIMED_OUT",
        "ACTIVITY_TASK_CANCELED",
    ),
    News.CHILD_STARTED: ("CHILD_WORKFLOW_EXECUTION_STARTED", "START_CHILD_WORKFLOW_EXECUTION_FAILED"),
    News.CHILD: (
        "CHILD_WORKFLOW_EXECUTION_COMPLETED",
        "CHILD_WORKFLOW_EXECUTION_FAILED",
        "CHILD_WORKFLOW_EXECUTION_CANCELED",
        "CHILD_WORKFLOW_EXECUTION_TIMED_OUT",
        "CHILD_WORKFLOW_EXECUTION_TERMINATED",
    ),
    News.SENT: ("EXTERNAL_WORKFLOW_EXECUTION_SIGNALED", "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED"),
    News.CANCELLED_OTHER: (
        "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED",
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
    ),
    News.OPERATION_STARTED: ("NEXUS_OPERATION_STARTED",),
    News.OPERATION: (
        "NEXUS_OPERATION_COMPLETED",
        "NEXUS_OPERATION_FAILED",
        "NEXUS_OPERATION_CANCELED",
        "NEXUS_OPERATION_TIMED_OUT",
    ),
}
_KIND_OF = {EventType.Value(f"EVENT_TYPE_{name}"): kind for kind, names in _KINDS.items() for name in names}


@activity.defn(name=LOST_ACTIVITY)
async def lost(since: int, upto: int) -> list[dict[str, int]] | None:
    """Tell what the workers that lost workflow tasks of this run cannot have heard.

    Args:
        since, upto: Numbers of the events by which the workflow task before and the present one began; 0 if it is
            the first.

    Returns:
        See ``wire.lost_tasks``; ``None`` if the history is too long to tell.
    """
    info = activity.info()
    later: list[HistoryEvent] = []
    found: list[CameLater] = []
    client = activity.client()
    seen = 0
    was_lost = False
    async for event in newest_first(client, info.workflow_id or "", info.workflow_run_id or "", most=_EVENTS):
        if event.event_id <= since:
            return to_json(found[::-1])
        seen = event.event_id
        if event.event_id >= upto:
            continue
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
            if was_lost:
                found.append(CameLater(_counted(later)))
            was_lost = False
        elif _ends_a_lost_task(event):
            was_lost = True
        later.append(event)
    return to_json(found[::-1]) if seen == 1 else None


def _ends_a_lost_task(event: HistoryEvent) -> bool:
    """Whether a workflow task that a worker had begun is over, and what it did is not recorded."""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:  # a reset begins anew, and nothing was lost
        return event.workflow_task_failed_event_attributes.cause != _RESET
    return event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT and had_begun(event)


def _counted(events: list[HistoryEvent]) -> Counter[News]:
    return Counter(_KIND_OF[each.event_type] for each in events if each.event_type in _KIND_OF)
