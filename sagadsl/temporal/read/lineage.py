"""Which run has taken up the work of which: runs under one id, as the server knows them. R31, R45.

A run that takes up the work of a closed one, or begins anew after it, names it in its memo. The closed run itself
cannot be changed any more. So whoever looks at the closed run has to look for the later one, here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse, ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.read.described import Described, asked, describe, memo_at_once, memo_of, word
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.runs import result
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.arguments import TAKES_UP

LEFT_SOMETHING = ("failed", "canceled", "terminated", "timed_out")
"""Temporal's words for the ends of runs whose work can be taken up, or that can begin anew."""

_PAGE = 100
_IDS_AT_ONCE = 50
_ASKABLE = re.compile(r"[^'\"\\]+")


async def heir_of(client: Client, described: Described) -> str | None:
    """Return the run that has taken up the work of a closed run, or has begun anew after it; ``None`` without one."""
    if described.status not in LEFT_SOMETHING:
        return None
    newest = await describe(client, described.id)  # the index lags behind, the server itself does not
    if newest.run_id == described.run_id:
        return None
    if newest.memo.get(TAKES_UP) == described.run_id and not await _has_done_nothing(client, newest):
        return newest.run_id
    return (await heirs(client, [described.id])).get(described.run_id)


async def heirs(client: Client, ids: Collection[str]) -> dict[str, str]:
    """Return, as far as the index knows, which run has taken up the work of which closed one under these ids."""
    found: dict[str, str] = {}
    for row in await rows_of(client, ids):
        id_, run_id = row.execution.workflow_id, row.execution.run_id
        before = (await memo_at_once(client, id_, row.memo)).get(TAKES_UP) if TAKES_UP in row.memo.fields else None
        if before is None or before in found:  # a run that goes on in a new one has the same memo
            continue
        if word(row.status) == "failed" and await was_refused(client, id_, run_id):
            continue
        found[str(before)] = run_id
    return found


async def newest_runs(client: Client, ids: Collection[str]) -> dict[str, str]:
    """Return the newest run under each of these ids, as far as the index knows."""
    found: dict[str, str] = {}
    for row in await rows_of(client, ids):
        found[row.execution.workflow_id] = row.execution.run_id
    return found


async def taken_by(client: Client, base: Described, *, but: str) -> str | None:
    """Return any run that has begun under this id after a closed one, and has done something; ``None`` without one.

    Args:
        but: The id of the run that asks.
    """
    began = base.raw.workflow_execution_info.start_time.ToNanoseconds()
    for row in reversed(await rows_of(client, [base.id])):
        run_id = row.execution.run_id
        if run_id in (base.run_id, but) or row.start_time.ToNanoseconds() < began:
            continue
        if word(row.status) == "failed" and await was_refused(client, base.id, run_id):
            continue
        return run_id
    return None


async def was_refused(client: Client, id: str, run_id: str) -> bool:
    """Whether a run has ended before it had begun: it did nothing, and stands for nothing."""
    ended = await result(client, id, run_id=run_id)
    return ended.report is not None and ended.report.get("begun") is False


async def links(client: Client, described: Described) -> dict[str, Any]:
    """Return ``takes_up`` and ``taken_up_by`` of a run, as far as it has them: the runs before it and after it."""
    before, after = described.memo.get(TAKES_UP), await heir_of(client, described)
    return ({"takes_up": before} if before else {}) | ({"taken_up_by": after} if after else {})


async def _has_done_nothing(client: Client, described: Described) -> bool:
    return described.status == "failed" and await was_refused(client, described.id, described.run_id)


async def runs_under(
    client: Client, id: str, but: Collection[str] = ()
) -> AsyncIterator[DescribeWorkflowExecutionResponse]:
    """Yield the runs with an id: those of the index, and those that one of them continues or takes up.

    Args:
        but: Runs that are not looked at, and so lead to no others.
    """
    done = set(but)
    waiting = ["", *(row.execution.run_id for row in await rows_of(client, [id], whatever=True))]
    while waiting:
        run_id = waiting.pop(0)
        if run_id in done:
            continue
        try:
            raw = await asked(client, id, run_id)
        except SagaNotFound:  # the index lags behind, or it is gone
            continue
        info = raw.workflow_execution_info
        if (run_id := info.execution.run_id) in done:
            continue
        done.add(run_id)
        yield raw
        began = (await first_event(client, id, run_id)).workflow_execution_started_event_attributes
        # the memo of somebody else may be one that this process cannot read
        takes_up = (await memo_of(client, id, info.memo)).get(TAKES_UP) if TAKES_UP in info.memo.fields else ""
        waiting += [each for each in (began.continued_execution_run_id, takes_up) if each]


async def first_event(client: Client, id: str, run_id: str) -> HistoryEvent:
    """Return the event with which a run has begun; an empty one if the server does not know the run any more."""
    try:
        async for event in client.get_workflow_handle(id, run_id=run_id).fetch_history_events(page_size=1):
            return event
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return HistoryEvent()


async def rows_of(client: Client, ids: Collection[str], *, whatever: bool = False) -> list[WorkflowExecutionInfo]:
    """Return the runs under some ids as the index knows them, the oldest first. It cannot be asked for an id with a
    quote or a backslash.

    Args:
        whatever: Find those, too: it is asked for all ids that begin alike, perhaps for all that there are.
    """
    askable = sorted({each for each in ids if _is_askable(each)})
    found: list[WorkflowExecutionInfo] = []
    for begin in range(0, len(askable), _IDS_AT_ONCE):
        names = ", ".join(f"'{each}'" for each in askable[begin : begin + _IDS_AT_ONCE])
        found += [row async for row in rows_asked(client, f"WorkflowId IN ({names})")]
    for odd in {each for each in ids if not _is_askable(each)} if whatever else ():
        query = " AND ".join(Chosen(beginning=odd).conditions(ignores_case=False))
        found += [row async for row in rows_asked(client, query) if row.execution.workflow_id == odd]
    return sorted(found, key=lambda row: row.start_time.ToNanoseconds())


def _is_askable(id: str) -> bool:
    return _ASKABLE.fullmatch(id) is not None and id.isprintable()


async def rows_asked(client: Client, query: str) -> AsyncIterator[WorkflowExecutionInfo]:
    """Yield the runs that the index finds by a query."""
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, page_size=_PAGE, query=query)
    while True:
        answer = await client.workflow_service.list_workflow_executions(request, retry=True)
        for row in answer.executions:
            yield row
        if not answer.next_page_token:
            return
        request.next_page_token = answer.next_page_token
