"""What a run that was reset by hand does not know: what the run that it was made from did after that point.

A reset makes a new run from the beginning of another run's history. What followed there is in the participants'
books, and in the history of that other run, but not in the new run.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from temporalio.api.enums.v1 import WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.language.paths import parse_call
from sagadsl.temporal.read.described import Described
from sagadsl.temporal.read.watching import StepEvent, StepEvents

_RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
_REMEMBERED = 1000


async def reset_of(client: Client, described: Described) -> dict[str, Any] | None:
    """Return from which other run a run was reset, when and why, and what the other run did after that point.

    ``None`` if the run was not reset. ``done`` holds the paths of calls that succeeded there, ``undone`` of steps
    that were undone, ``open`` of calls that had not ended. All three are ``None`` when the server has forgotten the
    other run.
    """
    run_id = described.run_id
    if described.raw.workflow_execution_info.first_run_id in ("", run_id):
        return None
    if run_id not in _KNOWN:
        _KNOWN[run_id] = await _found(client, described.id, run_id)
        if len(_KNOWN) > _REMEMBERED:
            _KNOWN.popitem(last=False)
    return _KNOWN[run_id]


_KNOWN: OrderedDict[str, dict[str, Any] | None] = OrderedDict()
"""By run id: what the other run did does not change any more."""


async def _found(client: Client, id_: str, run_id: str) -> dict[str, Any] | None:
    newest: HistoryEvent | None = None
    async for event in client.get_workflow_handle(id_, run_id=run_id).fetch_history_events():
        if event.HasField("workflow_execution_started_event_attributes"):
            began = event.workflow_execution_started_event_attributes
            if began.original_execution_run_id == run_id:  # continue-as-new
                return None
        elif event.workflow_task_failed_event_attributes.cause == _RESET:
            newest = event
    if newest is None:
        return None
    about = newest.workflow_task_failed_event_attributes
    at = newest.event_time.ToDatetime().isoformat(timespec="milliseconds") + "Z"
    known = {"run_id": about.base_run_id, "at": at, "why": about.failure.message}
    try:
        return known | await _since(client, id_, about.base_run_id, newest.event_id)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return known | {"done": None, "undone": None, "open": None}


async def _since(client: Client, id_: str, run_id: str, event_id: int) -> dict[str, Any]:
    """Return what a run has done from the event with this id on."""
    reader, ends, running = StepEvents(id_), list[StepEvent](), dict[str, None]()
    async for recorded in client.get_workflow_handle(id_, run_id=run_id).fetch_history_events():
        for event in reader.read(recorded):
            if event.what == "started":
                running[event.path] = None
            elif event.ends_call:
                running.pop(event.path, None)
                if recorded.event_id >= event_id and event.what == "completed":
                    ends.append(event)
    undone = [parse_call(each.path).step for each in ends if each.undoes]
    done = [each.path for each in ends if not each.undoes]
    return {"done": done, "undone": list(dict.fromkeys(undone)), "open": list(running)}
