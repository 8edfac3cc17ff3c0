"""The words in drawings, the same ones in every form: what a kind of step does, and what stands in a box."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sagadsl.drawing.marks import Mark
from sagadsl.drawing.tree import Box
from sagadsl.language.notation.plain_text import clean

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
"""What each kind does."""

AFTER_PIVOT = "point of no return"
NEXT_ROUND = "next round"

_LONGEST = 46
_EXPRESSION = re.compile(r"\{\{\s*(.*?)\s*\}\}")


def lines(box: Box, mark: Mark) -> Iterator[str]:
    """Yield the lines of a box: its id, what it does, and what has to be known about it."""
    yield short(f"{mark.sign} {box.id}{mark.rounds}".strip())
    yield from map(short, _known(box))
    if mark.state:
        yield in_words(mark.state)


def _known(box: Box) -> Iterator[str]:
    if what := " ".join(filter(None, (KINDS[box.kind], box.what))):
        yield what
    yield from box.about
    if box.condition:
        yield f"if {box.condition}"
    for handler in box.handlers:
        if not handler.boxes:
            yield f"on {handler.label}: {handler.then}"


def undo(box: Box, mark: Mark) -> Iterator[str]:
    """Yield the lines of the box of a compensation."""
    calls = _undone_by(box)
    sign = mark.undo_sign or "↩"
    yield short(f"{sign} {calls[0]}")
    yield from map(short, calls[1:])
    if mark.undo:
        yield short(mark.undo)


def _undone_by(box: Box) -> tuple[str, ...]:
    return ("its own compensations",) if box.undone_by == ("itself",) else box.undone_by


def waits_for(box: Box) -> Iterator[str]:
    """Yield the line that says after which branches a branch comes."""
    if box.needs:
        yield f"after {', '.join(box.needs)}"


def said(box: Box, mark: Mark) -> str:
    """Return all that a box says, not shortened: for whoever hears a picture, or points at it."""
    return _said(
        f"{box.id}{mark.rounds}", *_known(box), *waits_for(box), "pivot" if box.pivot else "", in_words(mark.state)
    )


def undo_said(box: Box, mark: Mark) -> str:
    """Return all that the box of a compensation says, and whose it is."""
    return _said(f"compensation of {box.id}", *_undone_by(box), mark.undo)


def _said(*parts: str) -> str:
    return ", ".join(_plain(each) for each in parts if each)


def in_words(state: str) -> str:
    """Return a state as people read it."""
    return state.replace("_", " ")


def handled(label: str, then: str) -> str:
    """Return the title of the steps of an error handler."""
    return short(f"on {label}, then {then}")


def short(text: str) -> str:
    """Return text on one line, not too long, and without characters that make a reader see something else."""
    flat = _plain(text)
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"


def _plain(text: str) -> str:
    if text.isprintable() and "{{" not in text and "  " not in text:
        return text.strip()
    return _EXPRESSION.sub(r"\1", " ".join(clean(text).split()))
