"""Who else keeps what some runs got or gave: the histories of others, and a schedule until its next run.

What describes a schedule tells of no copy: ``findings/temporal-a-schedule-keeps-a-deleted-result.sh``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from temporalio.api.common.v1 import Payload
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.errors import SagadslError
from sagadsl.temporal.read.described import asked, word
from sagadsl.temporal.read.lineage import first_event, runs_under
from sagadsl.temporal.read.payloads_of import PayloadsOf
from sagadsl.temporal.read.scheduled import runs_begun_by, schedule_asked
from sagadsl.temporal.read.sharers import Sharer, in_namespace, sharer_of
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.arguments import TAKES_UP


async def keepers(client: Client, of: Iterable[PayloadsOf], but: Collection[str]) -> tuple[Sharer, ...]:
    """Return who still keeps such data, except for runs that *but* names.

    Who cannot be asked counts as one that keeps it, so this raises nothing of the server.
    """
    of, found = tuple(of), dict[Sharer, None]()
    for namespace, id, run_id in dict.fromkeys(place for each in of for place in sorted(each.others)):
        if run_id in but:
            continue
        try:
            found |= dict.fromkeys(await _kept(in_namespace(client, namespace), id, run_id, but, client.namespace))
        except (RPCError, SagadslError):
            found[Sharer(id)] = None
    for each in of:
        for schedule in sorted(each.schedules) if any(map(_says_something, each.hands_on.payloads)) else ():
            try:
                found |= dict.fromkeys(await _handed_on(client, schedule, each, but))
            except (RPCError, SagadslError):
                found[Sharer(schedule, is_schedule=True)] = None
    return tuple(found)


async def _kept(client: Client, id: str, run_id: str, but: Collection[str], own: str) -> list[Sharer]:
    """Return a workflow if a run that got or gave data is still there, or one that may have gone on from it.

    What went on has the data in its own history; the run before it may be gone, with what says who follows whom.
    """
    try:
        raw = await asked(client, id, run_id)
    except SagaNotFound:
        later = [each async for each in runs_under(client, id, but) if await _goes_on(client, each)] if run_id else []
        if not later:
            return []
        raw = later[0]
    info = raw.workflow_execution_info
    if info.execution.run_id in but:
        return []
    return [sharer_of(info, is_own=client.namespace == own)]


async def _goes_on(client: Client, raw: DescribeWorkflowExecutionResponse) -> bool:
    info = raw.workflow_execution_info
    began = await first_event(client, info.execution.workflow_id, info.execution.run_id)
    is_continued = bool(began.workflow_execution_started_event_attributes.continued_execution_run_id)
    return is_continued or TAKES_UP in info.memo.fields


def _says_something(result: Payload) -> bool:
    """Whether a result is one; of what a codec has encoded nobody knows."""
    return result.metadata.get("encoding") != b"binary/null" and result.data != b"null"


async def _handed_on(client: Client, schedule: str, run: PayloadsOf, but: Collection[str]) -> list[Sharer]:
    """Return the later runs of a schedule that began with the result; before there is one, the schedule has it.

    As soon as a later run has completed, the next ones begin with that one's result.
    """
    later = [each async for each in runs_begun_by(client, schedule) if each.start_time.ToNanoseconds() >= run.until]
    if not later:
        answer = await schedule_asked(client, schedule)
        name = answer.schedule.action.start_workflow.workflow_type.name if answer is not None else ""
        return [] if answer is None else [Sharer(schedule, name, is_schedule=True)]
    ends = [each.close_time.ToNanoseconds() for each in later if word(each.status) == "completed"]
    found = []
    for row in later:
        if row.execution.run_id in but or (ends and row.start_time.ToNanoseconds() > min(ends)):
            continue
        event = await first_event(client, row.execution.workflow_id, row.execution.run_id)
        if event.workflow_execution_started_event_attributes.last_completion_result == run.hands_on:
            found.append(Sharer(row.execution.workflow_id, row.type.name))
    return found
