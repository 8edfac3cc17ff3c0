"""Pieces of a picture: boxes of a row stand below each other, branches and arms side by side.

Every piece has its way in and out at the same distance from its left, so that the arrows of a row are one straight
line. What is beside a step, its compensation and its error handlers, is to the right of that line. So no line crosses
a box. In a picture of a run, each box has room for every usual state: what moves a box is its step, not its state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sagadsl.drawing import words
from sagadsl.drawing.marks import NONE, ROOM, ROOM_IN_LOOP, Mark, Marks
from sagadsl.drawing.tree import Box, Strip
from sagadsl.immutable import Immutable, replace

CHARACTER, LINE = 7.3, 16.0
"""The room for one character, and for one line of text."""

PORT, _UNDOES, _ERRORS = 40.0, 47.0, 54.0
GAP, _PAD, _BESIDE, MARGIN, _LOOP = 24.0, 10.0, 28.0, 24.0, 24.0
_NARROWEST = 120.0
WIDEST = 1200.0

Point = tuple[float, float]


class Rectangle(Immutable):
    """A box or a frame. The lines of text begin at its left, from the top.

    Attributes:
        role: ``step``, ``wait``, ``saga``, ``end``, ``frame``, ``lane``, ``handler``, ``undo``.
        state: How it stands in a run; empty in a definition.
        path: The path of the step that it stands for, or whose compensation it is; empty for any other.
        said: All that it says, not shortened.
    """

    x: float
    y: float
    width: float
    height: float
    role: str
    lines: tuple[str, ...] = ()
    state: str = ""
    pivot: bool = False
    path: str = ""
    said: str = ""


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


class DrawnPiece(Immutable):
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

    def at(self, x: float, y: float) -> DrawnPiece:
        return replace(
            self,
            rectangles=tuple(replace(each, x=each.x + x, y=each.y + y) for each in self.rectangles),
            paths=tuple(replace(each, points=tuple((px + x, py + y) for px, py in each.points)) for each in self.paths),
            labels=tuple(replace(each, x=each.x + x, y=each.y + y) for each in self.labels),
        )


class Sheet(Immutable):
    """What is drawn on.

    Attributes:
        marks: How the boxes of a run stand; ``None`` for a definition.
        widest: Lanes that together are wider go below each other.
    """

    marks: Marks | None
    widest: float

    def inside(self, *, left: float = _PAD) -> Sheet:
        """Return the sheet inside a frame on this one."""
        return replace(self, widest=self.widest - left - _PAD)

    def of(self, box: Box) -> Mark:
        return NONE if self.marks is None else self.marks.get(box.path, NONE)

    def room(self, box: Box) -> Mark:
        """Return a mark for which the box has to have room."""
        if self.marks is None:
            return NONE
        return ROOM_IN_LOOP if "[]" in box.path else ROOM


def block(
    lines: Iterable[str],
    role: str,
    state: str = "",
    *,
    room: Iterable[str] = (),
    pivot: bool = False,
    path: str = "",
    said: str = "",
) -> DrawnPiece:
    """Return a box with text, and with room for another one."""
    text, other = tuple(lines), tuple(room)
    width = max(_NARROWEST, _room(text), _room(other))
    height = LINE * max(len(text), len(other)) + _PAD
    box = Rectangle(0, 0, width, height, role, text, state, pivot, path, said)
    return DrawnPiece(width, height, (box,), out=height, pivot=pivot)


def _room(text: Iterable[str]) -> float:
    return max((len(line) * CHARACTER for line in text), default=0.0) + 2 * _PAD


def piece_of(box: Box, sheet: Sheet) -> DrawnPiece:
    mark = sheet.of(box)
    after = tuple(map(words.short, words.waits_for(box)))
    text = (*words.lines(box, mark), *after)
    room = (*words.lines(box, sheet.room(box)), *after)
    state, said = mark.undo_state or mark.state, words.said(box, mark)
    if box.lanes:
        loops = box.kind in ("for_each", "repeat")
        inside = sheet.inside(left=_PAD + _LOOP if loops else _PAD)
        lanes = [_lane(lane, inside) for lane in box.lanes]
        head = framed(
            text, "frame", lanes, sheet, state, room=room, pivot=box.pivot, loops=loops, path=box.path, said=said
        )
    else:
        role = {"saga": "saga", "wait_for": "wait", "sleep": "wait", "fail": "end", "return": "end"}.get(
            box.kind, "step"
        )
        head = block(text, role, state, room=room, pivot=box.pivot, path=box.path, said=said)
    return _with_what_is_beside(box, mark, head, sheet)


def _with_what_is_beside(box: Box, mark: Mark, head: DrawnPiece, sheet: Sheet) -> DrawnPiece:
    """Return a step with its compensation to its right, and its error handlers below, to the right of the way on.

    Where there is no room for the compensation to its right, it is below, too.
    """
    width, height = head.width, head.height
    rectangles, paths, labels = list(head.rectangles), list(head.paths), list(head.labels)
    if box.undone_by:
        undo = block(
            words.undo(box, mark),
            "undo",
            mark.undo_state,
            room=words.undo(box, sheet.room(box)),
            path=box.path,
            said=words.undo_said(box, mark),
        )
        if width + _BESIDE + undo.width > sheet.widest:
            x, y = _ERRORS + _BESIDE, height + 12
            middle = y + undo.height / 2
            paths.append(Path(((_UNDOES, height), (_UNDOES, middle), (x, middle)), "undo"))
        else:
            x, y = width + _BESIDE, 0.0
            middle = min(height, undo.height) / 2
            paths.append(Path(((width, middle), (x, middle)), "undo"))
        rectangles += undo.at(x, y).rectangles
        width, height = max(width, x + undo.width), max(height, y + undo.height)
    y = height + 12 if any(each.boxes for each in box.handlers) else height
    for handler in box.handlers:
        if handler.boxes:
            x = _ERRORS + _BESIDE
            beside = replace(sheet, widest=sheet.widest - x).inside()
            inside = row_of([piece_of(each, beside) for each in handler.boxes])
            frame = framed((words.handled(handler.label, handler.then),), "handler", [inside], sheet).at(x, y)
            rectangles += frame.rectangles
            paths += [*frame.paths, Path(((_ERRORS, head.height), (_ERRORS, y + 13), (x, y + 13)), "error")]
            labels += frame.labels
            width, height = max(width, x + frame.width), y + frame.height
            y = height + 12
    out = None if box.ends else head.height
    return DrawnPiece(width, height, tuple(rectangles), tuple(paths), tuple(labels), out, box.pivot)


def _lane(lane: Strip, sheet: Sheet) -> DrawnPiece:
    """Return boxes of a lane, below the condition of an arm."""
    row = row_of([piece_of(box, sheet) for box in lane.boxes])
    if not lane.label:
        return row
    text = words.short(lane.label)
    below = row.at(0, LINE + 6)
    label = Label(0, LINE - 4, text)
    width = max(row.width, len(text) * CHARACTER)
    return DrawnPiece(width, row.height + LINE + 6, below.rectangles, below.paths, (label, *below.labels))


def framed(
    text: tuple[str, ...],
    role: str,
    lanes: Sequence[DrawnPiece],
    sheet: Sheet,
    state: str = "",
    *,
    room: Sequence[str] = (),
    pivot: bool = False,
    loops: bool = False,
    path: str = "",
    said: str = "",
) -> DrawnPiece:
    """Return lanes side by side in a frame whose text is above them; those that find no room go below the others."""
    top = LINE * max(len(text), len(room)) + 2 * _PAD
    left = _PAD + (_LOOP if loops else 0)
    rectangles: list[Rectangle] = []
    paths: list[Path] = []
    labels: list[Label] = []
    widest, bottom = 0.0, top
    for row in _broken(lanes, sheet.widest):
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
    width, height = max(widest, _room(text), _room(room), _NARROWEST), bottom - _PAD
    frame = Rectangle(0, 0, width, height, role, text, state, pivot, path, said)
    return DrawnPiece(width, height, (frame, *rectangles), tuple(paths), tuple(labels), height, pivot)


def _broken(lanes: Sequence[DrawnPiece], widest: float) -> list[list[DrawnPiece]]:
    """Return lanes in rows that are not too wide."""
    rows: list[list[DrawnPiece]] = [[]]
    width = 0.0
    for lane in lanes:
        if rows[-1] and width + lane.width > widest:
            rows.append([])
            width = 0.0
        rows[-1].append(lane)
        width += lane.width + 2 * _PAD
    return rows


def row_of(pieces: Sequence[DrawnPiece]) -> DrawnPiece:
    """Return pieces one below the other, with arrows, and a line below a pivot. Its way out is that of the last one."""
    rectangles: list[Rectangle] = []
    paths: list[Path] = []
    labels: list[Label] = []
    width = max((piece.width for piece in pieces), default=_NARROWEST)
    if any(piece.pivot for piece in pieces[:-1]):
        width = max(width, PORT + 12 + len(words.AFTER_PIVOT) * CHARACTER)
    y, out, after_pivot = 0.0, None, False
    for number, piece in enumerate(pieces):
        if number:
            y += GAP
            if after_pivot:
                labels.append(Label(PORT + 12, y - 6, words.AFTER_PIVOT))
                y += GAP / 2
            if out is not None and not piece.apart:
                paths.append(Path(((PORT, out), (PORT, y)), "thick" if after_pivot else "flow"))
        placed = piece.at(0, y)
        rectangles += placed.rectangles
        paths += placed.paths
        labels += placed.labels
        out = None if piece.out is None else y + piece.out
        after_pivot = piece.pivot
        y += piece.height
        if after_pivot and number + 1 < len(pieces):
            paths.append(Path(((0.0, y + GAP + 2), (width, y + GAP + 2)), "pivot"))
    return DrawnPiece(width, y, tuple(rectangles), tuple(paths), tuple(labels), out, after_pivot)
