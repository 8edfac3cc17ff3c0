"""Draws a timeline as SVG: one lane for each call, attempts as bars, pauses as lines, outside events across all lanes.

A long stretch without events is drawn short, with a break, so that a saga that waits for days stays
readable. The picture has no script, suits light and dark pages, and escapes other people's text.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from sagadsl.reporting.excerpt import clean
from sagadsl.trial.timeline import SpanKind, Timeline, TimelineMark, TimelineSpan, length

_LANE, _BAR, _TOP, _BOTTOM = 24, 14, 46, 34
_CHART = 720.0
_LABEL = 7.2
"""Width of one character of a label."""

_SHOWN = 44
_STYLE = """
  svg { font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; background: #fff; color: #1c1e21 }
  text { fill: currentColor } .title { font-weight: bold; font-size: 14px } .soft { opacity: .6 }
  .grid { stroke: #8883 } .break { stroke: #8886; stroke-dasharray: 2 3 }
  .mark { stroke: #d64541; stroke-dasharray: 4 3 }
  .ok { fill: #2e9e5b } .error { fill: #d64541 } .unknown { fill: #e08e0b } .cancelled { fill: #8a8d91 }
  .open { fill: #4a7fd6 } .undo.ok { fill: #3b7dd8 } .child { fill: #9b7fd4; opacity: .45 } .wait { fill: #c9ccd1 }
  .pause { stroke: #d64541; stroke-width: 2 }
  @media (prefers-color-scheme: dark) { svg { background: #16181c; color: #e6e7e9 } .wait { fill: #4b4f55 } }
"""


def svg(drawn: Timeline) -> str:
    """Return the picture."""
    axis = _Axis(drawn)
    names = [_shortened(clean(lane)) for lane in drawn.lanes]
    left = max([len(name) for name in names], default=4) * _LABEL + 24
    width, height = left + _CHART + 40, _TOP + _LANE * max(1, len(names)) + _BOTTOM
    title = f"{drawn.title}: {drawn.status} after {length(drawn.seconds)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(clean(title))}">',
        f"<title>{escape(clean(title))}</title><style>{_STYLE}</style>",
        f'<text class="title" x="12" y="22">{escape(clean(title))}</text>',
    ]
    bottom = _TOP + _LANE * max(1, len(names))
    parts += axis.grid(left, bottom)
    for row, (lane, name) in enumerate(zip(drawn.lanes, names, strict=True)):
        y = _TOP + row * _LANE
        parts.append(f'<text x="12" y="{y + 16}">{escape(name)}</text>')
        for span in drawn.spans:
            if span.lane == lane:
                parts.append(_bar(span, axis, left, y))
    for number, mark in enumerate(each for each in drawn.marks if each.kind != "end"):
        parts += _mark(mark, left + axis.x(mark.at), _TOP - 2 - 10 * (number % 2), bottom)
    parts.append("</svg>")
    return "\n".join(parts)


def _mark(mark: TimelineMark, x: float, y: int, bottom: int) -> Iterator[str]:
    label = escape(clean(f"{mark.label}, +{length(mark.at)}"))
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{bottom}"'
    yield f'<line class="mark" {place}><title>{label}</title></line>'
    yield f'<text class="soft" x="{x + 3:.1f}" y="{y}">{escape(_shortened(clean(mark.label)))}</text>'


def _bar(span: TimelineSpan, axis: _Axis, left: float, y: int) -> str:
    start, end = axis.x(span.start), axis.x(axis.end if span.end is None else span.end)
    number = f", attempt {span.number}" if span.number > 1 else ""
    took = "" if span.end is None else f", {length(span.end - span.start)}"
    said = f"{span.lane}{number}: {span.what or 'waits'}, {span.result or 'open'}, from +{length(span.start)}{took}"
    label, middle = escape(clean(said)), y + _LANE / 2
    if span.kind is SpanKind.PAUSE:
        place = f'x1="{left + start:.1f}" x2="{left + end:.1f}" y1="{middle}" y2="{middle}"'
        return f'<line class="pause" {place}><title>{label}</title></line>'
    kind = {SpanKind.CHILD: "child", SpanKind.WAIT: "wait"}.get(span.kind, span.result or "open")
    place = f'x="{left + start:.1f}" y="{middle - _BAR / 2}" width="{max(3.0, end - start):.1f}" height="{_BAR}" rx="2"'
    return f'<rect class="{"undo " if span.is_undo else ""}{kind}" {place}><title>{label}</title></rect>'


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

    def grid(self, left: float, bottom: float) -> Iterator[str]:
        """Yield lines with times, as many as there is room for, and a mark wherever the axis is broken."""
        last = -1e9
        for instant, place in zip(self._instants, self._places, strict=True):
            if place - last < 58 and instant != self.end:
                continue
            if instant == self.end and place - last < 58 and last > -1e9:
                continue
            last = place
            x = left + place
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>'
            yield f'<text class="soft" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{length(instant)}</text>'
        for index, broken in enumerate(self._broken):
            if broken:
                x = left + (self._places[index] + self._places[index + 1]) / 2
                yield f'<line class="break" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom + 4}"/>'


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
