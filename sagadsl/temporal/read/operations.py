"""The Nexus operations of a run that are under way, as the server describes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from temporalio.api.enums.v1 import PendingNexusOperationState as State
from temporalio.client import Client

from sagadsl.language.paths import call_of_activity
from sagadsl.status.lines import PendingAttempt
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.read.backwards import newest_first
from sagadsl.temporal.read.described import Described
from sagadsl.temporal.read.readable import read
from sagadsl.temporal.read.recorded_errors import error_in
from sagadsl.temporal.wire.nexus import call_of_operation

_EVENTS = 5_000
"""How many events are read for the operations' calls, from the end backwards."""


async def pending_operations(client: Client, described: Described) -> Mapping[str, PendingAttempt]:
    """Return what the server knows of each operation, by call: how often it was tried, and what keeps it back."""
    pending = {each.scheduled_event_id: each for each in described.raw.pending_nexus_operations}
    found: dict[str, PendingAttempt] = {}
    if not pending:
        return found
    async for event in newest_first(client, described.id, described.run_id, most=_EVENTS):
        each = pending.pop(event.event_id, None)
        if each is not None:
            about = event.nexus_operation_scheduled_event_attributes
            call = call_of_activity(call_of_operation(about.nexus_header, about.operation))
            found[call] = await _attempt(client, described, each)
        if not pending:
            break
    return found


async def _attempt(client: Client, described: Described, each: Any) -> PendingAttempt:
    await read(of_workflow(client, described.id), each.last_attempt_failure)
    error = error_in(each.last_attempt_failure) if each.HasField("last_attempt_failure") else None
    failure = f"{error[0]}: {error[1]}" if error else ""
    if each.state == State.PENDING_NEXUS_OPERATION_STATE_BLOCKED:
        failure = f"held back by the server: {each.blocked_reason}" + (f"; {failure}" if failure else "")
    waits = each.state == State.PENDING_NEXUS_OPERATION_STATE_BACKING_OFF
    return PendingAttempt(
        max(each.attempt + waits, 1),
        failure=failure,
        next_at=each.next_attempt_schedule_time.ToDatetime(UTC) if waits else None,
    )
