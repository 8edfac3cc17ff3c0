"""The tables of a page for a terminal: side by side where they fit, else one row below the other."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

_EDGE = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r":?-+:?")
_INDENT = 4


def table(lines: Sequence[str], width: int) -> Iterator[str]:
    """Yield the rows of a Markdown table, of which no line is longer than *width*, but for what cannot be broken."""
    head, *rows = [_cells(line) for line in lines]
    rows = [row for row in rows if not all(_RULE.fullmatch(cell) for cell in row)]
    columns = [*zip(head, *(_as_long(row, len(head)) for row in rows), strict=True)]
    widths = [max(map(len, column)) for column in columns]
    if sum(widths) + 2 * (len(widths) - 1) <= width:
        for row in (head, *rows):
            if any(row):
                yield "  ".join(f"{cell:<{fit}}" for cell, fit in zip(row, widths, strict=False)).rstrip()
        return
    for row in rows:
        yield from wrap(row[0], width, "", "  ")
        for name, cell in zip(head[1:], row[1:], strict=False):
            if cell:
                indent = " " * _INDENT
                yield from wrap(f"{name}: {cell}" if name else cell, width, indent, f"{indent}  ")


def wrap(text: str, width: int, first: str, others: str) -> list[str]:
    """Return a text in lines; what stands between backticks is one word: a command is copied as a whole."""
    whole = re.sub(r"`[^`]*`", lambda code: code[0].replace(" ", "\0"), text)
    filled = textwrap.wrap(
        whole,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in filled]


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    return [cell.strip().replace("\\|", "|") for cell in _EDGE.split(re.sub(r"(?<!\\)\|\Z", "", inner))]


def _as_long(row: list[str], length: int) -> list[str]:
    return [*row, *[""] * length][:length]
