"""Makes the text of a command fit the terminal that shows it: prose ends at a word, a command or JSON is one piece.

A line that fits stays as it is, and so does every line where no terminal shows it. The commands make their text as if
nothing limited it, and ``screen`` passes it through here.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from functools import cached_property
from typing import TextIO

from sagadsl.columns import columns_of, plain, whole, wrap
from sagadsl.later import compiled_later

_LEAST = 20
_SHORT = 8
_INWARD = "  "
"""How much further in than its beginning a line goes on below."""

_PIECE = compiled_later(
    r"(?P<code>`[^`]*`)"
    r"|(?P<place>-->(?:\x1b\[0m)? \S+)"
    r"|(?:(?<=^)|(?<=  )|(?<=: )|(?<=\bor )|(?<=\bthen ))(?P<command>"
    r"sagadsl (?P<word>[a-z][a-z-]*)|temporal (?:workflow|activity|operator|server) |(?:uv|pip|git|cd|kubectl) )"
    r"|(?:(?<=^)|(?<= ))(?P<value>[\[{]|(?:(?<=^)|(?<=  ))\")"
)
"""Where a piece begins that no line breaks; a quotation in a sentence is none."""
_REST = compiled_later(r"(?>\\.|(?<!\w)'[^']*'|(?<!\w)\"(?:\\.|[^\"\\])*\"| (?! )|[^ ])*")
"""The rest of a command: up to two blanks that do not stand in quotes."""
_NESTED = compiled_later(r"\"(?:\\.|[^\"\\])*\"|\\.|(?<=[\[{,: ])'[^']*'(?=[\]},: ]|\Z)|[\[\]{}]")
_SHORTENED = compiled_later(r"…(?= {2}|\Z)")
_TRIES = 100
"""How many things in one line may look like JSON and be none: those after them are not read, to save time."""


def width_of(stream: TextIO) -> int | None:
    """Return how many columns a line on *stream* has; ``None`` where it is no terminal, and lines stay whole."""
    if not stream.isatty():
        return None
    try:
        said = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        said = 0
    if said <= 0:
        try:
            said = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            said = 0
    return max(said or 80, _LEAST)


def fit(text: str, width: int | None) -> str:
    """Return *text* in lines of at most *width* columns, but for what cannot be broken."""
    if width is None:
        return plain(text)
    return "\n".join(each for line in text.split("\n") for each in _fitted(line, width))


def _fitted(line: str, width: int) -> list[str]:
    if columns_of(line) <= width:
        return [plain(line)]
    bare = line.lstrip(" ")
    margin = line[: len(line) - len(bare)]
    pieces = re.split(r"( {2,})", kept(bare))  # two blanks inside of what stays whole separate nothing
    if len(pieces) == 1:
        return [plain(each) for each in wrap(pieces[0], width, margin, margin + _INWARD)]
    return _in_pieces(pieces[::2], pieces[1::2], width, margin)


def _in_pieces(pieces: list[str], gaps: list[str], width: int, margin: str) -> list[str]:
    """Return a line of several pieces: it is broken between them before it is broken inside of one."""
    lines, line = list[str](), margin
    for number, (gap, piece) in enumerate(zip(["", *gaps], pieces, strict=True)):
        beside = f"{line}{gap}"
        column = columns_of(beside)
        if column + columns_of(piece) <= width:
            line = f"{beside}{piece}"
            continue
        if number == 0:
            first, others = margin, margin + _INWARD
        elif not lines and _names(column, number, margin, width) and column + _least(piece) <= width:
            first, others = beside, " " * column
        else:
            lines.append(line)
            first, others = margin + _INWARD, margin + _INWARD * 2
        *above, line = wrap(piece, width, first, others) or [first]
        lines += above
    return [plain(each) for each in [*lines, line]]


def _names(column: int, number: int, margin: str, width: int) -> bool:
    """Whether what stands before *column* is a short word that names what comes: that goes on below itself then."""
    return column <= _SHORT or (number == 1 and margin != "" and column <= width * 2 // 5)


def _least(piece: str) -> int:
    """Return how many columns a piece needs beside a word that names it: none if it is broken nowhere anyway."""
    return max(map(columns_of, piece.split(" "))) + _SHORT if " " in piece else 0


def kept(piece: str) -> str:
    """Return a piece with all that must not be broken as one word each."""
    values: _Values | None = None
    parts, at = list[str](), 0
    while found := _PIECE.search(piece, at):
        start, end = found.span()
        if found["command"]:
            if found["word"] is None or _is_command(found["word"]):
                rest = _REST.match(piece, end)
                end = rest.end() if rest else end
        elif found["value"]:
            values = values or _Values(piece)
            end = values.end(start)
        parts += piece[at:start], whole(piece[start:end])
        at = end
    return "".join([*parts, piece[at:]])


def _is_command(word: str) -> bool:
    from sagadsl.cli.commands import COMMANDS  # that module imports the options, and these the screen

    return word in COMMANDS


class _Values:
    """The JSON and YAML values of one line: where each of them ends. What it reads, it reads once."""

    def __init__(self, line: str) -> None:
        self._line, self._tries = line, _TRIES

    def end(self, start: int) -> int:
        """Return the end of the value that begins at *start*; one that was shortened goes to its dots."""
        if self._tries:
            try:
                return json.JSONDecoder().raw_decode(self._line, start)[1]
            except (ValueError, RecursionError):  # no JSON, or deeper than Python can read
                self._tries -= 1
        if start in self._closed:
            return self._closed[start]
        at = bisect_right(self._cuts, start)
        return self._cuts[at] if at < len(self._cuts) else start + 1

    @cached_property
    def _closed(self) -> dict[int, int]:
        """Where each bracket is closed."""
        closed, opened = dict[int, int](), list[tuple[int, str]]()
        for found in _NESTED.finditer(self._line):
            sign = found[0]
            if sign in ("[", "{"):
                opened.append((found.start(), "]" if sign == "[" else "}"))
            elif opened and sign == opened[-1][1]:
                closed[opened.pop()[0]] = found.end()
        return closed

    @cached_property
    def _cuts(self) -> list[int]:
        return [found.end() for found in _SHORTENED.finditer(self._line)]
