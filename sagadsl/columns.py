"""Text for screens of any width: lines that end at a word, and tables that narrow.

It asks no terminal: whoever knows the width passes it; ``None`` means that nothing limits it, as in a file or a pipe.
A word is never broken. What has to stay in one piece (a command to copy, JSON) counts as one word: see ``whole``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

GAP = "  "
"""What stands between two columns."""

_KEPT = "\0"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_ROOM = 12
"""How many columns the last cells of a table need, to be worth a column."""
_BESIDE = 4
"""How far below a row, and to the right, stand the cells for which its line has no room."""


def whole(text: str) -> str:
    """Return *text* as one word: no line is broken at its blanks. ``plain`` gives the blanks back."""
    return text.replace(" ", _KEPT)


def plain(text: str) -> str:
    """Return *text* as people see it, with all its blanks."""
    return text.replace(_KEPT, " ")


def _given_back(text: str, made: str) -> str:
    """Return *made* of *text* with all its blanks, unless its caller has made words of *text* whole: those stay whole
    until ``plain``, for the screen that may have to break the line once more."""
    return made if _KEPT in text else plain(made)


def columns_of(text: str) -> int:
    """Return how many columns of a screen *text* takes: a colour takes none, a sign of Chinese takes two."""
    shown = _ESCAPE.sub("", text) if "\x1b" in text else text
    if shown.isascii():
        return len(shown)
    return sum(_columns(char) for char in shown)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def padded(text: str, width: int) -> str:
    """Return *text* with blanks behind it, up to *width* columns."""
    return text + " " * (width - columns_of(text))


def wrap(text: str, width: int | None, first: str = "", others: str = "") -> list[str]:
    """Return *text* in lines that end at words; *first* begins the first line, *others* every other one.

    What stands between backticks is one word: a command is copied as a whole. A word that is wider than a line has a
    line of its own. What the caller made whole is still whole in the lines.
    """
    kept = re.sub(r"`[^`]*`", lambda code: whole(code[0]), text)
    lines, line, taken, is_empty = list[str](), first, columns_of(first), True
    for gap, word in re.findall(r"( *)([^ ]+)", kept):
        wide = columns_of(word)
        if is_empty or width is None or taken + len(gap) + wide <= width:
            joint = "" if is_empty else gap
            line, taken = f"{line}{joint}{word}", taken + len(joint) + wide
        else:
            lines.append(line)
            line, taken = f"{others}{word}", columns_of(others) + wide
        is_empty = False
    return [_given_back(text + first + others, each) for each in ([*lines, line] if not is_empty else lines)]


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column of a table is."""
    return [max(map(columns_of, column), default=0) for column in zip(*rows, strict=True)]


def row(cells: Sequence[str], fit: Sequence[int], width: int | None = None, inward: int = _BESIDE) -> list[str]:
    """Return one row of a table in lines; *fit* is how wide its columns are, for all rows.

    Where all columns but the last fit, a last cell that is too long stands below its row. Where they do not, or leave
    no room for words, all cells but the first one do, in every row. *inward* is how far right from the beginning of
    its row.
    """
    line = GAP.join(padded(cell, wide) for cell, wide in zip(cells, fit, strict=True)).rstrip()
    is_narrow = width is not None and _taken((*fit[:-1], min(fit[-1], _ROOM))) > width
    if width is None or (columns_of(line) <= width and not is_narrow):
        return [line]
    beside = 1 if is_narrow else len(fit) - 1
    margin = " " * (len(cells[0]) - len(cells[0].lstrip(" ")))
    shown = GAP.join(padded(cell, wide) for cell, wide in zip(cells[:beside], fit, strict=False)).strip(" ")
    lines = wrap(shown, width, margin, f"{margin}{GAP}") if beside == 1 else [f"{margin}{shown}"]
    return [*lines, *_below(cells[beside:], width, margin + " " * inward)]


def _taken(fit: Sequence[int]) -> int:
    """Return how many columns of the screen the columns of a table take beside each other."""
    return sum(fit) + len(GAP) * (len(fit) - 1)


def _below(cells: Sequence[str], width: int, margin: str) -> Iterator[str]:
    """Yield the lines of the cells that have no room in the line of their row: short ones share a line."""
    line = ""
    for cell in filter(None, (each.strip(" ") for each in cells)):
        if line and columns_of(f"{margin}{line}{GAP}{cell}") <= width:
            line += f"{GAP}{cell}"
            continue
        if line:
            yield from wrap(line, width, margin, f"{margin}{GAP}")
        line = cell
    if line:
        yield from wrap(line, width, margin, f"{margin}{GAP}")


def table(rows: Sequence[Sequence[str]], width: int | None = None, head: Sequence[str] | None = None) -> list[str]:
    """Return a table in lines of at most *width* columns, but for what cannot be broken. See ``row``.

    A table with a *head* whose columns do not all fit has each cell on a line of its own, behind the name of its
    column: a number alone would say nothing there.
    """
    if head is None:
        fit = widths(rows)
        return [line for cells in rows for line in row(cells, fit, width)]
    fit = widths([head, *rows])
    if width is None or _taken(fit) <= width:
        return [line for cells in (head, *rows) for line in row(cells, fit) if line]
    return [line for cells in rows for line in _named(head, cells, width)]


def _named(head: Sequence[str], cells: Sequence[str], width: int) -> Iterator[str]:
    first = cells[0].lstrip(" ")
    margin = " " * (len(cells[0]) - len(first))
    yield from wrap(first, width, margin, margin + GAP)
    margin += " " * _BESIDE
    for name, cell in zip(head[1:], cells[1:], strict=True):
        if cell:
            yield from wrap(f"{name}: {cell}" if name else cell, width, margin, margin + GAP)
