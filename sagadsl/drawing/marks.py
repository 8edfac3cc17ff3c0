"""How the steps of a run stand, by box: a box of a loop has several rounds, and shows the one that wants to be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagadsl.immutable import Immutable, replace
from sagadsl.language.paths import drawn, parse_call
from sagadsl.status.lines import BY_HAND, SIGNS, StatusRow

ORDER = (
    "paused",
    "failed",
    "compensating",
    "running",
    "unknown",
    "skipped_by_hand",
    "cancelled",
    "abandoned",
    "compensated",
    "rejected",
    "pending",
    "not_started",
    "completed",
    "skipped",
)
"""Of several rounds, the first of these is shown."""


class Mark(Immutable):
    """How a step stands in a run. A drawing of a definition has marks without words.

    Attributes:
        state: A word of ``SIGNS``; empty in a definition.
        rounds: How many lines of the status stand for the box, in words; empty for one.
        undo: What is known about the compensation, in words; empty when there is nothing to say. Of several rounds, in
            how many it is so.
        undo_state: Its state.
    """

    state: str = ""
    sign: str = ""
    rounds: str = ""
    undo: str = ""
    undo_state: str = ""
    undo_sign: str = ""


NONE = Mark()
ROOM, ROOM_IN_LOOP = (
    Mark(BY_HAND, "✓", rounds, f"undone{rounds}", "compensated", "↩") for rounds in ("", " \N{MULTIPLICATION SIGN} 99")
)
"""Marks as long as usual ones. A picture of a run has room for them, so that its boxes stay where they are."""

Marks = Mapping[str, Mark]
"""Marks by the path of the box."""


def marks(rows: Iterable[StatusRow], notices: Iterable[Mapping[str, Any]] = ()) -> Marks:
    """Return the marks of the lines of a status, and of the calls in it that told of a pause."""
    forward: dict[str, list[StatusRow]] = {}
    undone: dict[str, list[StatusRow]] = {}
    told: dict[str, list[str]] = {}
    for row in rows:
        (undone if row.undoes else forward).setdefault(drawn(parse_call(row.key).step), []).append(row)
    for notice in notices:
        told.setdefault(drawn(notice["call"]), []).append(notice["status"])
    found = {box: _mark(forward.get(box, []), undone.get(box, [])) for box in {*forward, *undone}}
    return found | {box: _stands(states) for box, states in told.items()}


def _stands(states: list[str]) -> Mark:
    state = worst(states)
    return Mark(state, SIGNS.get(state, ""), _times(len(states)) if len(states) > 1 else "")


def _mark(forward: list[StatusRow], undone: list[StatusRow]) -> Mark:
    stands = _stands([row.state for row in forward])
    undo = worst(row.state for row in undone)
    shown = next((row for row in undone if row.state == undo), None)
    several = len(forward) > 1
    if shown is None:
        return stands
    times = _times(sum(row.what == shown.what for row in undone)) if several else ""
    return replace(stands, undo=f"{shown.what}{times}", undo_state=undo, undo_sign=shown.sign)


def _times(number: int) -> str:
    return f" \N{MULTIPLICATION SIGN} {number}"


def worst(states: Iterable[str]) -> str:
    """Return the state that wants to be seen; empty when there is none."""
    found = list(states)
    return next((each for each in ORDER if each in found), found[0] if found else "")
