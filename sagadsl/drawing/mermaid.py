"""A flow as a Mermaid flowchart, which GitHub, GitLab and many wikis draw."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sagadsl.drawing.flow import Arrow, Cluster, Flow, FlowNode, Line, NodeShape
from sagadsl.drawing.palette import CLASSES, class_of

_SHAPES = {
    NodeShape.TERMINAL: '(["{}"])',
    NodeShape.STEP: '["{}"]',
    NodeShape.CHILD: '[["{}"]]',
    NodeShape.WAIT: '[/"{}"/]',
    NodeShape.CHOICE: '{{"{}"}}',
    NodeShape.LOOP: '{{{{"{}"}}}}',
    NodeShape.FORK: '[\\"{}"/]',
    NodeShape.JOIN: '(("{}"))',
    NodeShape.UNDO: '>"{}"]',
}
_LINES = {Line.FLOW: "-->", Line.PIVOT: "==>", Line.BACK: "-.->", Line.ERROR: "-.->", Line.UNDO: "-.-o"}


def mermaid(drawn: Flow) -> str:
    """Return the source of the diagram."""
    return "\n".join(_lines(drawn))


def _lines(drawn: Flow) -> Iterator[str]:
    yield "flowchart TD"
    used: set[str] = set()
    for item in drawn.inside:
        yield from _item(item, "  ", used)
    yield from (f"  {_arrow(each)}" for each in drawn.arrows)
    for name in sorted(used):
        style = CLASSES[name]
        dashed = ",stroke-dasharray:4 3" if style.dashed else ""
        width = ",stroke-width:4px" if style.thick else ""
        yield f"  classDef {name} fill:{style.fill},stroke:{style.stroke},color:{style.text}{width}{dashed}"


def _item(item: FlowNode | Cluster, margin: str, used: set[str]) -> Iterator[str]:
    if isinstance(item, Cluster):
        yield f'{margin}subgraph {item.id}["{quoted(item.title)}"]'
        for each in item.inside:
            yield from _item(each, f"{margin}  ", used)
        yield f"{margin}end"
        return
    name = class_of(item.state, pivot=item.pivot, undo=item.shape is NodeShape.UNDO)
    used |= {name} if name else set()
    text = "<br/>".join(map(quoted, item.lines))
    yield f"{margin}{item.id}{_SHAPES[item.shape].format(text or ' ')}{f':::{name}' if name else ''}"


def _arrow(arrow: Arrow) -> str:
    label = f'|"{quoted(arrow.label)}"|' if arrow.label else ""
    return f"{arrow.start} {_LINES[arrow.line]}{label} {arrow.end}"


def quoted(text: str) -> str:
    """Return text that Mermaid takes as text between quotes, whatever stands in it.

    A number with a dot, or a sign of a list, at the beginning would make a list of it.
    """
    coded = re.sub(r"[^\w \-./()*:,'?+=·▶‖✓✗»⊘↗↩⊖…@!%$§\[\]]", lambda found: f"#{ord(found[0])};", text)
    return re.sub(r"^(\d+)\.|^([-*+])", lambda found: f"{found[1]}#46;" if found[1] else f"#{ord(found[2])};", coded)
