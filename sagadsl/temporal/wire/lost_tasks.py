"""What a run asks of its history when a worker may have lost one of its workflow tasks.

The news of a workflow task are what has happened since the one before. The question is which news a worker that lost
the task had heard. The answer counts from the end, kind by kind: a run that is played again may find older news among
those of a task, but none that are newer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from sagadsl.immutable import Immutable

LOST_ACTIVITY = "sagadsl.lost"
"""Local activity; see ``work.lost_tasks``."""


class News(StrEnum):
    """The kinds of what a run hears."""

    SIGNAL = "signal"
    CANCEL = "cancel"
    TIMER = "timer"
    ACTIVITY = "activity"
    CHILD_STARTED = "child_started"
    CHILD = "child"
    SENT = "sent"
    CANCELLED_OTHER = "cancelled_other"
    OPERATION_STARTED = "operation_started"
    OPERATION = "operation"


class CameLater(Immutable):
    """How many news of each kind the worker that lost a workflow task cannot have heard: they came later."""

    news: Mapping[News, int]

    def has(self, kind: News, from_end: int) -> bool:
        """Whether the news of a kind that is number *from_end* from the end, beginning with 1, came later."""
        return from_end <= self.news.get(kind, 0)


def to_json(lost: Sequence[CameLater]) -> list[dict[str, int]]:
    """Return an answer as JSON, a part for each lost task, the first lost one first."""
    return [{kind.value: count for kind, count in each.news.items()} for each in lost]


def from_json(data: Any) -> tuple[CameLater, ...] | None:
    """Read what ``to_json`` has written; ``None`` for anything else: nobody knows."""
    if not isinstance(data, list):
        return None
    known = {each.value: each for each in News}
    try:
        return tuple(CameLater({known[kind]: int(count) for kind, count in each.items()}) for each in data)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
