"""The tables of a page for a terminal: side by side where they fit, else one row below the other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sagadsl import columns

_EDGE = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r":?-+:?")


def table(lines: Sequence[str], width: int) -> list[str]:
    """Return the rows of a Markdown table, of which no line is longer than *width*, but for what cannot be broken."""
    head, *rows = [_cells(line) for line in lines]
    rows = [row for row in rows if not all(_RULE.fullmatch(cell) for cell in row)]
    return columns.table([_as_long(row, len(head)) for row in rows], width, head)


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|")
    return [cell.strip().replace("\\|", "|") for cell in _EDGE.split(re.sub(r"(?<!\\)\|\Z", "", inner))]


def _as_long(row: list[str], length: int) -> list[str]:
    return [*row, *[""] * length][:length]
