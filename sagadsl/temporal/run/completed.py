"""Says how far a worker has answered a history: the part that another release has to give again at a replay."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

ENDED_BY_SERVER = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT,
    }
)
"""The ends of a run at which none of its code ran."""

_ENDS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    }
)


def is_end(event: HistoryEvent) -> bool:
    """Whether a run ends with this event."""
    return event.event_type in ENDED_BY_SERVER or event.event_type in _ENDS


def answers(events: Sequence[HistoryEvent]) -> list[list[HistoryEvent]]:
    """Return the completed workflow tasks: of each the event of its completion, and then the events of its commands."""
    found: list[list[HistoryEvent]] = []
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
            found.append([event])
        elif found and caused_by(event) == found[-1][0].event_id:
            found[-1].append(event)
    return found


def completed_part(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Return a history up to the commands of its last completed workflow task; empty when none has completed."""
    found = answers(events)
    return up_to(events, found[-1]) if found else []


def up_to(events: Sequence[HistoryEvent], answer: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Return a history up to the commands of one of its ``answers``."""
    return [event for event in events if event.event_id <= answer[-1].event_id]


def caused_by(event: HistoryEvent) -> int:
    """Return the number of the completed workflow task whose command led to an event; 0 for any other event."""
    about = getattr(event, event.WhichOneof("attributes") or "", None)
    return int(getattr(about, "workflow_task_completed_event_id", 0))
