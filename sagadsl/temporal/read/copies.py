"""Who else keeps what some runs got or gave: the histories of others, and a schedule until its next run.

What describes a schedule tells of no copy: ``findings/temporal-a-schedule-keeps-a-deleted-result.sh``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.errors import SagadslError
from sagadsl.temporal.read.described import asked
from sagadsl.temporal.read.lineage import first_event
from sagadsl.temporal.read.payloads_of import PayloadsOf
from sagadsl.temporal.read.scheduled import runs_begun_by, schedule_asked
from sagadsl.temporal.read.sharers import Sharer, in_namespace
from sagadsl.temporal.refusals import SagaNotFound


async def keepers(client: Client, of: Iterable[PayloadsOf], but: Collection[str]) -> tuple[Sharer, ...]:
    """Return who still keeps such data, except for runs that *but* names.

    Who cannot be asked counts as one that keeps it, so this raises nothing of the server.
    """
    of, found = tuple(of), dict[Sharer, None]()
    for namespace, id, run_id in dict.fromkeys(place for each in of for place in sorted(each.others)):
        if run_id in but:
            continue
        try:
            info = (await asked(in_namespace(client, namespace), id, run_id)).workflow_execution_info
        except SagaNotFound:
            continue
        except (RPCError, SagadslError):
            found[Sharer(id)] = None
            continue
        if info.execution.run_id not in but:
            is_saga = "saga" in info.memo.fields and namespace == client.namespace
            found[Sharer(id, info.type.name if is_saga else "")] = None
    for each in of:
        for schedule in sorted(each.schedules) if each.hands_on.payloads else ():
            try:
                found |= dict.fromkeys(await _handed_on(client, schedule, each, but))
            except (RPCError, SagadslError):
                found[Sharer(schedule, is_schedule=True)] = None
    return tuple(found)


async def _handed_on(client: Client, schedule: str, run: PayloadsOf, but: Collection[str]) -> list[Sharer]:
    """Return the later runs of a schedule that began with the result; before there is one, the schedule has it."""
    later = [each async for each in runs_begun_by(client, schedule) if each.start_time.ToNanoseconds() >= run.until]
    if not later:
        answer = await schedule_asked(client, schedule)
        name = answer.schedule.action.start_workflow.workflow_type.name if answer is not None else ""
        return [] if answer is None else [Sharer(schedule, name, is_schedule=True)]
    found = []
    for row in later:
        if row.execution.run_id not in but:
            event = await first_event(client, row.execution.workflow_id, row.execution.run_id)
            if event.workflow_execution_started_event_attributes.last_completion_result == run.hands_on:
                found.append(Sharer(row.execution.workflow_id, row.type.name))
    return found
