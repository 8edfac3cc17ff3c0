"""A flow in the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.drawing.flow import Arrow, Cluster, Flow, FlowNode, Line, NodeShape
from sagadsl.drawing.palette import CLASSES, class_of

_SHAPES = {
    NodeShape.TERMINAL: 'shape=box style="rounded,filled"',
    NodeShape.STEP: 'shape=box style="filled"',
    NodeShape.CHILD: 'shape=component style="filled"',
    NodeShape.WAIT: 'shape=parallelogram style="filled"',
    NodeShape.CHOICE: 'shape=diamond style="filled"',
    NodeShape.LOOP: 'shape=hexagon style="filled"',
    NodeShape.FORK: 'shape=invtrapezium style="filled"',
    NodeShape.JOIN: 'shape=circle width=0.15 fixedsize=true style="filled"',
    NodeShape.UNDO: 'shape=note style="filled,dashed"',
}
_LINES = {
    Line.FLOW: "",
    Line.PIVOT: "style=bold penwidth=3",
    Line.BACK: "style=dashed constraint=false",
    Line.ERROR: 'style=dashed color="#b3261e"',
    Line.UNDO: 'style=dashed arrowhead=odot color="#5b3fa8"',
}


def dot(drawn: Flow) -> str:
    """Return the source of the graph."""
    return "\n".join(_lines(drawn))


def _lines(drawn: Flow) -> Iterator[str]:
    yield f"digraph {_quoted(drawn.title)} {{"
    yield '  node [fontname="sans-serif" fontsize=11 fillcolor="#ffffff"]'
    yield '  edge [fontname="sans-serif" fontsize=10]'
    for item in drawn.inside:
        yield from _item(item, "  ")
    yield from (f"  {_arrow(each)}" for each in drawn.arrows)
    yield "}"


def _item(item: FlowNode | Cluster, margin: str) -> Iterator[str]:
    if isinstance(item, Cluster):
        yield f"{margin}subgraph cluster_{item.id} {{"
        yield f"{margin}  label={_quoted(item.title)} style=rounded"
        for each in item.inside:
            yield from _item(each, f"{margin}  ")
        yield f"{margin}}}"
        return
    name = class_of(item.state, pivot=item.pivot, undo=item.shape is NodeShape.UNDO)
    style = CLASSES.get(name)
    colours = f' fillcolor="{style.fill}" color="{style.stroke}" fontcolor="{style.text}"' if style else ""
    peripheries = " peripheries=2" if item.pivot else ""
    yield f"{margin}{item.id} [label={_quoted(*item.lines)} {_SHAPES[item.shape]}{colours}{peripheries}]"


def _arrow(arrow: Arrow) -> str:
    label = f"label={_quoted(arrow.label)}" if arrow.label else ""
    style = " ".join(filter(None, (label, _LINES[arrow.line])))
    return f"{arrow.start} -> {arrow.end}" + (f" [{style}]" if style else "")


def _quoted(*lines: str) -> str:
    """Return a quoted string; no backslash of the text means anything to Graphviz."""
    return '"' + "\\n".join(each.replace("\\", "\\\\").replace('"', '\\"') for each in lines) + '"'
