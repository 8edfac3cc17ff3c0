"""A definition or a run as a picture. It has no script, suits light and dark pages, and escapes other people's text."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from sagadsl.drawing import looks, words
from sagadsl.drawing.layout import Layout, layout
from sagadsl.drawing.marks import Marks
from sagadsl.drawing.palette import CLASSES, class_of
from sagadsl.drawing.pieces import CHARACTER, LINE, Path, Rectangle
from sagadsl.drawing.tree import Tree

_KEY = 26.0


def svg(tree: Tree, marks: Marks | None = None, width: float | None = None) -> str:
    """Return the picture of a definition, or, with marks, of a run; of about this width in pixels, if one is given.

    Each box is a group with the path of its step and with its text as a label: a page can tell them apart.
    """
    placed = layout(tree, marks, width)
    title = words.short(tree.title)
    keys = list(_keys(placed))
    whole = max(
        placed.width, 48 + len(title) * 8.6, 48 + max((len(key) for _, key in keys), default=0) * CHARACTER + 40
    )
    rows = _rows(keys, whole)
    height = placed.height + _KEY * len(rows) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="saga" width="{whole:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {whole:.0f} {height:.0f}" role="group" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title><style>{looks.of_its_own()}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
            'markerUnits="userSpaceOnUse"><path class="tip" d="M0 0 8 4 0 8Z"/></marker></defs>',
            f'<text class="title" x="24" y="22">{escape(title)}</text>',
            *(line for each in placed.rectangles for line in _rectangle(each)),
            '<g class="lines" aria-hidden="true">',
            *map(_path, placed.paths),
            *(f'<text x="{each.x:.1f}" y="{each.y:.1f}">{escape(each.text)}</text>' for each in placed.labels),
            '</g><g class="legend" aria-hidden="true">',
            *(line for number, row in enumerate(rows) for line in _key_row(row, placed.height + _KEY * number)),
            "</g></svg>",
        ]
    )


def _class(box: Rectangle) -> str:
    name = class_of(box.state, pivot=box.pivot, undo=box.role == "undo")
    return name and f" c-{name}"


def _rectangle(box: Rectangle) -> Iterator[str]:
    kind = f"{box.role}{_class(box)}"
    rounded = {"end": 12, "wait": 8, "frame": 6, "handler": 6}.get(box.role, 2)
    if box.path:
        kind_of = "undo" if box.role == "undo" else "step"
        yield f'<g class="{kind_of}" data-path="{escape(box.path)}" role="img" aria-label="{escape(box.said)}">'
        if any(line.endswith("…") for line in box.lines):
            yield f"<title>{escape(box.said)}</title>"
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{rounded}"'
    yield f'<rect class="{kind}" {place}/>'
    for number, line in enumerate(box.lines):
        weight = " id" if number == 0 and box.role not in ("undo", "handler") else ""
        y = box.y + LINE * (number + 1)
        yield f'<text class="{kind}{weight}" x="{box.x + 10:.1f}" y="{y:.1f}">{escape(line)}</text>'
    if box.path:
        yield "</g>"


def _path(path: Path) -> str:
    kind = {"undo": "undo-line", "pivot": "pivot-line"}.get(path.kind, path.kind)
    tip = "" if path.kind in ("undo", "pivot", "between") else ' marker-end="url(#tip)"'
    points = " ".join(f"{x:.1f} {y:.1f}" for x, y in path.points)
    return f'<path class="{kind}" d="M{points}"{tip}/>'


def _keys(placed: Layout) -> Iterator[tuple[str, str]]:
    """Yield what has to be explained of what is there: the class of a sample, and its words."""
    roles = {box.role for box in placed.rectangles}
    names = {"undo": "compensation", "wait": "waits", "saga": "child saga", "handler": "error handler"}
    for role, word in names.items():
        if role in roles:
            yield role + (" c-undo" if role == "undo" else ""), word
    found: dict[str, set[str]] = {}
    for box in placed.rectangles:
        found.setdefault(_class(box), set()).add(box.state)
    for name in CLASSES:
        if name != "undo" and (states := found.get(f" c-{name}")) is not None:
            # One colour stands for several states: the words are those of the states, so that none says too much.
            yield f"step c-{name}", ", ".join(sorted(map(words.in_words, filter(None, states)))) or name


def _rows(keys: list[tuple[str, str]], width: float) -> list[list[tuple[float, str, str]]]:
    rows: list[list[tuple[float, str, str]]] = [[]] if keys else []
    x = 24.0
    for kind, word in keys:
        room = 28 + len(word) * CHARACTER + 20
        if rows[-1] and x + room > width:
            rows.append([])
            x = 24.0
        rows[-1].append((x, kind, word))
        x += room
    return rows


def _key_row(row: list[tuple[float, str, str]], y: float) -> Iterator[str]:
    for x, kind, word in row:
        yield f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="20" height="14"/>'
        yield f'<text x="{x + 28:.1f}" y="{y + 12:.1f}">{word}</text>'
