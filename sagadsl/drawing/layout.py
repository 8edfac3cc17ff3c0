"""Gives every box of a tree its place: boxes of a row stand below each other, branches and arms side by side.

Every piece has its way in and out at the same distance from its left, so that the arrows of a row are one straight
line. What is beside a step, its compensation and its error handlers, is to the right of that line. So no line crosses
a box.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sagadsl.drawing import words
from sagadsl.drawing.marks import NONE, Mark, Marks
from sagadsl.drawing.tree import Box, Strip, Tree
from sagadsl.immutable import Immutable, replace

CHARACTER, LINE = 7.3, 16.0
"""The room for one character, and for one line of text."""

_PORT, _ERRORS = 40.0, 54.0
_GAP, _PAD, _BESIDE, _MARGIN, _LOOP = 24.0, 10.0, 28.0, 24.0, 24.0
_NARROWEST = 120.0
_TALLEST = 760.0
_WIDEST = 1200.0
_HEAD = 44.0

Point = tuple[float, float]


class Rectangle(Immutable):
    """A box or a frame. The lines of text begin at its left, from the top.

    Attributes:
        role: ``step``, ``wait``, ``saga``, ``end``, ``frame``, ``lane``, ``handler``, ``undo``.
        state: How it stands in a run; empty in a definition.
    """

    x: float
    y: float
    width: float
    height: float
    role: str
    lines: tuple[str, ...] = ()
    state: str = ""
    pivot: bool = False


class Path(Immutable):
    """A line with corners.

    Attributes:
        kind: ``flow``, ``thick`` (after a pivot), ``back``, ``error`` and ``undo`` end at boxes; ``pivot`` and
            ``between`` (lanes) separate them.
    """

    points: tuple[Point, ...]
    kind: str = "flow"


class Label(Immutable):
    """Text beside a line, whose left end is at ``x``."""

    x: float
    y: float
    text: str


class Layout(Immutable):
    """Everything with its place."""

    width: float = 0.0
    height: float = 0.0
    rectangles: tuple[Rectangle, ...] = ()
    paths: tuple[Path, ...] = ()
    labels: tuple[Label, ...] = ()


class _Piece(Immutable):
    """A part of the drawing, as if it stood at the corner.

    Attributes:
        out: How far below its top its way out is; ``None``: nothing follows it.
        pivot: Nothing is undone after it.
        apart: No arrow leads to it.
    """

    width: float
    height: float
    rectangles: tuple[Rectangle, ...]
    paths: tuple[Path, ...] = ()
    labels: tuple[Label, ...] = ()
    out: float | None = None
    pivot: bool = False
    apart: bool = False

    def at(self, x: float, y: float) -> _Piece:
        return replace(
            self,
            rectangles=tuple(replace(each, x=each.x + x, y=each.y + y) for each in self.rectangles),
            paths=tuple(replace(each, points=tuple((px + x, py + y) for px, py in each.points)) for each in self.paths),
            labels=tuple(replace(each, x=each.x + x, y=each.y + y) for each in self.labels),
        )


def layout(tree: Tree, marks: Marks | None = None) -> Layout:
    """Return the places of a definition's boxes, in as many columns as make it about as wide as a page."""
    states = marks or {}
    pieces = [_piece(box, states) for box in tree.steps]
    if pieces[-1].out is not None:
        pieces.append(_block(("completed",), "end"))
    for part in tree.aside:
        frame = _framed((part.label,), "handler", [_row([_piece(box, states) for box in part.boxes])])
        pieces.append(replace(frame, out=None, apart=True))
    return _columns(pieces)


def _columns(pieces: Sequence[_Piece]) -> Layout:
    whole = sum(piece.height + _GAP for piece in pieces)
    widest = max(piece.width for piece in pieces)
    number = 1
    while whole / number > _TALLEST and whole / number > number * (widest + 2 * _MARGIN) * 0.7:
        number += 1
    columns: list[list[_Piece]] = [[]]
    height = 0.0
    for piece in pieces:
        if columns[-1] and len(columns) < number and height + piece.height > whole / number * 1.05:
            columns.append([])
            height = 0.0
        columns[-1].append(piece)
        height += piece.height + _GAP
    rows = [_row(column) for column in columns]
    bottom = _HEAD + max(row.height for row in rows)
    x = _MARGIN
    placed: list[_Piece] = []
    for row in rows:
        placed.append(row.at(x, _HEAD))
        x += row.width + 2 * _MARGIN
    paths = [path for row in placed for path in row.paths]
    left = _MARGIN
    for row, column, following in zip(placed, columns, columns[1:], strict=False):
        gutter, out = left + row.width + _MARGIN, row.out
        right = left + row.width + 2 * _MARGIN
        if out is not None and not following[0].apart:
            start = (left + _PORT, _HEAD + out)
            corners = [
                (start[0], bottom + 12),
                (gutter, bottom + 12),
                (gutter, _HEAD - 12),
                (right + _PORT, _HEAD - 12),
            ]
            kind = "thick" if column[-1].pivot else "flow"
            paths.append(Path((start, *corners, (right + _PORT, _HEAD)), kind))
        left = right
    return Layout(
        x - _MARGIN,
        bottom + _MARGIN,
        tuple(each for row in placed for each in row.rectangles),
        tuple(paths),
        tuple(each for row in placed for each in row.labels),
    )


def _block(lines: Iterable[str], role: str, state: str = "", *, pivot: bool = False) -> _Piece:
    """Return a box with text."""
    text = tuple(lines)
    width = max(_NARROWEST, _room(text))
    height = LINE * len(text) + _PAD
    return _Piece(width, height, (Rectangle(0, 0, width, height, role, text, state, pivot),), out=height, pivot=pivot)


def _room(text: Iterable[str]) -> float:
    return max((len(line) * CHARACTER for line in text), default=0.0) + 2 * _PAD


def _piece(box: Box, marks: Marks) -> _Piece:
    mark = marks.get(box.path, NONE)
    text = (*words.lines(box, mark), *((words.short(f"after {', '.join(box.needs)}"),) if box.needs else ()))
    state = mark.undo_state or mark.state
    if box.lanes:
        lanes = [_lane(lane, marks) for lane in box.lanes]
        loops = box.kind in ("for_each", "repeat")
        head = _framed(text, "frame", lanes, state, pivot=box.pivot, loops=loops)
    else:
        role = {"saga": "saga", "wait_for": "wait", "sleep": "wait", "fail": "end", "return": "end"}.get(
            box.kind, "step"
        )
        head = _block(text, role, state, pivot=box.pivot)
    return _with_what_is_beside(box, mark, head, marks)


def _with_what_is_beside(box: Box, mark: Mark, head: _Piece, marks: Marks) -> _Piece:
    """Return a step with its compensation to its right, and its error handlers below, to the right of the way on."""
    width, height = head.width, head.height
    rectangles, paths, labels = list(head.rectangles), list(head.paths), list(head.labels)
    if box.undone_by:
        undo = _block(words.undo(box, mark), "undo", mark.undo_state).at(head.width + _BESIDE, 0)
        rectangles += undo.rectangles
        middle = min(head.height, undo.height) / 2
        paths.append(Path(((head.width, middle), (head.width + _BESIDE, middle)), "undo"))
        width, height = head.width + _BESIDE + undo.width, max(height, undo.height)
    y = height + 12 if any(each.boxes for each in box.handlers) else height
    for handler in box.handlers:
        if handler.boxes:
            inside = _row([_piece(each, marks) for each in handler.boxes])
            x = _ERRORS + _BESIDE
            frame = _framed((words.handled(handler.label, handler.then),), "handler", [inside]).at(x, y)
            rectangles += frame.rectangles
            paths += [*frame.paths, Path(((_ERRORS, head.height), (_ERRORS, y + 13), (x, y + 13)), "error")]
            labels += frame.labels
            width, height = max(width, x + frame.width), y + frame.height
            y = height + 12
    out = None if box.ends else head.height
    return _Piece(width, height, tuple(rectangles), tuple(paths), tuple(labels), out, box.pivot)


def _lane(lane: Strip, marks: Marks) -> _Piece:
    """Return boxes of a lane, below the condition of an arm."""
    row = _row([_piece(box, marks) for box in lane.boxes])
    if not lane.label:
        return row
    text = words.short(lane.label)
    below = row.at(0, LINE + 6)
    label = Label(0, LINE - 4, text)
    width = max(row.width, len(text) * CHARACTER)
    return _Piece(width, row.height + LINE + 6, below.rectangles, below.paths, (label, *below.labels))


def _framed(
    text: tuple[str, ...],
    role: str,
    lanes: Sequence[_Piece],
    state: str = "",
    *,
    pivot: bool = False,
    loops: bool = False,
) -> _Piece:
    """Return lanes side by side in a frame whose text is above them; those that find no room go below the others."""
    top = LINE * len(text) + 2 * _PAD
    left = _PAD + (_LOOP if loops else 0)
    rectangles: list[Rectangle] = []
    paths: list[Path] = []
    labels: list[Label] = []
    widest, bottom = 0.0, top
    for row in _broken(lanes):
        x, tallest = left, max(lane.height for lane in row)
        for number, lane in enumerate(row):
            if number:
                paths.append(Path(((x, bottom), (x, bottom + tallest)), "between"))
                x += _PAD
            placed = lane.at(x, bottom)
            rectangles += placed.rectangles
            paths += placed.paths
            labels += placed.labels
            x += lane.width + _PAD
        widest, bottom = max(widest, x), bottom + tallest + 2 * _PAD
    if loops and rectangles:
        first = min((each for each in rectangles if each.x == _PAD + _LOOP), key=lambda each: each.y)
        last = max((each for each in rectangles if each.x == _PAD + _LOOP), key=lambda each: each.y)
        left = first.x - 14
        ends = (last.y + last.height - 8, first.y + 8)
        paths.append(Path(((last.x, ends[0]), (left, ends[0]), (left, ends[1]), (first.x, ends[1])), "back"))
    width, height = max(widest, _room(text), _NARROWEST), bottom - _PAD
    frame = Rectangle(0, 0, width, height, role, text, state, pivot)
    return _Piece(width, height, (frame, *rectangles), tuple(paths), tuple(labels), height, pivot)


def _broken(lanes: Sequence[_Piece]) -> list[list[_Piece]]:
    """Return lanes in rows that are not too wide."""
    rows: list[list[_Piece]] = [[]]
    width = 0.0
    for lane in lanes:
        if rows[-1] and width + lane.width > _WIDEST:
            rows.append([])
            width = 0.0
        rows[-1].append(lane)
        width += lane.width + 2 * _PAD
    return rows


def _row(pieces: Sequence[_Piece]) -> _Piece:
    """Return pieces one below the other, with arrows, and a line below a pivot. Its way out is that of the last one."""
    rectangles: list[Rectangle] = []
    paths: list[Path] = []
    labels: list[Label] = []
    width = max((piece.width for piece in pieces), default=_NARROWEST)
    if any(piece.pivot for piece in pieces[:-1]):
        width = max(width, _PORT + 12 + len(words.AFTER_PIVOT) * CHARACTER)
    y, out, after_pivot = 0.0, None, False
    for number, piece in enumerate(pieces):
        if number:
            y += _GAP
            if after_pivot:
                labels.append(Label(_PORT + 12, y - 6, words.AFTER_PIVOT))
                y += _GAP / 2
            if out is not None and not piece.apart:
                paths.append(Path(((_PORT, out), (_PORT, y)), "thick" if after_pivot else "flow"))
        placed = piece.at(0, y)
        rectangles += placed.rectangles
        paths += placed.paths
        labels += placed.labels
        out = None if piece.out is None else y + piece.out
        after_pivot = piece.pivot
        y += piece.height
        if after_pivot and number + 1 < len(pieces):
            paths.append(Path(((0.0, y + _GAP + 2), (width, y + _GAP + 2)), "pivot"))
    return _Piece(width, y, tuple(rectangles), tuple(paths), tuple(labels), out, after_pivot)
