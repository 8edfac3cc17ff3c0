"""Asks the server which workers poll a task queue, and which calls of a run wait for a worker in vain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from temporalio.api.enums.v1 import PendingActivityState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.temporal.read.described import Described

NO_WORKER_SECONDS = 3.0
"""Seconds from which on it is worth a word that nobody takes a task."""

_QUEUES = 5
"""The most queues that are asked for one picture."""

_ACTIVITIES = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


async def described(client: Client, queue: str, number: int) -> DescribeTaskQueueResponse:
    """Return what the server knows of one kind of tasks of a queue."""
    request = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue))
    request.task_queue_type = number  # type: ignore[assignment]
    return await client.workflow_service.describe_task_queue(request)


async def unserved(client: Client, run: Described) -> Mapping[str, str]:
    """Return the calls that wait for a worker although nobody polls their queue: the queue, by id of the activity.

    A call in a queue with workers waits for its turn, so nothing is said of it. The server remembers for minutes that
    a worker has polled.
    """
    waiting = {each.activity_id: queue for each in run.raw.pending_activities if (queue := _waits_in(each))}
    empty: set[str] = set()
    for queue in sorted(set(waiting.values()))[:_QUEUES]:
        try:
            if not (await described(client, queue, _ACTIVITIES)).pollers:
                empty.add(queue)
        except RPCError:  # not allowed, not known, or too many questions: it is a word of advice, and no more
            return {}
    return {call: queue for call, queue in waiting.items() if queue in empty}


def _waits_in(call: PendingActivityInfo) -> str:
    """Return the queue in which a call has waited for a worker for some time; empty when it does not wait there."""
    if call.paused or call.state != PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED:
        return ""
    since = call.next_attempt_schedule_time if call.attempt > 1 else call.scheduled_time
    waited = datetime.now(UTC) - since.ToDatetime(UTC)
    return call.activity_options.task_queue.name if waited.total_seconds() > NO_WORKER_SECONDS else ""
