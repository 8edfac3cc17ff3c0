"""Draws a timeline as SVG: one lane for each call, attempts as bars, pauses as lines, outside events across all lanes.

A long stretch without events is drawn short, with a break, so that a saga that waits for days stays
readable. The picture has no script, suits light and dark pages, and escapes other people's text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from sagadsl.language.notation.plain_text import clean
from sagadsl.trial.timeline import SpanKind, Timeline, TimelineMark, TimelineSpan, length

_LANE, _BAR, _TOP, _BOTTOM = 24, 14, 46, 58
_ROW = 14
"""The height of a row of labels of marks, above the lanes."""

_CHART = 720.0
_LABEL = 7.2
"""Width of one character of a label."""

_TITLE = 8.6
"""The same of the title."""

_SHOWN = 44
_KEYS = {
    "ok": "done",
    "undo ok": "undone",
    "error": "failed",
    "unknown": "nobody knows",
    "cancelled": "cancelled",
    "open": "open",
    "child": "child saga",
    "wait": "waits",
    "pause": "pause before the next attempt",
    "mark": "from outside",
}
"""What the classes of spans mean, in the order of the legend."""

_STYLE = """
  svg { font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; background: #fff; color: #1c1e21 }
  text { fill: currentColor } .title { font-weight: bold; font-size: 14px } .soft { opacity: .6 }
  .grid { stroke: #8883 } .break { stroke: #8886; stroke-dasharray: 2 3 }
  .label { opacity: .8; paint-order: stroke; stroke: #fff; stroke-width: 4px }
  .mark { stroke: #d64541; stroke-dasharray: 4 3 }
  .ok { fill: #2e9e5b } .error { fill: #d64541 } .unknown { fill: #e08e0b } .cancelled { fill: #8a8d91 }
  .open { fill: #4a7fd6 } .undo.ok { fill: #3b7dd8 } .child { fill: #9b7fd4; opacity: .45 } .wait { fill: #c9ccd1 }
  .pause { stroke: #d64541; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    svg { background: #16181c; color: #e6e7e9 } .label { stroke: #16181c } .wait { fill: #4b4f55 }
  }
"""


def svg(drawn: Timeline) -> str:
    """Return the picture."""
    axis = _Axis(drawn)
    marks = [each for each in drawn.marks if each.kind != "end"]
    names = [_shortened(clean(lane)) for lane in drawn.lanes]
    left = max([len(name) for name in names], default=4) * _LABEL + 24
    title = f"{drawn.title}: {drawn.status} after {length(drawn.seconds)}"
    width = max(left + _CHART + 60, len(clean(title)) * _TITLE + 24)
    labels, rows = _rows(marks, axis, left, width)
    top = _TOP + _ROW * max(0, rows - 1)
    bottom = top + _LANE * max(1, len(names))
    keys = list(_legend(drawn, width))
    height = bottom + _BOTTOM + _ROW * (keys[-1][1] if keys else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(clean(title))}">',
        f"<title>{escape(clean(title))}</title><style>{_STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(clean(title))}</text>',
    ]
    parts += axis.grid(left, top, bottom)
    for row, (lane, name) in enumerate(zip(drawn.lanes, names, strict=True)):
        y = top + row * _LANE
        parts.append(f'<text x="12" y="{y + 16}">{escape(name)}</text>')
        for span in drawn.spans:
            if span.lane == lane:
                parts.append(_bar(span, axis, left, y))
    placed = [
        _mark(mark, left + axis.x(mark.at), x, _TOP - 6 + _ROW * row, bottom)
        for mark, (x, row) in zip(marks, labels, strict=True)
    ]
    parts += [line for line, _ in placed] + [label for _, label in placed]  # no line over a label
    for x, row, kind, word in keys:
        parts += _key(kind, word, x, bottom + 34 + _ROW * row)
    parts.append("</svg>")
    return "\n".join(parts)


def _rows(marks: Sequence[TimelineMark], axis: _Axis, left: float, width: float) -> tuple[list[tuple[float, int]], int]:
    """Return the place and the row of each mark's label, so that none lies over another one, and how many rows."""
    ends: list[float] = []
    placed: list[tuple[float, int]] = []
    for mark in marks:
        room = len(_shortened(clean(mark.label))) * _LABEL
        x = left + axis.x(mark.at) + 3
        x = x if x + room <= width - 4 else max(4.0, x - 6 - room)
        row = next((number for number, end in enumerate(ends) if end + _LABEL <= x), len(ends))
        ends[row:] = [x + room, *ends[row + 1 :]]
        placed.append((x, row))
    return placed, len(ends)


def _mark(mark: TimelineMark, x: float, text_x: float, y: int, bottom: int) -> tuple[str, str]:
    """Return the line of a mark, and its label."""
    label = escape(clean(f"{mark.label}, +{length(mark.at)}"))
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{bottom}"'
    shown = escape(_shortened(clean(mark.label)))
    return (
        f'<line class="mark" {place}><title>{label}</title></line>',
        f'<text class="label" x="{text_x:.1f}" y="{y}">{shown}</text>',
    )


def _legend(drawn: Timeline, width: float) -> Iterator[tuple[float, int, str, str]]:
    """Yield what the colours that occur mean: place, row, class, words."""
    found = {_kind(span) for span in drawn.spans}
    marks = {"mark"} if any(mark.kind != "end" for mark in drawn.marks) else set()
    x, row = 12.0, 0
    for kind, word in _KEYS.items():
        if kind in found | marks:
            room = 24 + (len(word) + 2) * _LABEL
            if x > 12 and x + room > width:
                x, row = 12.0, row + 1
            yield x, row, kind, word
            x += room


def _key(kind: str, word: str, x: float, y: float) -> Iterator[str]:
    if kind in ("pause", "mark"):
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x + 16:.1f}" y1="{y + 5:.1f}" y2="{y + 5:.1f}"/>'
    else:
        yield f'<path class="{kind}" d="M{x:.1f} {y:.1f}h16v10h-16z"/>'
    yield f'<text class="soft" x="{x + 22:.1f}" y="{y + 9:.1f}">{word}</text>'


def _kind(span: TimelineSpan) -> str:
    """Return the class of a span, which decides its colour."""
    if span.kind is SpanKind.PAUSE:
        return "pause"
    kind = {SpanKind.CHILD: "child", SpanKind.WAIT: "wait"}.get(span.kind, span.result or "open")
    return f"{'undo ' if span.is_undo and kind == 'ok' else ''}{kind}"


def _bar(span: TimelineSpan, axis: _Axis, left: float, y: int) -> str:
    start, end = axis.x(span.start), axis.x(axis.end if span.end is None else span.end)
    number = f", attempt {span.number}" if span.number > 1 else ""
    took = "" if span.end is None else f", {length(span.end - span.start)}"
    said = f"{span.lane}{number}: {span.what or 'waits'}, {span.result or 'open'}, from +{length(span.start)}{took}"
    label, middle = escape(clean(said)), y + _LANE / 2
    if span.kind is SpanKind.PAUSE:
        place = f'x1="{left + start:.1f}" x2="{left + end:.1f}" y1="{middle}" y2="{middle}"'
        return f'<line class="pause" {place}><title>{label}</title></line>'
    place = f'x="{left + start:.1f}" y="{middle - _BAR / 2}" width="{max(3.0, end - start):.1f}" height="{_BAR}" rx="2"'
    return f'<rect class="{_kind(span)}" {place}><title>{label}</title></rect>'


class _Axis:
    """Turns instants into places. A stretch without any event takes little room, however long it is."""

    def __init__(self, drawn: Timeline) -> None:
        instants = {0.0, drawn.seconds, *(mark.at for mark in drawn.marks)}
        for span in drawn.spans:
            instants |= {span.start, *(() if span.end is None else (span.end,))}
        self._instants = sorted(instants)
        self.end = self._instants[-1]
        gaps = [after - before for before, after in zip(self._instants, self._instants[1:], strict=False)]
        usual = sorted(gaps)[len(gaps) // 2] if gaps else 1.0
        self._longest = max(usual * 8, 1e-9)
        self._broken = [gap > self._longest for gap in gaps]
        widths = [min(gap, self._longest) for gap in gaps]
        scale = _CHART / (sum(widths) or 1.0)
        self._places = [0.0]
        for width in widths:
            self._places.append(self._places[-1] + width * scale)

    def x(self, instant: float) -> float:
        """Return the place of an instant at which something happened."""
        low = 0
        for index, each in enumerate(self._instants):
            if each <= instant:
                low = index
        return self._places[low]

    def grid(self, left: float, top: float, bottom: float) -> Iterator[str]:
        """Yield lines with times, as many as there is room for, and a mark wherever the axis is broken."""
        for place, text in self._ticks():
            x = left + place
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
            yield f'<text class="soft" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{text}</text>'
        for index, broken in enumerate(self._broken):
            if broken:
                x = left + (self._places[index] + self._places[index + 1]) / 2
                yield f'<line class="break" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom + 4}"/>'

    def _ticks(self) -> list[tuple[float, str]]:
        """Return the places of times and what stands there; the last instant has one, whatever else finds no room.

        A time that reads like one before it says how much later it is than that one.
        """
        shown: list[tuple[float, float, str]] = []
        for instant, place in zip(self._instants, self._places, strict=True):
            text = length(instant)
            if (alike := next((each[0] for each in shown if each[2] == text), None)) is not None:
                text = f"+{length(instant - alike)}"
            while instant == self.end and len(shown) > 1 and not _have_room(shown[-1], place, text):
                shown.pop()
            if not shown or _have_room(shown[-1], place, text):
                shown.append((instant, place, text))
        return [(place, text) for _, place, text in shown]


def _have_room(before: tuple[float, float, str], place: float, text: str) -> bool:
    """Whether two labels, each in the middle of its place, do not touch."""
    return place - before[1] >= (len(before[2]) + len(text)) / 2 * _LABEL + _LABEL


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
