"""The sagas above a child saga: its parent, the parent of this one, and so on."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client

from sagadsl.temporal.read.described import OPEN, asked, word
from sagadsl.temporal.refusals import SagaNotFound

Above = tuple[tuple[str, str], ...]
"""Ids of workflows, each with one of its runs; an empty text means the newest one."""


def above_of(info: WorkflowExecutionInfo) -> Above:
    """Return what a run names as its parent and as the workflow at the very top, and the newest runs of both.

    A parent goes on in its newest run. The one at the top is found even if the server knows nothing any more of
    those between.
    """
    if not info.parent_execution.workflow_id:
        return ()
    named = (info.parent_execution, info.root_execution)
    return tuple((each.workflow_id, run_id) for each in named if each.workflow_id for run_id in (each.run_id, ""))


async def open_above(client: Client, above: Iterable[tuple[str, str]], besides: Collection[str]) -> str:
    """Return the id of an open workflow among some, or above them; empty if there is none.

    Args:
        besides: Runs that do not count.
    """
    waiting = list(above)
    seen: set[tuple[str, str]] = set()
    while waiting:
        each = waiting.pop(0)
        if each in seen:
            continue
        seen.add(each)
        try:
            info = (await asked(client, *each)).workflow_execution_info
        except SagaNotFound:
            continue
        if word(info.status) in OPEN and info.execution.run_id not in besides:
            return each[0]
        waiting += above_of(info)
    return ""
