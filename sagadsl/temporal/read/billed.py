"""Counts the actions that Temporal Cloud bills for a run, from its history.

By the rules that Temporal publishes (https://docs.temporal.io/evaluate/cloud/actions, read in November 2026). They
also name what no history has: queries, heartbeats, refused updates, changes of a schedule itself, exports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

_ONE_EACH = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "activities",
    EventType.EVENT_TYPE_TIMER_STARTED: "timers",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: "updates",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_OPTIONS_UPDATED: "changed options",
    EventType.EVENT_TYPE_NEXUS_OPERATION_SCHEDULED: "Nexus operations",
    EventType.EVENT_TYPE_NEXUS_OPERATION_CANCEL_REQUESTED: "Nexus operations",
}
_START = 1
_SCHEDULED_START = 3
_CHILD_START = 2
"""The intention and the attempt; the child's own start is not counted once more."""

_MOST_LOCAL_RETRIES = 100
_SCHEDULE = "TemporalScheduledById"
_CHANGES = "TemporalChangeVersion"
"""An attribute of the SDK's own, which is not billed."""


class Billed:
    """What has been counted so far; events are to be taken in their order, run after run.

    Attributes:
        actions: Actions by what they are for, in the order in which they were first met.
    """

    def __init__(self) -> None:
        self.actions: Counter[str] = Counter()
        self._marked = 0
        self._before: EventType.ValueType = EventType.EVENT_TYPE_UNSPECIFIED

    @property
    def total(self) -> int:
        """All actions together."""
        return self.actions.total()

    def as_json(self) -> Mapping[str, int]:
        """Return the counts, ``total`` first."""
        return {"total": self.total, **self.actions}

    def take(self, event: HistoryEvent) -> None:
        """Count one event."""
        before, self._before = self._before, event.event_type
        if what := _ONE_EACH.get(event.event_type):
            self.actions[what] += 1
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                self._marked = 0
                began = event.workflow_execution_started_event_attributes
                if not began.HasField("parent_workflow_execution") or began.continued_execution_run_id:
                    by_schedule = _SCHEDULE in began.search_attributes.indexed_fields
                    self.actions["start"] += _SCHEDULED_START if by_schedule else _START
            case EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED:
                self.actions["child sagas"] += _CHILD_START
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                if (again := event.activity_task_started_event_attributes.attempt - 1) > 0:
                    self.actions["further attempts"] += again
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                # A start with a signal is one action.
                if before != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                    self.actions["signals"] += 1
            case EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
                changed = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
                if set(changed) != {_CHANGES}:
                    self.actions["search attributes"] += 1
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                # All markers of one workflow task are one action.
                task = event.marker_recorded_event_attributes.workflow_task_completed_event_id
                if task != self._marked:
                    self._marked = task
                    self.actions["local calls"] += 1
            case EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                metered = event.workflow_task_completed_event_attributes.metering_metadata
                if again := metered.nonfirst_local_activity_execution_attempts:
                    self.actions["further attempts"] += min(again, _MOST_LOCAL_RETRIES)
            case EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
                # Nothing has happened in between: a local call takes long, and its worker asks for more time.
                if before == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                    self.actions["more time for local calls"] += 1
            case EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                cause = event.workflow_task_failed_event_attributes.cause
                if cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
                    self.actions["resets"] += 1
