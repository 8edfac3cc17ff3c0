"""The picture of any saga: no box over another one, no line through a box, no text outside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from sagadsl.drawing.flow import flow
from sagadsl.drawing.layout import Layout, layout
from sagadsl.drawing.marks import Mark, marks
from sagadsl.drawing.mermaid import mermaid
from sagadsl.drawing.palette import CLASSES, DARK, Style
from sagadsl.drawing.pieces import CHARACTER, LINE, Point, Rectangle
from sagadsl.drawing.svg import svg
from sagadsl.drawing.tree import tree
from sagadsl.language.build import build
from sagadsl.status.lines import StatusRow
from tests.drawing.test_forms import ALL, states

SVG = "{http://www.w3.org/2000/svg}"
PAID = {
    "id": "loop",
    "for_each": {"items": [1, 2], "as": "item"},
    "steps": [{"id": "pay", "activity": "pay", "compensation": {"activity": "refund"}}],
}
ENDED = ("flow", "thick", "back", "error", "undo")
HOLDS_BOXES = ("frame", "handler")


def _layouts(name: str) -> list[Layout]:
    drawn, run = tree(ALL[name]), states(ALL[name])
    return [layout(drawn), layout(drawn, run), layout(drawn, run, 1100.0), layout(drawn, None, 330.0)]


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return (
        one.x < other.x + other.width
        and other.x < one.x + one.width
        and one.y < other.y + other.height
        and other.y < one.y + one.height
    )


def _holds(outer: Rectangle, inner: Rectangle) -> bool:
    """Whether a box is in a frame, below the frame's text."""
    return (
        outer.role in HOLDS_BOXES
        and outer.x <= inner.x
        and inner.x + inner.width <= outer.x + outer.width
        and outer.y + LINE * len(outer.lines) <= inner.y
        and inner.y + inner.height <= outer.y + outer.height
    )


def _is_at_border(point: Point, box: Rectangle) -> bool:
    x, y = point
    across = box.x - 0.1 <= x <= box.x + box.width + 0.1
    along = box.y - 0.1 <= y <= box.y + box.height + 0.1
    at_side = min(abs(x - box.x), abs(x - box.x - box.width)) < 0.1
    at_end = min(abs(y - box.y), abs(y - box.y - box.height)) < 0.1
    return across and along and (at_side or at_end)


def _crosses(start: Point, end: Point, box: Rectangle) -> bool:
    """Whether a straight line goes through the inside of a box."""
    left, right = sorted((start[0], end[0]))
    top, bottom = sorted((start[1], end[1]))
    return (
        left < box.x + box.width - 0.1
        and right > box.x + 0.1
        and top < box.y + box.height - 0.1
        and bottom > box.y + 0.1
    )


@pytest.mark.parametrize("name", ALL)
def test_no_two_boxes_overlap(name: str) -> None:
    for drawn in _layouts(name):
        for one, other in combinations(drawn.rectangles, 2):
            assert not _overlap(one, other) or _holds(one, other) or _holds(other, one), (one, other)


@pytest.mark.parametrize("name", ALL)
def test_every_line_ends_at_boxes_and_goes_through_none(name: str) -> None:
    for drawn in _layouts(name):
        for path in drawn.paths:
            if path.kind in ENDED:
                for end in (path.points[0], path.points[-1]):
                    assert any(_is_at_border(end, box) for box in drawn.rectangles), (path, end)
            for start, end in pairwise(path.points):
                assert start[0] == end[0] or start[1] == end[1]
                for box in drawn.rectangles:
                    assert box.role in HOLDS_BOXES or not _crosses(start, end, box), (path, box)


@pytest.mark.parametrize("name", ALL)
def test_every_text_is_in_its_box_and_every_label_on_the_canvas(name: str) -> None:
    for drawn in _layouts(name):
        boxes = [each for each in drawn.rectangles if each.role not in HOLDS_BOXES]
        for box in drawn.rectangles:
            assert max(map(len, box.lines)) * CHARACTER <= box.width, box
            assert 0 <= box.x <= box.x + box.width <= drawn.width
            assert 0 <= box.y <= box.y + box.height <= drawn.height
        for label in drawn.labels:
            place = Rectangle(label.x, label.y - LINE + 4, len(label.text) * CHARACTER, LINE, "label")
            assert label.x + place.width <= drawn.width
            assert not any(_overlap(place, box) for box in boxes), label


@pytest.mark.parametrize("name", ALL)
def test_the_picture_is_xml_with_every_line_of_text(name: str) -> None:
    text = svg(tree(ALL[name]), states(ALL[name]))
    root = ElementTree.fromstring(text)
    shown = {each.text for each in root.iter(f"{SVG}text")}
    canvas = float(root.attrib["width"])

    assert {line for box in layout(tree(ALL[name]), states(ALL[name])).rectangles for line in box.lines} <= shown
    for each in root.iter(f"{SVG}text"):
        assert float(each.attrib["x"]) + len(each.text or "") * CHARACTER <= canvas, each.text
    assert "<script" not in text
    assert not re.search(r"\bon\w+=", re.sub(r">[^<]*<", "><", text))


def test_a_long_saga_has_several_columns() -> None:
    drawn = layout(tree(ALL["long"]))

    assert 0.5 < drawn.width / drawn.height < 4
    assert len({box.x for box in drawn.rectangles if box.role == "step"}) > 2


def test_a_long_saga_uses_the_width_that_is_there() -> None:
    """Also on a phone: then all that can be narrow is below each other."""
    drawn = tree(ALL["long"])
    columns = {width: layout(drawn, None, width) for width in (420.0, 1100.0, 1850.0)}

    assert all(each.width <= width for width, each in columns.items())
    assert [columns[width].height for width in (420.0, 1100.0, 1850.0)] == sorted(
        (each.height for each in columns.values()), reverse=True
    )
    assert columns[1850.0].width > 1500


def test_a_short_saga_is_not_torn_apart() -> None:
    drawn = layout(tree(ALL["transfer_money.saga.yaml"]), None, 1850.0)

    assert len({box.x for box in drawn.rectangles if box.role == "step"}) == 1


@pytest.mark.parametrize("name", ["transfer_money.saga.yaml", "fulfil_order.saga.yaml", "book_trip.saga.yaml", "long"])
@pytest.mark.parametrize("width", [None, 1100.0])
def test_boxes_stay_where_they_are_while_a_saga_runs(name: str, width: float | None) -> None:
    drawn = tree(ALL[name])
    paths = [each.path for each in layout(drawn).rectangles if each.path]
    undone = Mark("completed", "✓", "", "undone", "compensated", "↩")
    moments = [
        {},
        {path: Mark("running", "▶") for path in paths},
        {path: Mark("completed", "✓", " \N{MULTIPLICATION SIGN} 12" if "[]" in path else "") for path in paths},
        dict.fromkeys(paths, undone),
    ]
    places = [
        [(box.x, box.y, box.width, box.height) for box in layout(drawn, each, width).rectangles] for each in moments
    ]

    assert all(each == places[0] for each in places)


def test_what_is_shortened_is_told_in_full() -> None:
    """By the box's title, and as what a screen reader says of it."""
    text = svg(tree(ALL["fulfil_order.saga.yaml"]), {"approve": Mark("compensating", "↩")})
    condition = "if steps.total.output.amount > (input.approval_above | default(100000))"
    whole = f"approve, one after the other, {condition}, compensating"
    (box,) = [each for each in ElementTree.fromstring(text).iter(f"{SVG}g") if each.get("data-path") == "approve"]

    assert (box.get("aria-label"), box.findtext(f"{SVG}title")) == (whole, whole)


def test_of_several_rounds_the_picture_tells_of_the_one_that_is_not_undone() -> None:
    """A round that was undone first does not stand for all of them."""
    saga = build({"sagadsl": 1, "name": "x", "steps": [PAID]})
    lines = [
        *(StatusRow(f"loop[{index}]/pay", "✓", "completed", "pay", "pay") for index in (0, 1)),
        StatusRow("loop[1]/pay.compensation", "↩", "compensated", "pay", "undone"),
        StatusRow("loop[0]/pay.compensation", "✗", "failed", "pay", "not undone"),
    ]
    root = ElementTree.fromstring(svg(tree(saga), marks(lines)))
    told = [each.get("aria-label") for each in root.iter(f"{SVG}g") if each.get("data-path") == "loop[]/pay"]

    assert told == [
        "pay \N{MULTIPLICATION SIGN} 2, pay, completed",
        "compensation of pay, refund, not undone \N{MULTIPLICATION SIGN} 1",
    ]
    assert {box.get("class") for box in root.iter(f"{SVG}rect")} >= {"undo c-failed", "step c-failed"}


def test_a_call_that_told_of_a_pause_has_its_state() -> None:
    notices = [
        {"call": f"on_pause[{number}]/tell", "status": status} for number, status in enumerate(("failed", "completed"))
    ]

    assert marks([], notices) == {"on_pause[]/tell": Mark("failed", "✗", " \N{MULTIPLICATION SIGN} 2")}


@pytest.mark.parametrize("styles", [CLASSES, DARK], ids=["light", "dark"])
def test_every_text_is_readable_in_its_box(styles: Mapping[str, Style]) -> None:
    """The contrast that the Web Content Accessibility Guidelines ask for: 4.5 for text, 3 for the frame."""
    page = "#ffffff" if styles is CLASSES else "#16181c"
    assert styles.keys() == CLASSES.keys()
    for name, style in styles.items():
        assert _contrast(style.text, style.fill) >= 4.5, name
        assert _contrast(style.stroke, page) >= 3, name


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_legend_explains_what_is_there_and_nothing_else() -> None:
    drawn = svg(tree(ALL["transfer_money.saga.yaml"]))

    assert re.findall(r">(compensation|waits|child saga|error handler|pivot)<", drawn) == ["compensation"]


def test_a_legend_says_no_more_than_the_states_that_are_there() -> None:
    """A step that is being undone is not called undone, and one of which nobody knows has not failed."""
    saga = ALL["transfer_money.saga.yaml"]
    going = {"withdraw": Mark("completed", "✓", "", "undoing", "compensating", "↩"), "deposit": Mark("unknown", "?")}
    words = set(re.findall(r'width="20" height="14"/>\n<text[^>]*>([^<]*)<', svg(tree(saga), going)))

    assert words == {"compensation", "compensating", "unknown"}


NO = {"id": "no", "fail": {"type": "Refused", "message": "no"}}
BACK = {"id": "back", "return": {"done": True}}
CHOICE = {"id": "choice", "switch": [{"if": "{{ true }}", "steps": [BACK]}, {"else": [NO]}]}


@pytest.mark.parametrize(
    ("step", "completes"),
    [
        (NO, False),
        ({**NO, "on_error": "continue"}, True),
        (CHOICE, False),
        ({**CHOICE, "if": "{{ false }}"}, True),
        ({**CHOICE, "on_error": "continue"}, True),
        ({"id": "choice", "switch": [{"if": "{{ true }}", "steps": [BACK]}, {"else": []}]}, True),
        ({"id": "group", "steps": [CHOICE]}, False),
        ({"id": "each", "for_each": {"items": [1], "as": "item"}, "steps": [NO]}, True),
    ],
)
def test_a_saga_that_never_gets_to_its_end_has_no_way_to_completed(step: dict[str, object], completes: bool) -> None:
    drawn = tree(build({"sagadsl": 1, "name": "x", "steps": [step]}))

    assert any(each.lines == ("completed",) for each in layout(drawn).rectangles) is completes
    assert ('done(["completed"])' in mermaid(flow(drawn))) is completes
