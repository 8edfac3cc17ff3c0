"""Looks up what the server has recorded of a call's attempts: local activities read what a workflow cannot see.

A workflow sees the error of the last attempt. It does not see how many attempts there were, or how the others
ended. The history keeps what was looked up, so that a later release may judge it differently.
Measured on server 1.32:

- The server writes the start event only when the call has ended. The event has the number and the beginning of
  the last attempt, and the error of the attempt before it.
- Whoever fails a call by its id leaves a name of their own in the event that closes the call.
- An operator's reset or unpause removes that error, and a reset numbers the attempts from 1 again. So an
  attempt 1 is known to be the first only when it began as soon as it was scheduled.
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
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.read.backwards import newest_first
from sagadsl.temporal.wire.marker import ATTEMPTS_ACTIVITY, TAKEN_ACTIVITY, Recorded

AT_ONCE_SECONDS = 0.5
"""When a worker takes a call within this time, there was no attempt before: that, and an operator, need longer."""

_EVENTS = 5_000
"""How many events are read, from the end backwards."""

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
"""Types of the errors with which a stopped function ends; each is the last part of the type's name."""

CANNOT_TRAVEL = frozenset({"payloadSizeError", "PayloadsTooLarge", "DataConverterException", "CodecFailed"})
"""Types of the errors that an SDK reports when it cannot encode the result of a function that has returned."""

UNENCODABLE = (
    "unable to encode",  # Go
    "Unable to convert",  # TypeScript
    "is not JSON serializable",  # Python, as is the rest
    "are not JSON compliant",
    "Circular reference detected",
    "has no known converter",
    "Failed building exception result",  # the same, of an error that could not be encoded either
)
"""Parts of the messages of such errors, where the type does not tell."""

_ENCODING = re.compile(
    r"""temporalio[/\\]converter\S*",\ line\ \d+,\ in\ to_payloads?\b  # Python
    | \bencodeToPayload\b  # TypeScript
    | \bio\.temporal\.common\.converter\.\w+\.toPayloads?\(  # Java
    """,
    re.VERBOSE,
)
"""Names in the stack of such an error, whatever error the value's own code has thrown; Go gives no stack."""


def by_the_function(error: BaseException | None) -> bool:
    """Whether the function itself has reported *error*, and no SDK has made it or any of its causes."""
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
    """Return the record of a call of this run that has ended, as JSON of ``Recorded``.

    Args:
        scheduled_id: Number of the event that scheduled the call.
        started_id: Number of the event that started it; 0 without one.
        asked_at: When the workflow asked for the call, as Unix time: shortly before it was scheduled.
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
    alone = first and about.identity == _reporter(closed) and await _by_the_function(closed)
    began = _seconds(started) if closed.HasField("activity_task_timed_out_event_attributes") else None
    return Recorded(about.attempt, alone, _seconds(closed) - _seconds(started), since, began).as_json()


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
    """Return the number of the event that scheduled the call that *event* closes; 0 if it closes no call."""
    match event.WhichOneof("attributes"):
        case "activity_task_failed_event_attributes":
            return event.activity_task_failed_event_attributes.scheduled_event_id
        case "activity_task_timed_out_event_attributes":
            return event.activity_task_timed_out_event_attributes.scheduled_event_id
        case "nexus_operation_failed_event_attributes":
            return event.nexus_operation_failed_event_attributes.scheduled_event_id
        case _:
            return 0


def _reporter(closed: HistoryEvent) -> str:
    """Return who has reported the error of a call.

    It is the worker that ran the attempt, except when somebody has ended the call by hand (``temporal activity fail``)
    or from outside the worker: then the attempt may still run, or have had its effect.
    """
    return closed.activity_task_failed_event_attributes.identity


async def _by_the_function(closed: HistoryEvent) -> bool:
    if not closed.HasField("activity_task_failed_event_attributes"):
        return False
    failure = closed.activity_task_failed_event_attributes.failure
    converter = of_workflow(activity.client(), activity.info().workflow_id or "")
    return by_the_function(await converter.decode_failure(failure))


def _seconds(event: HistoryEvent) -> float:
    return event.event_time.ToNanoseconds() / 1e9
