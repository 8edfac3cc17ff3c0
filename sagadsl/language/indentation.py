"""Finds a line of YAML that begins in another column than its neighbours, or an item without a blank behind its ``-``.

libyaml says of such a line only what cannot stand there. Offsets count code points from the start of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sagadsl.immutable import Immutable
from sagadsl.later import compiled_later

_SAID = ("expected key", "expected '-' indicator", "mapping values are not allowed", "<block end>", "sequence entries")
"""Parts of the parsers' messages about a line in a wrong column."""

_SHOWN = 40
_HALF_ITEM = compiled_later(r"""-(?:[A-Za-z_][\w.-]*\s*:(?:\s|\Z)|[{\["'])""")
"""An item of a list without the blank behind its ``-``: libyaml takes it for a key or a text."""

_LINE = compiled_later(r"(?P<indent> *)(?P<item>-(?:\s|\Z))?(?P<rest>.*)")
_KEY = compiled_later(r"""(?P<key>[A-Za-z_][\w.-]*|"[^"]*"|'[^']*')\s*:(?:\s+(?P<value>\S.*))?\Z""")


class Misplaced(Immutable):
    """A line in a wrong column, in words; ``start`` is the offset of what is on it."""

    start: int
    message: str
    help: str


class _Line(Immutable):
    """What matters of a line: the column of its first sign, from 0, and whether it begins an item of a list."""

    column: int
    is_item: bool
    text: str

    @property
    def content(self) -> int:
        """The column of what the line says, behind the ``- `` of an item."""
        behind = self.text[1:]
        return self.column + 1 + len(behind) - len(behind.lstrip()) if self.is_item else self.column

    @property
    def said(self) -> str:
        return self.text[1:].lstrip() if self.is_item else self.text

    @property
    def first(self) -> str:
        """The first key of an item."""
        return self.said.partition(":")[0]


def misplaced(lines: Sequence[str], number: int, begins: Sequence[int], problem: str) -> Misplaced | None:
    """Return what is wrong with the column of a line; ``None`` when its column explains nothing.

    Args:
        number: Which of *lines*, from 0, the parser complains about.
        begins: The offset of each line.
        problem: The parser's message.
    """
    if not any(part in problem for part in _SAID) or number >= len(lines):
        return None
    here = _line(lines[number])
    above = [line for line in map(_line, reversed(lines[:number])) if line.text and line.text[0] != "#"]
    if not above or not here.text:
        return None
    start = begins[number] + here.column
    if _HALF_ITEM.match(here.text):
        return _without_blank(here, start)
    if _HALF_ITEM.match(above[0].text) and here.column > above[0].column + 1:
        last = max(each for each in range(number) if lines[each].strip() == above[0].text)
        return _without_blank(above[0], begins[last] + above[0].column)
    return _item(here, above, start) if here.is_item else _key(here, above[0], start)


def _line(text: str) -> _Line:
    found = _LINE.match(text)
    assert found is not None
    return _Line(len(found["indent"]), found["item"] is not None, text.strip())


def _without_blank(line: _Line, start: int) -> Misplaced:
    text = line.text[1:]
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return Misplaced(start, "behind the `-` of an item of a list, a blank is missing", f"write `- {shown}`")


def _item(here: _Line, above: Sequence[_Line], start: int) -> Misplaced | None:
    """An item begins in another column than the items above it: of the lists that it may belong to, the nearest."""
    deeper: _Line | None = None
    for line in above:
        if line.column == here.column and line.is_item:
            return None
        if line.column < here.column and (line.is_item or line.text.endswith(":")):
            meant = _nearest(here, line, deeper)
            return None if meant is None else _moved(here, meant.column, start)
        if line.is_item and line.column > here.column:
            deeper = line
    return None if deeper is None else _moved(here, deeper.column, start)


def _nearest(here: _Line, outer: _Line, deeper: _Line | None) -> _Line | None:
    """Return an item of the list that is meant.

    Args:
        outer: The nearest line above that begins further left and is an item, or a key that has its value below.
        deeper: An item between both, of the list inside of *outer*.
    """
    if not outer.is_item or deeper is None:
        return outer if outer.is_item else deeper
    if outer.text.endswith(":") and here.column > outer.content:
        return deeper
    left, right = here.column - outer.column, deeper.column - here.column
    if left == right:  # a step stands among steps, a branch among branches
        return outer if here.first == outer.first != deeper.first else deeper
    return outer if left < right else deeper


def _moved(here: _Line, meant: int, start: int) -> Misplaced:
    how = "too far" if here.column > meant else "too little"
    message = f"this item of a list is indented {how}: its `-` is in column {here.column + 1}, that of the items above "
    own = "; a list inside that item needs a key of its own above it" if here.column > meant else ""
    return Misplaced(start, f"{message}in column {meant + 1}", f"begin it in column {meant + 1}{own}")


def _key(here: _Line, above: _Line, start: int) -> Misplaced | None:
    """A key is indented below a key that has a value already."""
    key, before = _KEY.match(here.text), _KEY.match(above.said)
    if key is None or before is None or not before["value"] or here.column <= above.content:
        return None
    if re.match(r"[|>\[{&*!\"']", before["value"]):
        return None
    message = f"key {_named(key)} is indented too far: it begins in column {here.column + 1}, "
    message += f"key {_named(before)} above it in column {above.content + 1}"
    help = f"begin it in column {above.content + 1}; to put it below {_named(before)}, take the value of that key away"
    return Misplaced(start, message, help)


def _named(key: re.Match[str]) -> str:
    return f"`{key['key'][:60]}`"
