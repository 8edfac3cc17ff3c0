"""What the server knows about a run without a worker: when it begins, how far it came, what it is pinned to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import ContinueAsNewInitiator, EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from sagadsl.engine.journal import State
from sagadsl.engine.snapshots import restore
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.read.backwards import newest_first
from sagadsl.temporal.read.described import Described
from sagadsl.temporal.wire.arguments import Package, open_envelope, to_bytes
from sagadsl.temporal.wire.carry import Carry, from_payload
from sagadsl.temporal.wire.definitions import InvalidDefinition
from sagadsl.temporal.wire.inheritance import INHERIT_ACTIVITY, Inheritance

_LOCAL = "core_local_activity"
_DEFINITION = "sagadsl.definition"
_WITH_CARRY = 3
_PAGE = 20
"""Events in one answer: the definition is at the beginning of a history."""

_LOOKED_AT = 200
"""Events at the beginning of a history among which the definition may be."""

_CONTINUED = ContinueAsNewInitiator.CONTINUE_AS_NEW_INITIATOR_WORKFLOW


async def begins_at(client: Client, described: Described) -> datetime | None:
    """Return when a run begins that was started with a delay; ``None`` once it has begun, or something has woken it.

    A saga that continues as new soon after it began has begun: the server lets its new run wait for up to a second.
    """
    info = described.raw.workflow_execution_info
    at = info.execution_time.ToDatetime(UTC) if info.HasField("execution_time") else None
    woken = described.raw.HasField("pending_workflow_task")
    if at is None or at <= datetime.now(UTC) or woken:
        return None
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    async for event in handle.fetch_history_events(page_size=1):
        began = event.workflow_execution_started_event_attributes
        return None if began.initiator == _CONTINUED else at
    return at


async def last_answer(client: Client, described: Described) -> int:
    """Return the number of the event with a worker's last answer for a run; 0 when no worker has ever answered.

    As long as this number is the same, the state of the run is the same.
    """
    async for event in newest_first(client, described.id, described.run_id):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            return event.event_id
    return 0


async def pinned(client: Client, described: Described) -> Package | None:
    """Return the definition that a run is pinned to, read from its history.

    A run that takes up the work of another one has the definition of that one. ``None`` when the history has no
    definition yet, or when what it has is no definition: the worker will say so.
    """
    handle, seen = client.get_workflow_handle(described.id, run_id=described.run_id), 0
    converter = of_workflow(client, described.id)
    async for event in handle.fetch_history_events(page_size=_PAGE):
        seen += 1
        if (raw := await _definition(converter, event)) is not None:
            return _opened(raw)
        if seen == _LOOKED_AT:
            break
    return None


async def pinned_in(events: Sequence[HistoryEvent], converter: DataConverter) -> Package | None:
    """Return the same for a history that is at hand."""
    for event in events[:_LOOKED_AT]:
        if (raw := await _definition(converter, event)) is not None:
            return _opened(raw)
    return None


async def _definition(converter: DataConverter, event: HistoryEvent) -> bytes | None:
    if (left := await _inherited(converter, event)) is not None:
        return left.envelope.encode()
    payload = _envelope(event)
    return None if payload is None else await _json(converter, payload)


async def state_in(event: HistoryEvent, converter: DataConverter) -> State | None:
    """Return the state of another run from which a run goes on, if an event has it."""
    try:
        if (left := await _inherited(converter, event)) is not None:
            return restore(left.state)
        if not event.HasField("workflow_execution_started_event_attributes"):
            return None
        arguments = event.workflow_execution_started_event_attributes.input.payloads
        if len(arguments) < _WITH_CARRY:
            return None
        (value,) = await converter.decode([arguments[_WITH_CARRY - 1]], [RawValue])
        data = from_payload(value.payload) or converter.payload_converter.from_payload(value.payload)
        carry = Carry.from_json(data)
        return None if carry.state is None else restore(carry.state)
    except Exception:  # noqa: BLE001 # as below; or a key that is not here
        return None


async def _inherited(converter: DataConverter, event: HistoryEvent) -> Inheritance | None:
    """Return what a run has taken over from a closed one, if an event has it."""
    payload = _local_result(event, INHERIT_ACTIVITY)
    if payload is None:
        return None
    try:
        return Inheritance.from_json((await converter.decode([payload]))[0])
    except InvalidDefinition:  # of a later release
        return None


def _opened(raw: bytes) -> Package | None:
    try:
        return open_envelope(raw, trusted=True)
    except Exception:  # noqa: BLE001 # whoever may start workflows may send anything, and nobody has looked yet
        return None


def _envelope(event: HistoryEvent) -> Payload | None:
    """Return the definition that an event holds: an argument of the start, or the answer from a worker's folder."""
    if event.HasField("workflow_execution_started_event_attributes"):
        arguments = event.workflow_execution_started_event_attributes.input.payloads
        return arguments[1] if len(arguments) > 1 else None
    return _local_result(event, _DEFINITION)


def _local_result(event: HistoryEvent, name: str) -> Payload | None:
    """Return what a local activity of this name has given, if an event is its end."""
    if not event.HasField("marker_recorded_event_attributes"):
        return None
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != _LOCAL or "result" not in marker.details or "data" not in marker.details:
        return None
    data = json.loads(marker.details["data"].payloads[0].data)
    return marker.details["result"].payloads[0] if data.get("activity_type") == name else None


async def _json(converter: DataConverter, payload: Payload) -> bytes | None:
    """Return an envelope as JSON, decoded with the client's own codec; ``None`` for null."""
    (value,) = await converter.decode([payload], [RawValue])
    assert isinstance(value, RawValue)
    if value.payload.metadata.get("encoding") == b"json/plain":
        return None if value.payload.data == b"null" else value.payload.data
    data: Any = converter.payload_converter.from_payload(value.payload)
    return None if data is None else to_bytes(data)
