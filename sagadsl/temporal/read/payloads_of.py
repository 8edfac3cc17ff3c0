"""The stored payloads to which the history of a run refers, and who else has got or given the same data.

A payload is stored once and its reference travels on: what a child saga gave stands in its parent's history, what a
saga has sent in that of the receiver, what a schedule was given in each of its runs, the result of one of these in the
beginning of the next one, and what a Nexus operation gave in the histories of both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf.message import Message
from temporalio.api.common.v1 import Link, Payloads, WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.converter import StorageDriverClaim
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.immutable import Immutable, field
from sagadsl.temporal.link.storage import references_in
from sagadsl.temporal.read.scheduled import SCHEDULED_BY

Claims = Mapping[tuple[str, str], StorageDriverClaim]
"""References by the name of the storage and the key in it."""


class PayloadsOf(Immutable):
    """Stored payloads of a run, and who else has got or given its data.

    Attributes:
        hands_on: That with which the next run of its schedule begins: its result, or that of the run before it.
        workflows: Namespaces and ids of other workflows whose histories may refer to some of them.
        others: Namespaces, ids and runs of all that got or gave data, stored or not. A run may be empty.
        schedules: Ids of schedules that may refer to them, and that keep what the run hands on.
        until: When its last event was, in nanoseconds.
    """

    claims: Claims = field(default_factory=dict)
    hands_on: Payloads = field(default_factory=Payloads)
    workflows: frozenset[tuple[str, str]] = frozenset()
    others: frozenset[tuple[str, str, str]] = frozenset()
    schedules: frozenset[str] = frozenset()
    until: int = 0


async def payloads_of(client: Client, id: str, run_id: str) -> PayloadsOf:
    """Return the stored payloads of a run; none if the server does not know it any more."""
    claims: dict[tuple[str, str], StorageDriverClaim] = {}
    hands_on = Payloads()
    workflows, others, schedules = set[tuple[str, str]](), set[tuple[str, str, str]](), set[str]()
    until = 0
    try:
        async for event in client.get_workflow_handle(id, run_id=run_id).fetch_history_events():
            claims.update(claims_in(event))
            until = event.event_time.ToNanoseconds()
            for namespace, execution, refers in _named_in(event):
                if not execution.workflow_id:
                    continue
                place = (namespace or client.namespace, execution.workflow_id)
                others.add((*place, execution.run_id))
                if refers:
                    workflows.add(place)
            if event.HasField("workflow_execution_started_event_attributes"):
                began = event.workflow_execution_started_event_attributes
                hands_on = began.last_completion_result
                if (by := began.search_attributes.indexed_fields.get(SCHEDULED_BY)) is not None:
                    schedules.add(by.data.decode().strip('"'))
            if event.HasField("workflow_execution_completed_event_attributes"):
                hands_on = event.workflow_execution_completed_event_attributes.result
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return PayloadsOf(claims, hands_on, frozenset(workflows), frozenset(others), frozenset(schedules), until)


def claims_in(message: Message) -> dict[tuple[str, str], StorageDriverClaim]:
    """Return the references in a message of the server."""
    return {(name, str(sorted(claim.claim_data.items()))): claim for name, claim in references_in(message)}


def _named_in(event: HistoryEvent) -> Iterator[tuple[str, WorkflowExecution, bool]]:
    """Yield who gave or got what an event has, with a namespace; and whether it may refer to what is stored.

    The run's own namespace may be empty, and so is the id of nobody.
    """
    began = event.workflow_execution_started_event_attributes
    yield began.parent_workflow_namespace, began.parent_workflow_execution, True  # what the run gives, it gets
    refers = any(True for _ in references_in(event))
    came = event.workflow_execution_signaled_event_attributes
    sent = event.signal_external_workflow_execution_initiated_event_attributes
    if came.input.payloads:
        yield "", came.external_workflow_execution, refers
    if sent.input.payloads:
        yield sent.namespace, sent.workflow_execution, refers
    changed = event.workflow_execution_options_updated_event_attributes
    links: list[Link] = list(event.links)  # both sides of a Nexus operation name each other so
    for callback in (*began.completion_callbacks, *changed.attached_completion_callbacks):
        links += callback.links
    for link in links:
        of = link.workflow_event
        yield of.namespace, WorkflowExecution(workflow_id=of.workflow_id, run_id=of.run_id), True
