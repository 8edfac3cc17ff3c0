"""A timeline as a Mermaid sequence diagram: the saga, its participants, who asks whom for what, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sagadsl.trial.timeline import SpanKind, Timeline, TimelineSpan, length

_SAGA = "saga"


def mermaid(drawn: Timeline) -> str:
    """Return the source of the diagram. A participant is the part of activities' names before the last dot."""
    lines = ["sequenceDiagram", f"  participant {_SAGA} as {_text(drawn.title)}"]
    groups = {group: f"p{number}" for number, group in enumerate(dict.fromkeys(map(_group, _calls(drawn))))}
    lines += [f"  participant {id_} as {_text(group)}" for group, id_ in groups.items()]
    events: list[tuple[float, int, str]] = []
    for number, span in enumerate(drawn.spans):
        for at, line in _of_span(span, groups):
            events.append((at, number, line))
    for number, mark in enumerate(drawn.marks):
        said = mark.label if mark.kind != "end" else f"the saga is {mark.label}"
        events.append((mark.at, len(drawn.spans) + number, f"  Note over {_SAGA}: {_text(said)}"))
    lines += [line for _, _, line in sorted(events, key=lambda event: event[:2])]
    return "\n".join(lines)


def _calls(drawn: Timeline) -> Iterator[TimelineSpan]:
    return (span for span in drawn.spans if span.kind in (SpanKind.ATTEMPT, SpanKind.CHILD))


def _group(span: TimelineSpan) -> str:
    return span.what if span.kind is SpanKind.CHILD else span.what.rpartition(".")[0] or span.what


def _of_span(span: TimelineSpan, groups: dict[str, str]) -> Iterator[tuple[float, str]]:
    match span.kind:
        case SpanKind.ATTEMPT | SpanKind.CHILD:
            to, arrow = groups[_group(span)], "-)" if span.is_undo else "->>"
            again = f" (attempt {span.number})" if span.number > 1 else ""
            yield span.start, f"  {_SAGA}{arrow}{to}: {_text(f'{span.lane}{again}')}"
            if span.end is not None:
                back, word = {
                    "ok": ("-->>", "undone" if span.is_undo else "ok"),
                    "error": ("--x", "error"),
                    "cancelled": ("--x", "cancelled"),
                    "abandoned": ("--x", "goes on by itself"),
                }.get(span.result, ("--x", "never heard of again"))
                yield span.end, f"  {to}{back}{_SAGA}: {_text(word)}"
        case SpanKind.PAUSE:
            pause = "" if span.end is None else f", again in {length(span.end - span.start)}"
            yield span.start, f"  Note over {_SAGA}: {_text(f'{span.lane}: {span.what}{pause}')}"
        case SpanKind.WAIT:
            waits = "" if span.end is None else f" {length(span.end - span.start)}"
            yield span.start, f"  Note over {_SAGA}: {_text(f'{span.lane} waits{waits}')}"


def _text(text: str) -> str:
    """Return text that Mermaid takes as text, whatever stands in it."""
    flat = " ".join(text.split())[:200] or "-"
    coded = re.sub(r"[^\w \-./\[\]()*:,'!?=+@äöüÄÖÜß]", lambda found: f"#{ord(found[0])};", flat)
    return re.sub(r"(?i)\bend\b", lambda found: f"#{ord(found[0][0])};{found[0][1:]}", coded)
