"""Timelines: what happened in a trial, as lines, spans, a Mermaid diagram and an SVG picture."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import pytest

from sagadsl.language.build import build
from sagadsl.trial.case import Case, interference
from sagadsl.trial.mermaid import mermaid
from sagadsl.trial.mocks import parse
from sagadsl.trial.play import play
from sagadsl.trial.svg import svg
from sagadsl.trial.timeline import SpanKind, Timeline, data, length, outcome, text, timeline
from tests.engine.scenes import act, plain, saga

EVIL = 'x"><script>alert(1)</script>; end #; %%'


def _drawn(
    definition: dict[str, Any], mocks: dict[str, Any] | None = None, when: Sequence[Any] = (), **more: Any
) -> Timeline:
    case = Case("case", mocks=parse(mocks or {}), when=tuple(map(interference, when)))
    sagas = {each["name"]: build(each) for each in more.get("sagas", ())}
    return timeline(more.get("title", "scene"), play(build(definition), case, sagas=sagas))


RETRIED = saga(act("a", retry={"maximum_attempts": 2}), act("b"))


def test_attempts_and_the_pauses_between_them_are_spans() -> None:
    """Back-off as the server computes it, then the compensation in a lane of its own."""
    drawn = _drawn(RETRIED, {"a": [{"error": "Busy"}, {"delay": "2s"}], "b": {"error": "No"}})

    assert [(span.lane, span.kind, span.start, span.end, span.result) for span in drawn.spans] == [
        ("a", SpanKind.ATTEMPT, 0.0, 0.1, "error"),
        ("a", SpanKind.PAUSE, 0.1, 1.1, ""),
        ("a", SpanKind.ATTEMPT, 1.1, 3.1, "ok"),
        ("b", SpanKind.ATTEMPT, 3.1, 3.2, "error"),
        ("a.compensation", SpanKind.ATTEMPT, 3.2, 3.3, "ok"),
    ]
    assert drawn.lanes == ("a", "b", "a.compensation")
    assert (drawn.status, drawn.seconds) == ("compensated", 3.3)


@pytest.mark.parametrize(
    ("more", "given", "line"),
    [
        ({"output": "{{ 1 / 0 }}"}, 1, "  warning: `output` of the saga is null: division by zero, in `{{ 1 / 0 }}`"),
        ({}, "x" * 2_100_000, "  note: what all steps gave has 2,100,008 bytes, at most 2,000,000 fit, so"),
    ],
)
def test_an_output_that_is_null_is_told_in_the_words_of_the_status(more: dict[str, Any], given: Any, line: str) -> None:
    """N16, B8: a note is no warning."""
    played = play(build(saga(plain("a"), **more)), Case("case", mocks=parse({"a": {"output": given}})))

    first, second = outcome(played)
    assert first.startswith("completed after")
    assert second.startswith(line)


def test_lines_say_when_what_happened() -> None:
    """One line for each thing that a person would tell."""
    drawn = _drawn(RETRIED, {"a": [{"error": "Busy"}, {}], "b": {"error": "No"}})

    assert list(text(drawn)) == [
        "  +0s  ▸ a               do.a",
        "+0.1s  ✗ a               attempt 1: Busy, again in 1s",
        "+1.1s  · a               attempt 2",
        "+1.2s  ✓ a               succeeded after 2 attempts",
        "+1.2s  ▸ b               do.b",
        "+1.3s  ✗ b               failed: No",
        "+1.3s  ↶ a.compensation  undo.a",
        "+1.4s  ✓ a.compensation  undone",
    ]


def test_what_comes_from_outside_is_marked() -> None:
    """Cancel, timeout, crash, signals, operators."""
    waits = saga(act("a", retry={}), {"id": "w", "wait_for": {"signal": "go", "timeout": "1d"}}, act("b"), timeout="2d")
    drawn = _drawn(
        waits,
        when=[
            {"at": "a", "crash": True},
            {"at": {"waiting": "go"}, "after": "1h", "signal": "go"},
            {"at": "b", "cancel": True},
        ],
    )

    assert [(mark.kind, length(mark.at)) for mark in drawn.marks] == [
        ("crash", "0s"),
        ("signal", "1h1m1s"),
        ("cancel", "1h1m1s"),
        ("end", "1h1m1s"),
    ]


def test_a_local_activity_that_is_lost_with_its_worker_is_shown_to_its_end() -> None:
    """R53: until another worker begins it anew."""
    step = plain("a", local=True, retry={"maximum_attempts": 2})
    drawn = _drawn(saga(step), {"a": [{"error": "Busy"}, {"delay": "3s"}]}, when=[{"at": "2s", "crash": True}])

    assert [(span.kind, length(span.start), length(span.end or 0), span.result) for span in drawn.spans] == [
        (SpanKind.ATTEMPT, "0s", "0.1s", "error"),
        (SpanKind.PAUSE, "0.1s", "1.1s", ""),
        (SpanKind.ATTEMPT, "1.1s", "12s", "unknown"),
        (SpanKind.ATTEMPT, "12s", "12.1s", "error"),
        (SpanKind.PAUSE, "12.1s", "13.1s", ""),
        (SpanKind.ATTEMPT, "13.1s", "16.1s", "ok"),
    ]
    assert [f"+{length(line.at)} {line.text}" for line in drawn.lines][3:6] == [
        "+2s the workers die, others take over",
        "+12s attempt 1, with another worker",
        "+12.1s attempt 1: Busy, again in 1s",
    ]


def test_the_calls_of_a_child_saga_have_the_step_before_their_names() -> None:
    """R46: the child itself is a span around them."""
    child = saga(act("x"), name="child")
    drawn = _drawn(saga({"id": "c", "saga": "child"}), sagas=[child])

    assert [(span.lane, span.kind) for span in drawn.spans] == [("c", SpanKind.CHILD), ("c/x", SpanKind.ATTEMPT)]


def test_what_has_not_ended_stays_open() -> None:
    """A saga that waits for ever has no end."""
    drawn = _drawn(saga({"id": "w", "wait_for": {"signal": "go"}}), {})
    lost = _drawn(
        saga(act("a", retry="none", timeouts={"schedule_to_close": "1h"})), {"a": {"timeout": "schedule_to_start"}}
    )

    assert drawn.status == "running"
    assert lost.spans[0].end == 3600


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0s"), (0.25, "0.25s"), (59.9, "59.9s"), (60, "1m"), (61.2, "1m1.2s"), (3600, "1h"), (172801, "2d1s")],
)
def test_lengths_are_written_as_people_write_them(seconds: float, shown: str) -> None:
    """Parts of a second only where they can matter."""
    assert length(seconds) == shown


def test_json_has_everything() -> None:
    """It survives the trip through JSON as it is."""
    document = data(_drawn(RETRIED, {"b": {"error": "No"}}))

    assert json.loads(json.dumps(document)) == document
    assert {span["call"] for span in document["spans"]} == {"a", "b", "a.compensation"}


def test_mermaid_names_who_asks_whom() -> None:
    """Participants are groups of activities; a compensation is an open arrow."""
    shown = mermaid(_drawn(RETRIED, {"a": [{"error": "Busy"}, {}], "b": {"error": "No"}}))

    assert shown.splitlines() == [
        "sequenceDiagram",
        "  participant saga as scene",
        "  participant p0 as do",
        "  participant p1 as undo",
        "  saga->>p0: a",
        "  p0--xsaga: error",
        "  Note over saga: a: Busy, again in 1s",
        "  saga->>p0: a (attempt 2)",
        "  p0-->>saga: ok",
        "  saga->>p0: b",
        "  p0--xsaga: error",
        "  saga-)p1: a.compensation",
        "  p1-->>saga: undone",
        "  Note over saga: the saga is compensated",
    ]


def test_hostile_text_stays_text_in_both_pictures() -> None:
    """A title and an error that would end the diagram, or begin a script."""
    drawn = _drawn(saga(act("a", retry={"maximum_attempts": 2})), {"a": [{"error": EVIL}, {"error": EVIL}]}, title=EVIL)
    picture, diagram = svg(drawn), mermaid(drawn)
    root = ElementTree.fromstring(picture)

    assert not [each for each in root.iter() if each.tag.endswith("script")]
    assert EVIL in "".join(root.itertext())
    for line in diagram.splitlines()[1:]:
        assert not re.search(r";(?!$)(?<!#\d;)(?<!#\d\d;)(?<!#\d\d\d;)|<|%%|\bend\b", line), line


def test_a_picture_has_a_lane_for_each_call_and_a_title_for_each_bar() -> None:
    """It can be read by those who cannot see it."""
    drawn = _drawn(RETRIED, {"a": [{"error": "Busy"}, {}], "b": {"error": "No"}})
    root = ElementTree.fromstring(svg(drawn))
    bars = [each for each in root.iter() if each.tag.endswith("rect")]

    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "scene: compensated after 1.4s"
    assert len(bars) == 4
    assert all(bar[0].tag.endswith("title") and bar[0].text for bar in bars)


def test_days_of_waiting_leave_room_for_what_happens() -> None:
    """A stretch without events is drawn short."""
    waits = saga(act("a"), {"id": "w", "sleep": "30d"}, act("b"))
    root = ElementTree.fromstring(svg(_drawn(waits)))
    widths = {each[0].text or "": float(each.attrib["width"]) for each in root.iter() if each.tag.endswith("rect")}
    first, wait = (next(width for name, width in widths.items() if name.startswith(lane)) for lane in ("a:", "w:"))

    assert wait < 20 * first
    assert first > 20


CROWDED = [{"at": f"{at}ms", "signal": f"a-signal-with-a-long-name-{at}"} for at in (10, 20, 30, 2000, 2010)]


def _texts(picture: str) -> list[tuple[float, float, float, str]]:
    """Return each text of a picture: its left end, its right end, its line, and what it says."""
    root = ElementTree.fromstring(picture)
    found = []
    for each in root.iter():
        if each.tag.endswith("text"):
            said = each.text or ""
            room = len(said) * 7.2
            left = float(each.attrib["x"]) - (room / 2 if each.attrib.get("text-anchor") == "middle" else 0)
            found.append((left, left + room, float(each.attrib["y"]), said))
    return found


def _crowded() -> list[Timeline]:
    steps = [act(f"step_{number}") for number in range(30)]
    waits = saga(act("a"), {"id": "w", "sleep": "30d"}, act("b"), act("c", compensation={"activity": "undo.c"}))
    named = [{"id": f"w{number}", "wait_for": {"signal": each["signal"]}} for number, each in enumerate(CROWDED)]
    return [
        _drawn(saga(*steps)),
        _drawn(saga(*steps), {"step_29": {"error": "No"}}),
        _drawn(waits, {"c": [{"delay": "100ms"}]}),
        _drawn(saga(*named), when=CROWDED),
        _drawn(saga(act("a")), title="a title that is longer than the picture " * 6),
    ]


@pytest.mark.parametrize("number", range(5))
def test_no_text_of_a_picture_lies_over_another_one_or_is_cut(number: int) -> None:
    picture = svg(_crowded()[number])
    canvas, texts = ElementTree.fromstring(picture).attrib, _texts(picture)

    assert len(texts) > 4
    for left, right, line, said in texts:
        assert left >= 0, said
        assert right <= float(canvas["width"]), said
        assert line < float(canvas["height"]), said
        for other_left, other_right, other_line, other in texts:
            is_same = (left, line) == (other_left, other_line)
            assert is_same or line != other_line or right <= other_left or other_right <= left, (said, other)


@pytest.mark.parametrize("number", range(5))
def test_an_axis_tells_its_times_apart_and_names_the_end(number: int) -> None:
    drawn = _crowded()[number]
    root = ElementTree.fromstring(svg(drawn))
    times = [each.text for each in root.iter() if each.attrib.get("text-anchor") == "middle"]

    assert len(times) == len(set(times)) > 1
    assert times[-1] == length(drawn.seconds) or (times[-1] or "").startswith("+")


def test_a_legend_says_what_the_colours_mean() -> None:
    shown = [said for *_, said in _texts(svg(_drawn(RETRIED, {"a": [{"error": "Busy"}, {}], "b": {"error": "No"}})))]

    assert shown[-4:] == ["done", "undone", "failed", "pause before the next attempt"]


def test_a_child_that_goes_on_by_itself_is_not_called_cancelled() -> None:
    kid = {**saga(plain("w")), "name": "kid"}
    parent = saga({"id": "left", "saga": "kid", "on_cancel": "abandon", "compensation": "none"})
    drawn = _drawn(parent, {"left/w": {"delay": "9s"}}, [{"at": "1s", "cancel": True}], sagas=(kid,))

    assert [span.result for span in drawn.spans if span.lane == "left"] == ["abandoned"]
    assert "p0--xsaga: goes on by itself" in mermaid(drawn)
