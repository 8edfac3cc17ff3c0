"""Makes the text of a command fit the terminal that shows it: prose ends at a word, a command or JSON is one piece.

A line that fits stays as it is, and so does every line where no terminal shows it. The commands make their text as if
nothing limited it, and ``screen`` passes it through here.
"""

from __future__ import annotations

import json
import os
import re
from typing import TextIO

from sagadsl.columns import columns_of, plain, whole, wrap

_LEAST = 20
_SHORT = 8
_INWARD = "  "
"""How much further in than its beginning a line goes on below."""

_COMMAND = re.compile(
    r"(?:(?<=^)|(?<=: )|(?<=\bor )|(?<=\bthen ))"
    r"(?:sagadsl (?P<word>[a-z][a-z-]*)|temporal (?:workflow|activity|operator|server) |(?:uv|pip|git|cd|kubectl) )"
)
_VALUE = re.compile(r"(?:(?<=^)|(?<= ))[\[{\"]")
_PLACE = re.compile(r"-->(?:\x1b\[0m)? \S+")


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
    pieces = re.split(r"( {2,})", bare)
    if len(pieces) == 1:
        return wrap(kept(bare), width, margin, margin + _INWARD)
    return _in_pieces([kept(each) for each in pieces[::2]], pieces[1::2], width, margin)


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
    piece = re.sub(r"`[^`]*`", lambda code: whole(code[0]), piece)
    piece = _PLACE.sub(lambda place: whole(place[0]), piece)
    for found in _COMMAND.finditer(piece):
        if found["word"] is None or _is_command(found["word"]):
            return _with_data(piece[: found.start()]) + whole(piece[found.start() :])
    return _with_data(piece)


def _is_command(word: str) -> bool:
    from sagadsl.cli.commands import COMMANDS  # that module imports the options, and these the screen

    return word in COMMANDS


def _with_data(piece: str) -> str:
    """Return a piece with each JSON or YAML value in it as one word; one that was shortened goes to its end."""
    at = 0
    while found := _VALUE.search(piece, at):
        start = found.start()
        if found[0] == '"' and start:
            at = start + 1  # a quotation in a sentence
            continue
        try:
            _, end = json.JSONDecoder().raw_decode(piece, start)
        except ValueError:
            end = len(piece) if piece.endswith("…") else max(start, piece.find("}", start)) + 1
        piece = piece[:start] + whole(piece[start:end]) + piece[end:]
        at = end
    return piece
