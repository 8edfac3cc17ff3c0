"""The words in drawings, the same ones in every form: what a kind of step does, and what stands in a box."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sagadsl.drawing.marks import Mark
from sagadsl.drawing.tree import Box
from sagadsl.reporting.excerpt import clean

KINDS: Mapping[str, str] = {
    "parallel": "all at once",
    "switch": "one of",
    "for_each": "for each",
    "repeat": "again and again",
    "group": "one after the other",
    "wait_for": "waits for signal",
    "sleep": "sleeps",
    "set": "computes",
    "fail": "fails",
    "return": "ends the saga",
    "answer": "answers",
    "send": "sends signal",
    "saga": "saga",
    "nexus": "nexus",
    "activity": "",
}
"""What each kind does. The page has the same words (`gateway/page/graph.js`); a test compares them."""

AFTER_PIVOT = "point of no return"
NEXT_ROUND = "next round"

_LONGEST = 46
_EXPRESSION = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def lines(box: Box, mark: Mark) -> Iterator[str]:
    """Yield the lines of a box: its id, what it does, and what has to be known about it."""
    yield short(f"{mark.sign} {box.id}{mark.rounds}".strip())
    if what := " ".join(filter(None, (KINDS[box.kind], box.what))):
        yield short(what)
    yield from (short(each) for each in box.about)
    if box.condition:
        yield short(f"if {box.condition}")
    for handler in box.handlers:
        if not handler.boxes:
            yield short(f"on {handler.label}: {handler.then}")
    if mark.state:
        yield mark.state


def undo(box: Box, mark: Mark) -> Iterator[str]:
    """Yield the lines of the box of a compensation."""
    calls = ("its own compensations",) if box.undone_by == ("itself",) else box.undone_by
    sign = mark.undo_sign or "↩"
    yield short(f"{sign} {calls[0]}")
    yield from (short(call) for call in calls[1:])
    if mark.undo:
        yield short(mark.undo)


def handled(label: str, then: str) -> str:
    """Return the title of the steps of an error handler."""
    return short(f"on {label}, then {then}")


def short(text: str) -> str:
    """Return text on one line, not too long, and without characters that make a reader see something else."""
    flat = _EXPRESSION.sub(r"\1", " ".join(clean(text).split()))
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"
