"""Reads the calls of a trial from the server's histories: in their order, with what was sent and how they ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import CanceledFailureInfo, Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.exceptions import ActivityError, RetryState

from sagadsl.engine.facts import Outcome, RetryPlan, StartActivity
from sagadsl.engine.journal import RULES
from sagadsl.immutable import replace
from sagadsl.language.calls import Operation
from sagadsl.language.paths import ROOT, call_of_activity, path_in
from sagadsl.temporal.read.watching import StepEvents, child_call
from sagadsl.temporal.run.failures import KnownEnd, activity_failed
from sagadsl.temporal.run.operation_errors import operation_failed
from sagadsl.temporal.trial.worker import Begun
from sagadsl.temporal.wire.marker import ATTEMPTS_ACTIVITY, MARKER, TAKEN_ACTIVITY, Recorded
from sagadsl.temporal.wire.nexus import call_of_operation
from sagadsl.trial.played import NOTHING, Call

_ENDS = ("completed", "failed", "timed_out", "canceled")
_PREFIX, _SUFFIX = "activity_task_", "_event_attributes"
_OPERATION = "nexus_operation_"
_NOTHING_KNOWN = StartActivity(
    "",
    "",
    (),
    None,
    None,
    None,
    None,
    None,
    RetryPlan(None, timedelta(), 1.0, timedelta(), ()),
    local=False,
    priority=None,
    summary="",
)
"""A command for a Nexus operation: how it ended does not depend on it."""


@dataclass(slots=True)
class _Recorded:
    name: str
    activity: str
    about: Any
    argument: Any
    at: int
    started: int = 0
    outcome: str = ""
    failed: tuple[Failure, Any, float] | None = None
    record: Recorded = field(default_factory=Recorded)


async def calls(
    client: Client,
    root: str,
    began: Sequence[str],
    made: Mapping[str, Begun],
    *,
    ends: Mapping[str, str],
    endpoints: Mapping[str, str],
) -> tuple[Call, ...]:
    """Return the calls of a saga and of its child sagas, in the order in which they were scheduled.

    Args:
        began: The saga's first run, and those that have taken up the work of a run before.
        made: The last attempt of each call that workers have begun. Only the workers know of local activities.
        ends: Outcomes by path, for calls that no history tells about.
        endpoints: The Nexus endpoints of the trial, each with its name in the original.
    """
    recorded: list[_Recorded] = []
    waiting = [(root, run_id, ROOT) for run_id in began]
    while waiting:
        id_, run, around = waiting.pop(0)
        found: dict[int, _Recorded] = {}
        begun: dict[int, str] = {}
        async for event in _events(client, id_, run):
            if event.HasField("start_child_workflow_execution_initiated_event_attributes"):
                about = event.start_child_workflow_execution_initiated_event_attributes
                begun[event.event_id] = path_in(around, child_call(id_, about))
            elif event.HasField("child_workflow_execution_started_event_attributes"):
                started = event.child_workflow_execution_started_event_attributes
                child = started.workflow_execution
                waiting.append((child.workflow_id, child.run_id, begun[started.initiated_event_id]))
            elif event.HasField("workflow_execution_continued_as_new_event_attributes"):
                continued = event.workflow_execution_continued_as_new_event_attributes
                waiting.append((id_, continued.new_execution_run_id, around))
            else:
                await _read(client, around, event, found, endpoints)
        for each in found.values():
            if each.failed is not None:
                each.outcome = await _outcome(client, each, *each.failed)
        recorded += found.values()
    recorded.sort(key=lambda each: each.at)
    first: dict[str, _Recorded] = {}
    for each in recorded:  # a run that takes up the work of another begins calls again
        first[each.name] = each
    return tuple(_all(list(first.values()), made, ends))


async def ended(client: Client, workflow: str, id_: str) -> bool:
    """Whether an activity of a run has ended."""
    reader = StepEvents(workflow)
    async for recorded in client.get_workflow_handle(workflow).fetch_history_events():
        for event in reader.read(recorded):
            if event.path == call_of_activity(id_) and event.ends_call:
                return True
    return False


async def backs_off(client: Client, workflow: str, id_: str, attempt: int) -> bool:
    """Whether the server knows that an attempt of an activity is over, and will try again."""
    described = await client.get_workflow_handle(workflow).describe()
    pending = described.raw_description.pending_activities
    return any(each.activity_id == id_ and each.attempt > attempt for each in pending)


async def _events(client: Client, id_: str, run_id: str) -> AsyncIterator[HistoryEvent]:
    async for event in client.get_workflow_handle(id_, run_id=run_id).fetch_history_events():
        yield event


async def _read(
    client: Client, parent: str, event: HistoryEvent, found: dict[int, _Recorded], endpoints: Mapping[str, str]
) -> None:
    attributes = event.WhichOneof("attributes") or ""
    if attributes.startswith(_OPERATION):
        await _read_operation(client, parent, event, found, endpoints)
        return
    kind = attributes.removeprefix(_PREFIX).removesuffix(_SUFFIX)
    if attributes == "marker_recorded_event_attributes":
        await _look_up(client, event.marker_recorded_event_attributes, found)
    if not attributes.startswith(_PREFIX):
        return
    about = getattr(event, attributes)
    at = event.event_time.ToNanoseconds()
    if kind == "scheduled":
        argument, name = await _argument(client, about.input.payloads), about.activity_type.name
        path = path_in(parent, call_of_activity(about.activity_id))
        found[event.event_id] = _Recorded(path, name, about, argument, at)
    elif kind == "started":
        found[about.scheduled_event_id].started = event.event_id
    elif kind in _ENDS:
        each = found[about.scheduled_event_id]
        failure = None
        if kind == "canceled":
            failure = Failure(canceled_failure_info=CanceledFailureInfo())
        elif kind != "completed":
            failure = about.failure
        if failure is None:
            each.outcome = Outcome.SUCCEEDED.value
        else:
            each.failed = failure, about, (at - each.at) / 1e9


async def _read_operation(
    client: Client, parent: str, event: HistoryEvent, found: dict[int, _Recorded], endpoints: Mapping[str, str]
) -> None:
    attributes = event.WhichOneof("attributes") or ""
    kind = attributes.removeprefix(_OPERATION).removesuffix(_SUFFIX)
    about, at = getattr(event, attributes), event.event_time.ToNanoseconds()
    if kind == "scheduled":
        operation = Operation(endpoints.get(about.endpoint, about.endpoint), about.service, about.operation)
        name = path_in(parent, call_of_operation(about.nexus_header, about.operation))
        argument = await _argument(client, [about.input])
        found[event.event_id] = _Recorded(name, str(operation), about, argument, at)
    elif kind == "completed":
        found[about.scheduled_event_id].outcome = Outcome.SUCCEEDED.value
    elif kind in _ENDS:
        each = found[about.scheduled_event_id]
        error = await client.data_converter.decode_failure(about.failure)
        known = KnownEnd(RULES, (at - each.at) / 1e9)
        command = replace(_NOTHING_KNOWN, call_id=each.name, activity=each.activity)
        each.outcome = operation_failed(command, error, 0.0, known).outcome.value


async def _look_up(client: Client, marker: Any, found: Mapping[int, _Recorded]) -> None:
    """Take in what the workflow has looked up about a call."""
    data = json.loads(marker.details["data"].payloads[0].data) if "data" in marker.details else {}
    if data.get("activity_type") not in (ATTEMPTS_ACTIVITY, TAKEN_ACTIVITY) or "result" not in marker.details:
        return
    call_id = data["activity_id"].removesuffix(data["activity_type"].removeprefix(MARKER))
    (record,) = await client.data_converter.decode(marker.details["result"].payloads)
    for each in found.values():
        if call_of_activity(getattr(each.about, "activity_id", "")) == call_id:
            each.record = Recorded.from_json(record)


async def _argument(client: Client, sent: Sequence[Payload]) -> Any:
    values = await client.data_converter.decode(sent)
    return values[0] if values else NOTHING


async def _outcome(client: Client, call: _Recorded, failure: Failure, about: Any, took: float) -> str:
    """Return the outcome of a call that did not succeed, as the workflow has seen it."""
    scheduled = call.about
    error = ActivityError(
        "",
        scheduled_event_id=about.scheduled_event_id,
        started_event_id=call.started,
        identity="",
        activity_type=scheduled.activity_type.name,
        activity_id=scheduled.activity_id,
        retry_state=RetryState(about.retry_state) if getattr(about, "retry_state", 0) else None,
    )
    error.__cause__ = await client.data_converter.decode_failure(failure)
    return activity_failed(_command(scheduled), error, 0.0, KnownEnd(RULES, took, call.record)).outcome.value


def _command(scheduled: Any) -> StartActivity:
    retry = scheduled.retry_policy
    plan = RetryPlan(
        retry.maximum_attempts or None,
        retry.initial_interval.ToTimedelta(),
        retry.backoff_coefficient,
        retry.maximum_interval.ToTimedelta(),
        tuple(retry.non_retryable_error_types),
    )

    def limit(name: str) -> timedelta | None:
        return getattr(scheduled, f"{name}_timeout").ToTimedelta() or None

    return StartActivity(
        scheduled.activity_id,
        scheduled.activity_type.name,
        (),
        scheduled.task_queue.name,
        limit("start_to_close"),
        limit("schedule_to_close"),
        limit("schedule_to_start"),
        limit("heartbeat"),
        plan,
        local=False,
        priority=None,
        summary="",
    )


def _all(recorded: list[_Recorded], made: Mapping[str, Begun], ends: Mapping[str, str]) -> Iterator[Call]:
    """Yield the calls that are recorded; put each call that is not after the call that began before it."""
    known = {each.name for each in recorded}
    local: dict[str, list[Begun]] = {}
    before = ""
    for name, begun in made.items():
        if name in known:
            before = name
        else:
            local.setdefault(before, []).append(begun)
    yield from (_local(begun, ends) for begun in local.get("", ()))
    for each in recorded:
        attempts = made[each.name].attempt if each.name in made else 0
        yield Call(each.name, each.activity, each.argument, attempts, each.outcome)
        yield from (_local(begun, ends) for begun in local.get(each.name, ()))


def _local(begun: Begun, ends: Mapping[str, str]) -> Call:
    argument = begun.argument[0] if begun.argument else NOTHING
    return Call(begun.name, begun.activity, argument, begun.attempt, ends.get(begun.name, ""))
