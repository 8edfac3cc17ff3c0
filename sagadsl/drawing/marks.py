"""How the steps of a run stand, by box: a box of a loop has several rounds, and shows the one that wants to be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sagadsl.immutable import Immutable
from sagadsl.language.paths import drawn, parse_call
from sagadsl.status.lines import SIGNS, StatusRow

ORDER = (
    "paused",
    "failed",
    "compensating",
    "running",
    "unknown",
    "cancelled",
    "abandoned",
    "compensated",
    "rejected",
    "pending",
    "not_started",
    "completed",
    "skipped",
)
"""Of several rounds, the first of these is shown. The page has the same order (`gateway/page/graph.js`)."""


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
Marks = Mapping[str, Mark]
"""Marks by the path of the box."""


def marks(rows: Iterable[StatusRow]) -> Marks:
    """Return the marks of the lines of a status."""
    forward: dict[str, list[StatusRow]] = {}
    undone: dict[str, list[StatusRow]] = {}
    for row in rows:
        (undone if row.undoes else forward).setdefault(drawn(parse_call(row.key).step), []).append(row)
    return {box: _mark(forward.get(box, []), undone.get(box, [])) for box in {*forward, *undone}}


def _mark(forward: list[StatusRow], undone: list[StatusRow]) -> Mark:
    state = worst(row.state for row in forward)
    undo = worst(row.state for row in undone)
    shown = next((row for row in undone if row.state == undo), None)
    several = len(forward) > 1
    return Mark(
        state,
        SIGNS.get(state, ""),
        _times(len(forward)) if several else "",
        ""
        if shown is None
        else f"{shown.what}{_times(sum(row.what == shown.what for row in undone)) if several else ''}",
        undo,
        "" if shown is None else shown.sign,
    )


def _times(number: int) -> str:
    return f" \N{MULTIPLICATION SIGN} {number}"


def worst(states: Iterable[str]) -> str:
    """Return the state that wants to be seen; empty when there is none."""
    found = list(states)
    return next((each for each in ORDER if each in found), found[0] if found else "")
