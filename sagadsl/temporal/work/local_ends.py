"""Tells whether a local activity that has reported an error can have been begun by another worker before.

Only then its error proves that nothing was done (R5, R130). Measured on server 1.32 with SDK 1.35:

- The first attempt of a workflow task that times out or fails stands in the history as an event of its own; further
  attempts leave nothing. So does the attempt of a task that only an update has caused.
- While a local activity runs for long, its worker completes the workflow task and gets another one at once, with
  nothing between them but what it has answered. A worker that replays the run may count both as one.
- A worker that is told to stop keeps the run until its local activities have ended.
- When nobody fetches a workflow task in time (``SCHEDULE_TO_START``), nobody has begun anything.

What was lost with a workflow task may differ from what its next attempt does, since each attempt runs its local
activities anew. So a lost task puts every later local activity of the run in doubt, not only those that follow at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator

from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, TimeoutType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.immutable import Immutable, replace
from sagadsl.temporal.read.backwards import newest_first
from sagadsl.temporal.run.held import HeldRun
from sagadsl.temporal.wire.inheritance import INHERIT_ACTIVITY

_REMEMBERED = 10_000
_RUNS = 1_000
_EVENTS = 20_000
"""How many events are read at most. Nothing is certain in a run that is longer, if nothing of it was read before."""

_PATIENCE_SECONDS = 5.0

_AT_ONCE = 1_000_000_000
"""Nanoseconds; what one answer of a worker brings about has about one time."""

_ANSWERS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
    }
)

_Key = tuple[str | None, str]


class _Read(Immutable):
    """What was read of a run's history.

    Attributes:
        upto: Number of the last event that was read.
        lost: A workflow task was lost after a worker had begun it, or the run takes up the work of a closed one.
        kept: Number of the first event by which a worker asked for more time; 0 without one.
        before: The run that this one continues; empty if there is none.
        whole: The run has ended, and all of it was read.
    """

    upto: int = 0
    lost: bool = False
    kept: int = 0
    before: str = ""
    whole: bool = False


class LocalEnds:
    """What one worker knows of the local activities that have ended with an error here; it forgets the oldest."""

    def __init__(self) -> None:
        self._clean: OrderedDict[_Key, int] = OrderedDict()
        self._read: OrderedDict[str, _Read] = OrderedDict()

    def is_known_before(self, info: activity.Info) -> bool:
        """Whether each attempt before this one ran here and reported its error. To be asked when the attempt begins."""
        return self._clean.pop(_key(info), 0) == info.attempt - 1

    def ended(self, info: activity.Info) -> None:
        """Note that this attempt and all before it ran here and have reported their errors."""
        self._clean[_key(info)] = info.attempt
        _forget(self._clean, _REMEMBERED)

    async def is_first(self, client: Client, info: activity.Info, held: HeldRun) -> bool:
        """Whether nobody else can have begun the call. False when nobody knows."""
        if held.alone:
            return True
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                read = await self._look(client, info.workflow_id or "", info.workflow_run_id or "")
                # A workflow task that the history does not have can be lost without a trace.
                if read.upto < held.task or read.lost or 0 < read.kept < held.since:
                    return False
                return await self._is_clean_before(client, info.workflow_id or "", read.before)
        except (RPCError, TimeoutError):
            return False

    async def _is_clean_before(self, client: Client, workflow_id: str, run: str) -> bool:
        """Whether nothing was lost in the runs that lead to this one by continue-as-new."""
        while run:
            read = self._read.get(run, _Read())
            if not read.whole:
                read = self._read[run] = replace(await self._look(client, workflow_id, run), whole=True)
            if read.lost or read.kept:
                return False
            run = read.before
        return True

    async def _look(self, client: Client, workflow_id: str, run: str) -> _Read:
        before = self._read.get(run, _Read())
        execution = WorkflowExecution(workflow_id=workflow_id, run_id=run)
        found = [each async for each in _since(client, execution, before.upto)]
        if found and found[-1].event_id > before.upto + 1:  # it is too long
            return _Read(found[0].event_id, lost=True)
        read = self._read[run] = _judged(before, found[::-1])
        self._read.move_to_end(run)
        _forget(self._read, _RUNS)
        return read


async def _since(client: Client, run: WorkflowExecution, number: int) -> AsyncIterator[HistoryEvent]:
    """Yield the events after event *number*, the newest first."""
    async for event in newest_first(client, run.workflow_id, run.run_id, most=_EVENTS):
        if event.event_id <= number:
            return
        yield event


def _judged(before: _Read, events: list[HistoryEvent]) -> _Read:
    """Add *events*, the oldest first, to what was read before.

    The last event that counts as read is the beginning of a workflow task: what follows a completion belongs to it.
    """
    upto, lost, kept, continued = before.upto, before.lost, before.kept, before.before
    completed: HistoryEvent | None = None
    for event in events:
        if completed is not None and not _belongs_to(event, completed):
            kept = kept or (completed.event_id if _follows_at_once(event, completed) else 0)
            completed = None
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED:
                upto = event.event_id
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                completed = event
            case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                lost = True
            case EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
                lost = lost or had_begun(event)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                continued = event.workflow_execution_started_event_attributes.continued_execution_run_id
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                lost = lost or _takes_up(event)
    return _Read(upto, lost, kept, continued)


def had_begun(timed_out: HistoryEvent) -> bool:
    """Whether a worker had begun a workflow task that has timed out."""
    timeout = timed_out.workflow_task_timed_out_event_attributes.timeout_type
    return timeout != TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START


def _belongs_to(event: HistoryEvent, completed: HistoryEvent) -> bool:
    """Whether *event* is what a worker has answered when it completed a workflow task."""
    if event.event_type in _ANSWERS:
        return True
    attributes = getattr(event, event.WhichOneof("attributes") or "", None)
    return bool(getattr(attributes, "workflow_task_completed_event_id", 0) == completed.event_id)


def _follows_at_once(event: HistoryEvent, completed: HistoryEvent) -> bool:
    """Whether a worker may have completed a workflow task while a local activity went on.

    The server then schedules the next task in the same moment, though nothing has happened; unless something has come
    during the task, which stands behind it with its own time.
    """
    gap = event.event_time.ToNanoseconds() - completed.event_time.ToNanoseconds()
    return gap < 0 or (event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED and gap < _AT_ONCE)


def _takes_up(marker: HistoryEvent) -> bool:
    data = marker.marker_recorded_event_attributes.details.get("data")
    return data is not None and any(INHERIT_ACTIVITY.encode() in each.data for each in data.payloads)


def _key(info: activity.Info) -> _Key:
    return info.workflow_run_id, info.activity_id


def _forget(kept: OrderedDict[_Key, int] | OrderedDict[str, _Read], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
