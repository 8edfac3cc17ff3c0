"""The stored payloads to which the history of a run refers, and who else may refer to the same ones.

A payload is stored once and its reference travels on: what a child saga gave stands in its parent's history, what a
saga has sent in that of the receiver, and what a schedule was given in each of its runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeScheduleRequest
from temporalio.client import Client
from temporalio.converter import StorageDriverClaim
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.immutable import Immutable, field
from sagadsl.temporal.link.storage import references_in
from sagadsl.temporal.read.lineage import rows_asked

Claims = Mapping[tuple[str, str], StorageDriverClaim]
"""References by the name of the storage and the key in it."""

_SCHEDULED_BY = "TemporalScheduledById"


class PayloadsOf(Immutable):
    """Stored payloads of a run.

    Attributes:
        workflows: Ids of other workflows whose histories may refer to some of them.
        schedules: Ids of schedules that may.
    """

    claims: Claims = field(default_factory=dict)
    workflows: frozenset[str] = frozenset()
    schedules: frozenset[str] = frozenset()


async def payloads_of(client: Client, id: str, run_id: str) -> PayloadsOf:
    """Return the stored payloads of a run; none if the server does not know it any more."""
    claims: dict[tuple[str, str], StorageDriverClaim] = {}
    workflows, schedules = set[str](), set[str]()
    try:
        async for event in client.get_workflow_handle(id, run_id=run_id).fetch_history_events():
            found = _claims_in(event)
            claims.update(found)
            began = event.workflow_execution_started_event_attributes
            workflows.add(began.parent_workflow_execution.workflow_id)  # what the run gives, its parent gets
            if not found:
                continue
            workflows.add(event.workflow_execution_signaled_event_attributes.external_workflow_execution.workflow_id)
            sent = event.signal_external_workflow_execution_initiated_event_attributes
            workflows.add(sent.workflow_execution.workflow_id)
            if (by := began.search_attributes.indexed_fields.get(_SCHEDULED_BY)) is not None:
                schedules.add(by.data.decode().strip('"'))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return PayloadsOf(claims, frozenset(workflows - {""}), frozenset(schedules))


def _claims_in(event: HistoryEvent) -> dict[tuple[str, str], StorageDriverClaim]:
    return {(name, str(sorted(claim.claim_data.items()))): claim for name, claim in references_in(event)}


async def of_schedule(client: Client, schedule: str) -> AsyncIterator[tuple[str, str, Claims]]:
    """Yield who refers to payloads that a schedule was given: itself, and its runs, each with its run id."""
    try:
        asked = DescribeScheduleRequest(namespace=client.namespace, schedule_id=schedule)
        answer = await client.workflow_service.describe_schedule(asked, retry=True)
        yield schedule, "", {(name, str(sorted(each.claim_data.items()))): each for name, each in references_in(answer)}
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    quoted = schedule.replace("\\", "\\\\").replace("'", "\\'")
    async for row in rows_asked(client, f"{_SCHEDULED_BY} = '{quoted}'"):
        handle = client.get_workflow_handle(row.execution.workflow_id, run_id=row.execution.run_id)
        try:
            async for event in handle.fetch_history_events(page_size=1):
                yield row.execution.workflow_id, row.execution.run_id, _claims_in(event)
                break
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
