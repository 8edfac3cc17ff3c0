"""Draws a place in a file: the line, carets below it, a few words beside them. It knows no codes and no colours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from sagadsl.columns import columns_of, wrap
from sagadsl.diagnostics.findings import Route
from sagadsl.immutable import Immutable
from sagadsl.language import syntax
from sagadsl.language.document import Document, Span, is_place
from sagadsl.language.notation.plain_text import UNSAFE, clean

_TAB = 4
_WIDEST = 160
_LEAST = 16
_BEFORE = 60


class ExcerptMark(Immutable):
    """A part of the text to underline.

    Attributes:
        span: Its place; if it has several lines, only the first one is drawn.
        sign: The character to underline with.
        label: The words beside it.
    """

    span: Span
    sign: str
    label: str = ""


class ExcerptRow(Immutable):
    """One drawn line: a line of the source with its number, or marks (``number`` is 0, ``sign`` is their character)."""

    number: int
    text: str
    sign: str = ""


def locate(document: Document, route: Route, *, at_key: bool = False, focus: str = "", nth: int = 0) -> Span:
    """Return the place of *route*; if there is no such route, the place of its nearest ancestor.

    Args:
        focus: A part of the value's text: its place.
        nth: How often *focus* stands before the place that is meant.
    """
    if at_key and route in document.keys:
        return document.keys[route]
    nearest = document.nearest(route)
    span = document.spans.get(nearest, Span(1, 1, 1, 1))
    if nearest != route and nearest in document.keys and not is_place(route):
        span = document.keys[nearest]  # something is missing in it: the whole mapping would be too much
    if nth and (found := _occurrence(document, span, focus, nth)):
        return found
    return _focused(document, span, focus) if focus else span


def _occurrence(document: Document, span: Span, focus: str, nth: int) -> Span | None:
    """Find the place of *focus* that has *nth* others before it; ``None`` if YAML spells the text in another way."""
    lines = syntax.lines(document.text)
    for number in range(span.line, min(span.end_line, len(lines)) + 1):
        end = span.end_column - 1 if number == span.end_line else len(lines[number - 1])
        at = lines[number - 1].find(focus, span.column - 1 if number == span.line else 0, end)
        while at >= 0:
            if not nth:
                return Span(number, at + 1, number, at + 1 + len(focus))
            nth -= 1
            at = lines[number - 1].find(focus, at + len(focus), end)
    return None


def _focused(document: Document, span: Span, focus: str) -> Span:
    """Find *focus* as a whole word of the value, else anywhere in it."""
    lines = syntax.lines(document.text)
    for pattern in (rf"(?<!\w){re.escape(focus)}(?!\w)", re.escape(focus)):
        for number in range(span.line, min(span.end_line, len(lines)) + 1):
            line = lines[number - 1]
            if focus not in line:  # a quick look first: each focus would need a compiled pattern
                continue
            start = span.column - 1 if number == span.line else 0
            end = span.end_column - 1 if number == span.end_line else len(line)
            if found := re.compile(pattern).search(line, start, end):
                return Span(number, found.start() + 1, number, found.end() + 1)
    return span


def draw(
    document: Document, marks: Iterable[ExcerptMark], *, context: bool = False, width: int | None = None
) -> list[ExcerptRow]:
    """Draw the lines of all marks from top to bottom; with *context* also the line above the first mark.

    On a screen of *width* columns a longer line is shown only around its mark: a terminal that broke it would move the
    marks away from what they mark.
    """
    widest = _WIDEST if width is None else max(_LEAST, min(_WIDEST, width - 2))
    lines = syntax.lines(document.text)
    by_line: dict[int, list[ExcerptMark]] = {}
    listed = list(marks)
    for mark in listed:  # a mark may be past the last line
        by_line.setdefault(max(1, min(mark.span.line, len(lines))), []).append(mark)
    above = listed[0].span.line - 1 if listed else 0
    if context and 1 <= above <= len(lines) and lines[above - 1].strip():
        by_line.setdefault(above, [])
    rows = []
    for number in sorted(by_line):
        shown = _show(lines[number - 1], by_line[number][0].span.column if by_line[number] else 1, widest)
        rows.append(ExcerptRow(number, shown.text.rstrip()))
        for mark in by_line[number]:
            rows += _underlined(mark, lines[number - 1], shown, width)
    return rows


class _Shown(Immutable):
    """A line as a terminal shows it. ``columns`` has the column of each character of ``line[first:]``, and the end."""

    text: str
    columns: tuple[int, ...]
    first: int

    def column(self, index: int) -> int:
        return self.columns[min(max(index - self.first, 0), len(self.columns) - 1)]


def _show(line: str, column: int, widest: int) -> _Shown:
    """Return a line for a terminal. Tabs become arrows. A very long line is read and shown only around *column*."""
    first, last = 0, len(line)
    if last > widest:
        first = max(0, min(column - 1 - _BEFORE * widest // _WIDEST, last - widest))
        last = first + widest
    pieces, columns, at = ["…" if first else ""], list[int](), 1 if first else 0
    for char in line[first:last]:
        columns.append(at)
        piece = "→".ljust(_TAB - at % _TAB) if char == "\t" else "\ufffd" if UNSAFE.match(char) else char
        pieces.append(piece)
        at += len(piece) if char == "\t" else _width(piece)
    pieces.append("…" if last < len(line) else "")
    return _Shown("".join(pieces), (*columns, at), first)


def _underlined(mark: ExcerptMark, line: str, shown: _Shown, width: int | None) -> list[ExcerptRow]:
    """Return the signs below a line with their words beside them, or below them where the screen is too narrow."""
    start = min(max(mark.span.column - 1, 0), len(line))
    stop = mark.span.end_column - 1 if mark.span.end_line == mark.span.line else len(line)
    stop = min(max(stop, start), len(line))
    tab = stop > start and line[stop - 1] == "\t"  # underline only the arrow
    left, right = shown.column(start), shown.column(stop - 1) + 1 if tab else shown.column(stop)
    signs = f"{'':{left}}{mark.sign * max(1, right - left)}"
    label = f" {clean(mark.label)}" if mark.label else ""
    if width is None or columns_of(f"{signs}{label}") <= width:
        return [ExcerptRow(0, f"{signs}{label}", mark.sign)]
    below = wrap(label.strip(), width, "  ", "  ")
    return [ExcerptRow(0, text, mark.sign) for text in (signs, *below)]


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
