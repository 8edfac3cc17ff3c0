"""A definition or a run as a picture. It has no script, suits light and dark pages, and escapes other people's text."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from sagadsl.drawing import words
from sagadsl.drawing.layout import CHARACTER, LINE, Layout, Path, Rectangle, layout
from sagadsl.drawing.marks import Marks
from sagadsl.drawing.palette import CLASSES, class_of
from sagadsl.drawing.tree import Tree

_KEY = 26.0
_STYLE = """
  svg { font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; background: #fff; color: #1c1e21 }
  text { fill: currentColor; white-space: pre } .title { font-weight: bold; font-size: 14px } .id { font-weight: bold }
  rect { fill: #fff; stroke: #8a8d91 } rect.frame, rect.handler { fill: none }
  rect.handler { stroke: #b3261e; stroke-dasharray: 4 3 }
  rect.wait { stroke-width: 2.5; stroke-dasharray: 1 2 } rect.saga { stroke-width: 3 } rect.end { stroke-width: 2 }
  path { fill: none; stroke: #6a6e74 } .back, .undo-line { stroke-dasharray: 4 3 } .thick { stroke-width: 3 }
  .error { stroke: #b3261e; stroke-dasharray: 4 3 } .undo-line { stroke: #7b5fc8 } .between { stroke: #8886 }
  .pivot-line { stroke: #b08900; stroke-width: 2; stroke-dasharray: 8 4 } .tip { fill: #6a6e74 }
  @media (prefers-color-scheme: dark) {
    svg { background: #16181c; color: #e6e7e9 } rect { fill: #23272e } path { stroke: #a2a7ae } .tip { fill: #a2a7ae }
    .error, rect.handler { stroke: #f08a82 } .undo-line { stroke: #b7a3f0 } rect.frame, rect.handler { fill: none }
  }
"""


def svg(tree: Tree, marks: Marks | None = None) -> str:
    """Return the picture."""
    placed = layout(tree, marks)
    title = words.short(tree.title)
    keys = list(_keys(placed))
    width = max(
        placed.width, 48 + len(title) * 8.6, 48 + max((len(key) for _, key in keys), default=0) * CHARACTER + 40
    )
    rows = _rows(keys, width)
    height = placed.height + _KEY * len(rows) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title><style>{_STYLE}{_classes()}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto" '
            'markerUnits="userSpaceOnUse"><path class="tip" d="M0 0 8 4 0 8Z" stroke="none"/></marker></defs>',
            f'<text class="title" x="24" y="22">{escape(title)}</text>',
            *(line for each in placed.rectangles for line in _rectangle(each)),
            *map(_path, placed.paths),
            *(f'<text x="{each.x:.1f}" y="{each.y:.1f}">{escape(each.text)}</text>' for each in placed.labels),
            *(line for number, row in enumerate(rows) for line in _key_row(row, placed.height + _KEY * number)),
            "</svg>",
        ]
    )


def _classes() -> str:
    lines = []
    for name, style in CLASSES.items():
        frame = f"stroke: {style.stroke}" + ("; stroke-width: 3" if style.thick else "")
        dashed = "; stroke-dasharray: 4 3" if style.dashed else ""
        lines.append(f"rect.c-{name} {{ fill: {style.fill}; {frame}{dashed} }} text.c-{name} {{ fill: {style.text} }}")
        lines.append(f"rect.frame.c-{name} {{ fill: none }} text.frame {{ fill: currentColor }}")
    return "\n".join(lines)


def _class(box: Rectangle) -> str:
    name = class_of(box.state, pivot=box.pivot, undo=box.role == "undo")
    return name and f" c-{name}"


def _rectangle(box: Rectangle) -> Iterator[str]:
    kind = f"{box.role}{_class(box)}"
    rounded = {"end": 12, "wait": 8, "frame": 6, "handler": 6}.get(box.role, 2)
    place = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{rounded}"'
    yield f'<rect class="{kind}" {place}/>'
    for number, line in enumerate(box.lines):
        weight = " id" if number == 0 and box.role not in ("undo", "handler") else ""
        y = box.y + LINE * (number + 1)
        yield f'<text class="{kind}{weight}" x="{box.x + 10:.1f}" y="{y:.1f}">{escape(line)}</text>'


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
            yield f"step c-{name}", ", ".join(sorted(filter(None, states))) or name


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
