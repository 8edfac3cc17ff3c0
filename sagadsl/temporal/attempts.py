"""What the server has recorded of a call's attempts: local activities, since a workflow cannot see it.

A workflow sees the last attempt's error, and neither how many there were nor what ended the
others. The answers stand in the run's history, so that later releases may judge otherwise.
Measured on server 1.32:

- The event of a start stands in the history only when the call has ended; it has the number of the last
  attempt, when it began, and the error of the one before.
- An operator's reset, and an unpause, take that error away; after a reset the numbers begin again. So a
  first attempt is known to be the first only when it began as soon as it was scheduled.
"""

from __future__ import annotations

import re
from typing import Any

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.exceptions import ApplicationError

from sagadsl.language.notation.error_types import class_name
from sagadsl.temporal.codec import of_workflow
from sagadsl.temporal.marker import ATTEMPTS_ACTIVITY, TAKEN_ACTIVITY, Recorded
from sagadsl.temporal.read.backwards import newest_first

AT_ONCE_SECONDS = 0.5
"""What a worker takes in less was not taken before: an earlier attempt and an operator need more."""

_EVENTS = 5_000
"""How far back is read."""

INTERRUPTIONS = frozenset(
    {
        # Python and TypeScript
        "WorkerShutdown",
        "ActivityPause",
        "ActivityReset",
        "CancelledFailure",
        "CancelledError",
        # Java
        "ActivityWorkerShutdownException",
        "ActivityPausedException",
        "ActivityResetException",
        "ActivityCanceledException",
        "ActivityNotExistsException",
        "InterruptedException",
    }
)
"""Types of the errors with which a function ends that was stopped, by their last part."""

CANNOT_TRAVEL = frozenset({"payloadSizeError", "PayloadsTooLarge", "DataConverterException", "CodecFailed"})
"""Types of the errors that an SDK reports for a result of a function that has returned."""

UNENCODABLE = (
    "unable to encode",  # Go
    "Unable to convert",  # TypeScript
    "is not JSON serializable",  # Python, as is the rest
    "are not JSON compliant",
    "Circular reference detected",
    "has no known converter",
    "Failed building exception result",  # the same, of an error that could not be encoded either
)
"""Parts of the messages of such errors whose type says nothing."""

_ENCODING = re.compile(
    r"""temporalio[/\\]converter\S*",\ line\ \d+,\ in\ to_payloads?\b  # Python
    | \bencodeToPayload\b  # TypeScript
    | \bio\.temporal\.common\.converter\.\w+\.toPayloads?\(  # Java
    """,
    re.VERBOSE,
)
"""What stands in the stack of such an error, whatever the value's own code has thrown; Go gives no stack."""


def by_the_function(error: BaseException | None) -> bool:
    """Whether the function itself has reported *error*, and nothing that an SDK has made lies behind it."""
    if not isinstance(error, ApplicationError):
        return False
    type_ = class_name(error.type or "")
    stack = error.failure.stack_trace if error.failure is not None else ""
    made_by_an_sdk = (
        type_ in INTERRUPTIONS
        or type_ in CANNOT_TRAVEL
        or any(text in (error.message or "") for text in UNENCODABLE)
        or _ENCODING.search(stack) is not None
    )
    return not made_by_an_sdk and (error.__cause__ is None or by_the_function(error.__cause__))


@activity.defn(name=ATTEMPTS_ACTIVITY)
async def attempts(scheduled_id: int, started_id: int, asked_at: float) -> dict[str, Any]:
    """Return what is recorded of a call of this run that has ended, as JSON of ``Recorded``.

    Args:
        scheduled_id: Of the event of its scheduling, and ``started_id`` of its start, 0 without one.
        asked_at: When the workflow asked for it, as Unix time: somewhat earlier than it was scheduled.
    """
    scheduled = started = closed = None
    run = _run()
    async for event in newest_first(activity.client(), run.workflow_id, run.run_id, most=_EVENTS):
        if event.event_id == scheduled_id:
            scheduled = event
            break
        if event.event_id == started_id:
            started = event
            if _seconds(event) - asked_at < AT_ONCE_SECONDS:
                break
        elif closed is None and _closes(event) == scheduled_id:
            closed = event
    if closed is None:
        return Recorded().as_json()
    since = None if scheduled is None else _seconds(closed) - _seconds(scheduled)
    if started is None:
        return Recorded(since=since).as_json()
    about = started.activity_task_started_event_attributes
    taken_after = _seconds(started) - (asked_at if scheduled is None else _seconds(scheduled))
    first = about.attempt == 1 and not about.HasField("last_failure") and taken_after < AT_ONCE_SECONDS
    alone = first and await _by_the_function(closed)
    return Recorded(about.attempt, alone, _seconds(closed) - _seconds(started), since).as_json()


@activity.defn(name=TAKEN_ACTIVITY)
async def taken(activity_id: str) -> dict[str, Any]:
    """Return ``Recorded`` with 0 attempts when no worker has taken the activity *activity_id* of this run yet."""
    info, client = activity.info(), activity.client()
    described = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(namespace=info.namespace, execution=_run())
    )
    for each in described.pending_activities:
        if each.activity_id == activity_id:
            untouched = (
                each.state != PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
                and each.attempt <= 1
                and not any(each.HasField(name) for name in ("last_failure", "last_started_time", "heartbeat_details"))
                and not each.last_worker_identity
            )
            return Recorded(0 if untouched else None).as_json()
    return Recorded().as_json()


def _run() -> WorkflowExecution:
    info = activity.info()
    return WorkflowExecution(workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or "")


def _closes(event: HistoryEvent) -> int:
    """Return the event of the scheduling of the call that *event* closes; 0 for another one."""
    match event.WhichOneof("attributes"):
        case "activity_task_failed_event_attributes":
            return event.activity_task_failed_event_attributes.scheduled_event_id
        case "activity_task_timed_out_event_attributes":
            return event.activity_task_timed_out_event_attributes.scheduled_event_id
        case _:
            return 0


async def _by_the_function(closed: HistoryEvent) -> bool:
    if not closed.HasField("activity_task_failed_event_attributes"):
        return False
    failure = closed.activity_task_failed_event_attributes.failure
    converter = of_workflow(activity.client(), activity.info().workflow_id or "")
    return by_the_function(await converter.decode_failure(failure))


def _seconds(event: HistoryEvent) -> float:
    return event.event_time.ToNanoseconds() / 1e9
