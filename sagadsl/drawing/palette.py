"""The colours of drawings. Each fill has its own colour of text, so a picture is readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping

from sagadsl.immutable import Immutable


class Style(Immutable):
    """How a class of nodes looks."""

    fill: str
    stroke: str
    text: str = "#1c1e21"
    dashed: bool = False
    thick: bool = False


CLASSES: Mapping[str, Style] = {
    "completed": Style("#d9f2e1", "#1f7a45"),
    "failed": Style("#fbdedc", "#b3261e"),
    "running": Style("#dbe9fd", "#2158b8", thick=True),
    "paused": Style("#fdeccc", "#9a5b00", thick=True),
    "undone": Style("#e8e2f8", "#5b3fa8"),
    "stopped": Style("#e6e7ea", "#5c6066"),
    "pending": Style("#ffffff", "#8a8d91", "#5c6066", dashed=True),
    "pivot": Style("#fff3c4", "#8a6d00", thick=True),
    "undo": Style("#f1eefb", "#5b3fa8", dashed=True),
}

DARK: Mapping[str, Style] = {
    "completed": Style("#14301f", "#5fc98a", "#e6e7e9"),
    "failed": Style("#43201e", "#f08a82", "#e6e7e9"),
    "running": Style("#1a2f52", "#8ab4f8", "#e6e7e9", thick=True),
    "paused": Style("#40300f", "#ffc266", "#e6e7e9", thick=True),
    "undone": Style("#2f2652", "#b7a3f0", "#e6e7e9"),
    "stopped": Style("#33373d", "#a2a7ae", "#e6e7e9"),
    "pending": Style("#16181c", "#7d838b", "#b4bac1", dashed=True),
    "pivot": Style("#3a310d", "#e0b83a", "#e6e7e9", thick=True),
    "undo": Style("#231d3a", "#b7a3f0", "#e6e7e9", dashed=True),
}
"""The same for dark pages, where a picture can ask for them."""

_STATES = {
    "completed": "completed",
    "failed": "failed",
    "unknown": "failed",
    "terminated": "failed",
    "timed_out": "failed",
    "running": "running",
    "paused": "paused",
    "held": "paused",
    "compensating": "undone",
    "compensated": "undone",
    "rejected": "undone",
    "skipped_by_hand": "stopped",
    "cancelled": "stopped",
    "abandoned": "stopped",
    "skipped": "pending",
    "pending": "pending",
    "not_started": "pending",
}
"""The class of each state of a run."""


def class_of(state: str, *, pivot: bool, undo: bool) -> str:
    """Return the class of a box; empty for one that looks like any other.

    Args:
        state: How it stands in a run; empty in a definition.
        undo: It is a compensation.
    """
    if state:
        return _STATES.get(state, "stopped")
    if pivot:
        return "pivot"
    return "undo" if undo else ""
