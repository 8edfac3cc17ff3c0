"""Gives every box of a tree its place: the pieces of a saga stand in columns, as many as fit where it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from sagadsl.drawing.marks import Marks
from sagadsl.drawing.pieces import (
    GAP,
    MARGIN,
    PORT,
    WIDEST,
    DrawnPiece,
    Label,
    Path,
    Rectangle,
    Sheet,
    block,
    framed,
    piece_of,
    row_of,
)
from sagadsl.drawing.tree import Tree
from sagadsl.immutable import Immutable, replace

_TALLEST = 760.0
_LEAST, _MOST = 320.0, 12
_HEAD = 44.0


class Layout(Immutable):
    """Everything with its place."""

    width: float = 0.0
    height: float = 0.0
    rectangles: tuple[Rectangle, ...] = ()
    paths: tuple[Path, ...] = ()
    labels: tuple[Label, ...] = ()


def layout(tree: Tree, marks: Marks | None = None, width: float | None = None) -> Layout:
    """Return the places of a definition's boxes, in columns.

    Args:
        marks: How the boxes of a run stand; ``None`` for a definition.
        width: Where it is shown has this width, in pixels: it has as many columns as fit, if it is long, and nothing is
            wider that can be narrower. ``None``: as many columns as make it about as wide as a page.
    """
    if width is None:
        return _placed(_columns(_pieces(tree, Sheet(marks, WIDEST))))
    return _fitting(tree, marks, width)


def _pieces(tree: Tree, sheet: Sheet) -> list[DrawnPiece]:
    pieces = [piece_of(box, sheet) for box in tree.steps]
    if pieces[-1].out is not None:
        pieces.append(block(("completed",), "end"))
    for part in tree.aside:
        frame = framed((part.label,), "handler", [row_of([piece_of(box, sheet.inside()) for box in part.boxes])], sheet)
        pieces.append(replace(frame, out=None, apart=True))
    return pieces


def _columns(pieces: Sequence[DrawnPiece]) -> list[list[DrawnPiece]]:
    whole = sum(piece.height + GAP for piece in pieces)
    widest = max(piece.width for piece in pieces)
    number = 1
    while whole / number > _TALLEST and whole / number > number * (widest + 2 * MARGIN) * 0.7:
        number += 1
    return _split(pieces, number)


def _fitting(tree: Tree, marks: Marks | None, width: float) -> Layout:
    """Return it in as many columns as make it not tall, or in as many as fit."""
    pieces, known = _pieces(tree, Sheet(marks, max(_LEAST, width) - 2 * MARGIN)), width
    alone = [pieces]
    for number in range(min(_MOST, ceil(_height(alone) / _TALLEST)), 1, -1):
        each = max(_LEAST, width / number)
        if each != known:
            pieces, known = _pieces(tree, Sheet(marks, each - 2 * MARGIN)), each
        columns = _split(pieces, number)
        if _width(columns) <= width and _height(columns) < _height(alone):
            return _placed(columns)
    return _placed(alone)


def _width(columns: Sequence[Sequence[DrawnPiece]]) -> float:
    return sum(max(piece.width for piece in column) + 2 * MARGIN for column in columns)


def _height(columns: Sequence[Sequence[DrawnPiece]]) -> float:
    return max(sum(piece.height + GAP for piece in column) for column in columns)


def _split(pieces: Sequence[DrawnPiece], number: int) -> list[list[DrawnPiece]]:
    """Return them in so many columns of about the same height, or in fewer; no column ends with the line of a pivot."""
    whole = sum(piece.height + GAP for piece in pieces)
    columns: list[list[DrawnPiece]] = [[]]
    height = 0.0
    for piece in pieces:
        is_full = height + piece.height > whole / number * 1.05
        if columns[-1] and len(columns) < number and is_full and not columns[-1][-1].pivot:
            columns.append([])
            height = 0.0
        columns[-1].append(piece)
        height += piece.height + GAP
    return columns


def _placed(columns: Sequence[Sequence[DrawnPiece]]) -> Layout:
    rows = [row_of(column) for column in columns]
    bottom = _HEAD + max(row.height for row in rows)
    x = MARGIN
    placed: list[DrawnPiece] = []
    for row in rows:
        placed.append(row.at(x, _HEAD))
        x += row.width + 2 * MARGIN
    paths = [path for row in placed for path in row.paths]
    left = MARGIN
    for row, following in zip(placed, columns[1:], strict=False):
        gutter, out = left + row.width + MARGIN, row.out
        right = left + row.width + 2 * MARGIN
        if out is not None and not following[0].apart:
            start = (left + PORT, _HEAD + out)
            corners = [
                (start[0], bottom + 12),
                (gutter, bottom + 12),
                (gutter, _HEAD - 12),
                (right + PORT, _HEAD - 12),
            ]
            paths.append(Path((start, *corners, (right + PORT, _HEAD))))
        left = right
    return Layout(
        x - MARGIN,
        bottom + MARGIN,
        tuple(each for row in placed for each in row.rectangles),
        tuple(paths),
        tuple(each for row in placed for each in row.labels),
    )
