"""The picture of any saga: no box over another one, no line through a box, no text outside."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest

from sagadsl.drawing.flow import flow
from sagadsl.drawing.layout import CHARACTER, LINE, Layout, Point, Rectangle, layout
from sagadsl.drawing.marks import Mark
from sagadsl.drawing.mermaid import mermaid
from sagadsl.drawing.svg import svg
from sagadsl.drawing.tree import tree
from sagadsl.language.build import build
from tests.drawing.test_forms import ALL, states

ENDED = ("flow", "thick", "back", "error", "undo")
HOLDS_BOXES = ("frame", "handler")


def _layouts(name: str) -> list[Layout]:
    return [layout(tree(ALL[name])), layout(tree(ALL[name]), states(ALL[name]))]


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
    shown = {each.text for each in root.iter("{http://www.w3.org/2000/svg}text")}
    canvas = float(root.attrib["width"])

    assert {line for box in layout(tree(ALL[name]), states(ALL[name])).rectangles for line in box.lines} <= shown
    for each in root.iter("{http://www.w3.org/2000/svg}text"):
        assert float(each.attrib["x"]) + len(each.text or "") * CHARACTER <= canvas, each.text
    assert "<script" not in text
    assert not re.search(r"\bon\w+=", re.sub(r">[^<]*<", "><", text))


def test_a_long_saga_has_several_columns() -> None:
    drawn = layout(tree(ALL["long"]))

    assert 0.5 < drawn.width / drawn.height < 4
    assert len({box.x for box in drawn.rectangles if box.role == "step"}) > 2


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
