"""Makes the timeline of a trial: spans of calls and pauses, marks of outside events, lines for people.

A timeline is a projection of the events in virtual time. This module knows nothing of drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from sagadsl.columns import wrap
from sagadsl.immutable import Immutable
from sagadsl.language.notation.durations import spell
from sagadsl.language.notation.plain_text import clean
from sagadsl.language.own_errors import CANCELLED, TIMEOUT
from sagadsl.language.paths import TimerKind, is_compensation, timer
from sagadsl.status.lines import SIGNS, warnings
from sagadsl.status.listed import listed
from sagadsl.trial.mocks import call_name
from sagadsl.trial.played import ID, Played
from sagadsl.virtual.runs import Event

_NAMES = 40
"""Width of the column of names, at most."""
_ROOM = 30
"""How many columns of a screen must be left for what happened, or the names get no column of their own."""


class SpanKind(Enum):
    """What a span of time was spent on."""

    ATTEMPT = "attempt"
    PAUSE = "pause"
    WAIT = "wait"
    CHILD = "child"


class TimelineSpan(Immutable):
    """A stretch of time of one call, timer or child saga.

    Attributes:
        lane: Name of the call, or path of the step.
        start: Seconds since the saga began. ``end`` is ``None`` while the span is open.
        result: ``ok``, ``error``, ``unknown``, ``cancelled``, ``abandoned``, or empty.
        number: Number of the attempt.
        what: The activity, the child saga, or the error that a pause is about.
    """

    lane: str
    kind: SpanKind
    start: float
    end: float | None
    result: str = ""
    number: int = 0
    what: str = ""

    @property
    def is_undo(self) -> bool:
        return is_compensation(self.lane)


class TimelineMark(Immutable):
    """An event from outside at one instant, or the end of the saga.

    Attributes:
        kind: ``cancel``, ``timeout``, ``crash``, ``signal``, ``operator``, ``continue as new`` or ``end``.
    """

    at: float
    kind: str
    label: str


class TimelineRow(Immutable):
    """One line for people.

    Attributes:
        sign: ``✓``, ``✗``, ``?``, ``↶``, ``⏸``, ``·`` …
        name: Name of the call, step or signal; empty for the saga itself.
    """

    at: float
    sign: str
    name: str
    text: str


class Timeline(Immutable):
    """The whole timeline of a trial, in order."""

    title: str
    spans: tuple[TimelineSpan, ...]
    marks: tuple[TimelineMark, ...]
    lines: tuple[TimelineRow, ...]
    seconds: float
    status: str

    @property
    def lanes(self) -> tuple[str, ...]:
        """The names that have a row of their own, in the order in which they began."""
        return tuple(dict.fromkeys(span.lane for span in self.spans))


def timeline(title: str, played: Played) -> Timeline:
    """Return the timeline of a trial."""
    drawing = _Drawing(played.began)
    for event in played.events:
        drawing.take(event)
    drawing.finish()
    return Timeline(
        title, tuple(drawing.spans), tuple(drawing.marks), tuple(drawing.lines), played.seconds, played.status
    )


_RESULTS = {
    "succeeded": "ok",
    "failed": "error",
    "unknown": "unknown",
    "not_started": "error",
    "abandoned": "abandoned",
}


class _Drawing:
    """Collects spans, marks and lines while the events come."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._open: dict[tuple[str, SpanKind], TimelineSpan] = {}
        self.spans: list[TimelineSpan] = []
        self.marks: list[TimelineMark] = []
        self.lines: list[TimelineRow] = []

    def take(self, event: Event) -> None:
        """Take in one event."""
        at, name = round(event.at - self._began, 6), _name(event)
        match event.what:
            case "start" if event.attempt == 0 and event.call:
                self._started(at, name, event)
            case "attempt":
                self._close(name, SpanKind.PAUSE, at)
                self._close(name, SpanKind.CHILD, at, drop=True)
                lost = (name, SpanKind.ATTEMPT) in self._open  # a local activity is lost with the worker that held it
                self._close(name, SpanKind.ATTEMPT, at, "unknown")
                self._begin(TimelineSpan(name, SpanKind.ATTEMPT, at, None, number=event.attempt, what=event.detail))
                if lost or event.attempt > 1:
                    self._say(at, "·", name, f"attempt {event.attempt}{', with another worker' if lost else ''}")
            case "retry":
                self._close(name, SpanKind.ATTEMPT, at, "unknown" if event.error == TIMEOUT else "error")
                self._begin(TimelineSpan(name, SpanKind.PAUSE, at, None, number=event.attempt, what=event.error))
                pause = event.detail.rpartition(" in ")[2]
                self._say(at, "✗", name, f"attempt {event.attempt}: {event.error}, again in {_pause(pause)}")
            case "end":
                self._ended(at, name, event)
            case "timer" if event.detail == "set":
                if not event.call.startswith("@"):
                    self._begin(TimelineSpan(name, SpanKind.WAIT, at, None))
                    self._say(at, "◷", name, "waits")
            case "timer":
                self._close(name, SpanKind.WAIT, at, "ok")
                self._say(at, "◷", name, "the time has come")
            case _:
                self._from_outside(at, name, event)

    def finish(self) -> None:
        """Keep the spans that have not ended, open."""
        self.spans += self._open.values()
        self.spans.sort(key=lambda span: (span.start, span.kind is not SpanKind.CHILD))

    def _started(self, at: float, name: str, event: Event) -> None:
        self._begin(
            TimelineSpan(name, SpanKind.CHILD, at, None, what=event.detail)
        )  # until an attempt says that it is an activity
        self._say(at, "↶" if is_compensation(name) else "▸", name, event.detail)

    def _ended(self, at: float, name: str, event: Event) -> None:
        result = "cancelled" if event.error == CANCELLED else _RESULTS[event.detail]
        for kind in (SpanKind.ATTEMPT, SpanKind.CHILD):
            self._close(name, kind, at, result)
        self._close(name, SpanKind.PAUSE, at)
        undo = is_compensation(name)
        attempts = f" after {event.attempt} attempts" if event.attempt > 1 else ""
        words = {
            "succeeded": "undone" if undo else "succeeded",
            "failed": "not undone" if undo else "failed",
            "unknown": "nobody knows whether it is undone" if undo else "nobody knows whether it happened",
            "not_started": "did not begin",
            "abandoned": "goes on by itself, and nobody waits for it",
        }
        signs = {"succeeded": "✓", "failed": "✗", "unknown": "?", "not_started": "✗", "abandoned": SIGNS["abandoned"]}
        sign = signs[event.detail]
        error = f": {event.error}" if event.error else ""
        self._say(at, sign, name, f"{words[event.detail]}{attempts}{error}")

    def _from_outside(self, at: float, name: str, event: Event) -> None:
        match event.what:
            case "signal":
                self._close_waits(at)
                self._mark(at, "signal", "✉", f"signal `{event.call}` comes")
            case "operator":
                about = f" `{event.call}`" if event.call else ""
                self._mark(at, "operator", "☞", f"an operator says {event.detail.replace('_', ' ')}{about}")
            case "cancel_request":
                self._mark(at, "cancel", "■", "somebody cancels the saga")
            case "timeout":
                self._mark(at, "timeout", "■", "the saga's timeout passes")
            case "crash":
                self._mark(at, "crash", "⚡", "the workers die, others take over")
            case "continue_as_new":
                self._mark(at, "continue as new", "↻", "the saga goes on in a new run")
            case "cancel":
                self._say(at, "■", name, "is asked to stop")
            case "late":
                self._close(timer(name, TimerKind.SETTLE), SpanKind.WAIT, at, "ok")
                error = f": {event.error}" if event.error else ""
                self._say(at, "✓" if event.detail == "succeeded" else "✗", name, f"{event.detail} late{error}")
            case "close" if event.saga != ID:
                self._say(at, "·", event.saga[len(ID) + 1 :], f"the child saga is {event.detail}")
            case "close":
                self.marks.append(TimelineMark(at, "end", event.detail))
            case _:
                pass

    def _close_waits(self, at: float) -> None:
        """End every open wait: a signal ends one, whose timer then never fires. Only the next event says which one."""
        for lane, kind in [key for key in self._open if key[1] is SpanKind.WAIT]:
            self._close(lane, kind, at, "ok")

    def _mark(self, at: float, kind: str, sign: str, text: str) -> None:
        self.marks.append(TimelineMark(at, kind, text))
        self._say(at, sign, "", text)

    def _say(self, at: float, sign: str, name: str, text: str) -> None:
        self.lines.append(TimelineRow(at, sign, name, text))

    def _begin(self, span: TimelineSpan) -> None:
        self._open[span.lane, span.kind] = span

    def _close(self, lane: str, kind: SpanKind, at: float, result: str = "", *, drop: bool = False) -> None:
        span = self._open.pop((lane, kind), None)
        if span is not None and not drop:
            self.spans.append(TimelineSpan(lane, kind, span.start, at, result, span.number, span.what))


def _name(event: Event) -> str:
    return call_name(event.saga, ID, event.call) if event.saga and event.call else event.call


def _pause(text: str) -> str:
    return length(float(text.removesuffix("s")))


def length(seconds: float) -> str:
    """Return a duration as people write it, with fractions of a second only where they matter."""
    if seconds < 60:
        return f"{round(seconds, 3):g}s"
    if seconds < 600:
        minutes, rest = divmod(round(seconds, 1), 60)
        return f"{minutes:g}m" + (f"{rest:.1f}s".replace(".0s", "s") if rest else "")
    return spell(timedelta(seconds=round(seconds)))


def text(drawn: Timeline, width: int | None = None) -> Iterator[str]:
    """Yield the lines for people: when, a sign, the name, what happened; *width* is that of their screen."""
    times = [f"+{length(line.at)}" for line in drawn.lines]
    wide = max(map(len, times), default=0)
    names = min(_NAMES, max((len(line.name) for line in drawn.lines), default=0))
    for time, line in zip(times, drawn.lines, strict=True):
        name = clean(line.name)
        when = f"{time.rjust(wide)}  {line.sign} "
        if name:
            has_column = width is None or width - len(when) - names >= _ROOM
            when += f"{name.ljust(names) if has_column else name}  "
        below = " " * (len(when) if width is None or width - len(when) >= _ROOM else wide + 6)
        yield from wrap(clean(line.text), width, when, below) or [when.rstrip()]


def data(drawn: Timeline) -> dict[str, Any]:
    """Return everything as JSON data."""
    return {
        "seconds": drawn.seconds,
        "spans": [
            {
                "call": span.lane,
                "kind": span.kind.value,
                "start": span.start,
                "end": span.end,
                "result": span.result,
                "attempt": span.number or None,
                "what": span.what,
            }
            for span in drawn.spans
        ],
        "marks": [{"at": mark.at, "kind": mark.kind, "what": mark.label} for mark in drawn.marks],
        "lines": [{"at": line.at, "call": line.name, "text": line.text} for line in drawn.lines],
    }


def outcome(played: Played) -> Iterator[str]:
    """Yield how a trial ended: status, failure, what was undone and what was not."""
    failure: Mapping[str, Any] | None = played.failure
    why = ""
    if failure is not None:
        where = f" in `{failure['step']}`" if failure["step"] else ""
        why = f": {failure['type']}{where}: {failure['message']}"
    yield clean(f"{played.status} after {length(played.seconds)} of virtual time{why}")
    yield from (f"  {line}" for line in warnings(played.status_document))
    report = played.report
    if report["undone"]:
        yield f"  undone: {listed(report, 'undone')}"
    for line in report["not_undone"]:
        yield clean(f"  NOT UNDONE: {line['path']}: {line['type']}: {line['message']}")
    if report["not_attempted"]:
        reason = f" ({report['why_not']})" if report.get("why_not") else ""
        yield f"  NOT ATTEMPTED: {listed(report, 'not_attempted')}{reason}"
    for line in report.get("goes_on", ()):
        yield clean(f"  goes on by itself: {line['path']}: saga {line['id']}")
    for line in played.status_document.get("attention") or ():
        yield clean(f"  waits for an operator: {line['path']}: {line['type']}: {line['message']}")
    for signal, paths in (played.status_document.get("waiting_for") or {}).items():
        yield clean(f"  waits for signal `{signal}`: {', '.join(paths)}")
    for sentence in played.refused:
        yield clean(f"  refused: {sentence}")
    if played.cut:
        yield "  it went on and on, and was stopped"
