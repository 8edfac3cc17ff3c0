"""A tree of boxes as nodes, clusters and arrows: what Mermaid and DOT lay out by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from sagadsl.drawing import words
from sagadsl.drawing.marks import NONE, Marks
from sagadsl.drawing.tree import Box, Strip, Tree
from sagadsl.immutable import Immutable


class NodeShape(Enum):
    """The shapes of nodes."""

    TERMINAL = "terminal"
    STEP = "step"
    CHILD = "child"
    WAIT = "wait"
    CHOICE = "choice"
    LOOP = "loop"
    FORK = "fork"
    JOIN = "join"
    UNDO = "undo"


class Line(Enum):
    """The kinds of arrows."""

    FLOW = "flow"
    PIVOT = "pivot"
    BACK = "back"
    ERROR = "error"
    UNDO = "undo"


_SHAPES = {
    "saga": NodeShape.CHILD,
    "wait_for": NodeShape.WAIT,
    "sleep": NodeShape.WAIT,
    "switch": NodeShape.CHOICE,
    "for_each": NodeShape.LOOP,
    "repeat": NodeShape.LOOP,
    "parallel": NodeShape.FORK,
    "group": NodeShape.FORK,
    "fail": NodeShape.TERMINAL,
    "return": NodeShape.TERMINAL,
}


class FlowNode(Immutable):
    """One node; ``path`` is that of its box, and empty for the nodes that are no step."""

    id: str
    lines: tuple[str, ...]
    shape: NodeShape
    path: str = ""
    state: str = ""
    pivot: bool = False


class Cluster(Immutable):
    """Nodes with a frame around them."""

    id: str
    title: str
    inside: tuple[FlowNode | Cluster, ...]


class Arrow(Immutable):
    """From one node to another one."""

    start: str
    end: str
    line: Line = Line.FLOW
    label: str = ""


class Flow(Immutable):
    """A drawing without places."""

    title: str
    inside: tuple[FlowNode | Cluster, ...]
    arrows: tuple[Arrow, ...]


Items = list[FlowNode | Cluster]


class _Loose(Immutable):
    """An arrow whose end is not known yet."""

    start: str
    line: Line = Line.FLOW
    label: str = ""


def flow(tree: Tree, marks: Marks | None = None) -> Flow:
    """Return the nodes and arrows of a definition, with the states of a run where *marks* has them."""
    return _Builder(marks or {}).whole(tree)


class _Builder:
    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._arrows: list[Arrow] = []
        self._numbers = 0

    def whole(self, tree: Tree) -> Flow:
        start = FlowNode("start", (words.short(tree.title),), NodeShape.TERMINAL)
        inside, loose = self._row(tree.steps, [_Loose("start")])
        items: Items = [start, *inside]
        if loose:
            items.append(FlowNode("done", ("completed",), NodeShape.TERMINAL))
            self._tie(loose, "done")
        for part in tree.aside:
            aside, _ = self._row(part.boxes, [])
            items.append(Cluster(self._id(), part.label, tuple(aside)))
        return Flow(tree.name, tuple(items), tuple(self._arrows))

    def _id(self) -> str:
        self._numbers += 1
        return f"n{self._numbers}"

    def _tie(self, loose: Iterable[_Loose], end: str) -> None:
        self._arrows += [Arrow(each.start, end, each.line, each.label) for each in loose]

    def _row(self, boxes: Iterable[Box], came: list[_Loose]) -> tuple[Items, list[_Loose]]:
        items: Items = []
        for box in boxes:
            inside, came = self._box(box, came)
            items += inside
        return items, came

    def _box(self, box: Box, came: list[_Loose]) -> tuple[Items, list[_Loose]]:
        mark = self._marks.get(box.path, NONE)
        text = tuple(words.lines(box, mark))
        shape = _SHAPES.get(box.kind, NodeShape.STEP)
        head = FlowNode(self._id(), text, shape, box.path, mark.undo_state or mark.state, box.pivot)
        self._tie(came, head.id)
        items: Items = [head]
        way_on = [] if box.stops and not box.condition else [_Loose(head.id)]
        loose = way_on
        if box.lanes:
            inside, loose = self._lanes(box, head)
            items = [Cluster(self._id(), box.id, (head, *inside))]
            loose = loose or way_on
        if box.pivot:
            loose = [_Loose(each.start, Line.PIVOT, words.AFTER_PIVOT) for each in loose]
        for handler in box.handlers:
            if handler.boxes:
                frame, back = self._handler(handler, head)
                items.append(frame)
                loose += back
            elif handler.then == "continue" and not loose:
                loose = [_Loose(head.id)]
        if box.undone_by:
            undo = FlowNode(self._id(), tuple(words.undo(box, mark)), NodeShape.UNDO, "", mark.undo_state)
            items.append(undo)
            self._arrows.append(Arrow(head.id, undo.id, Line.UNDO))
        return items, loose

    def _lanes(self, box: Box, head: FlowNode) -> tuple[Items, list[_Loose]]:
        if box.kind == "parallel":
            items, loose = self._branches(box, head)
        else:
            items, loose = [], []
            for lane in box.lanes:
                inside, ends = self._row(lane.boxes, [_Loose(head.id, Line.FLOW, words.short(lane.label))])
                items += inside
                loose += ends
        if box.kind == "group" or not loose:
            return items, loose
        join = FlowNode(self._id(), ("",), NodeShape.JOIN)
        self._tie(loose, join.id)
        if box.kind in ("for_each", "repeat"):
            self._arrows.append(Arrow(join.id, head.id, Line.BACK, words.NEXT_ROUND))
        return [*items, join], [_Loose(join.id)]

    def _branches(self, box: Box, head: FlowNode) -> tuple[Items, list[_Loose]]:
        """Return the branches; one that needs others comes after them, wherever it stands in the file."""
        waiting = [each for lane in box.lanes for each in lane.boxes]
        ends: dict[str, list[_Loose]] = {}
        items: Items = []
        while waiting:
            branch = next((each for each in waiting if all(need in ends for need in each.needs)), waiting[0])
            waiting.remove(branch)
            came = [loose for need in branch.needs for loose in ends.get(need, [])] or [_Loose(head.id)]
            inside, ends[branch.id] = self._box(branch, came)
            items += inside
        needed = {need for lane in box.lanes for each in lane.boxes for need in each.needs}
        return items, [loose for id_, each in ends.items() if id_ not in needed for loose in each]

    def _handler(self, handler: Strip, head: FlowNode) -> tuple[Cluster, list[_Loose]]:
        inside, ends = self._row(handler.boxes, [_Loose(head.id, Line.ERROR, words.short(f"on {handler.label}"))])
        cluster = Cluster(self._id(), words.handled(handler.label, handler.then), tuple(inside))
        if handler.then == "retry":
            self._arrows += [Arrow(each.start, head.id, Line.BACK, "retry") for each in ends]
        return cluster, ends if handler.then == "continue" else []
