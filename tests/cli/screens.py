"""What commands show on screens of different widths, and what is wrong with it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sagadsl.columns import columns_of
from tests.cli.shell import environment
from tests.cli.terminal import in_terminal
from tests.cli.test_live import read_terminal
from tests.patience import PATIENCE

_ONE_AFTER_THE_OTHER = """
import json, shlex, sys
from sagadsl.cli.entry import run
for words in json.loads(sys.argv[1]):
    code = run(shlex.split(words))
    sys.stdout.flush(), sys.stderr.flush()
    print(f"\\n<end {code}>", flush=True)
"""
"""One process for all commands: to start one for each of them would take most of the time."""

_END = re.compile(r"\n<end \d+>\n")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PIECE = re.compile(r"\s*(?:\S{1,14} +)?(?:\S+|\S* ?`[^`]*`\S*|[\[{].*|--> \S+|(?:sagadsl|temporal|uv|pip|git|cd) .*)")
"""A line that may be wider than its screen: it is one thing, perhaps behind a short word that names it."""
_COPIED = re.compile(
    r"`((?:sagadsl|temporal) [^`\n]+)`"
    r"|(?:^ *|(?<!Usage): )((?:sagadsl|temporal) [a-z-]+ .*?)(?= {3}| shows | undoes |$)",
    re.M,
)
_SOURCE = re.compile(r"(?: {0,2}\d+| {2,3}) \|.*")
_CHANGES = re.compile(r"\b\d[\d.,]*(?:ms|[smhd])[\dmsh]*\b|\d+")


def shown(commands: Sequence[str], folder: Path, columns: int) -> list[str]:
    """Return what each command shows in a terminal of so many columns, without its colours."""
    script = [sys.executable, "-c", _ONE_AFTER_THE_OTHER, json.dumps(commands)]
    env = environment(TERM="xterm-256color", COLUMNS=str(columns), LINES="60")
    with in_terminal(script, folder, env) as (process, terminal):
        text = read_terminal(terminal, lambda text: False)
        assert process.wait(PATIENCE) == 0, text
    return _each(_COLOUR.sub("", text).replace("\r\n", "\n"), commands)


def piped(commands: Sequence[str], folder: Path) -> list[str]:
    """Return what each of them writes where no terminal is."""
    script = [sys.executable, "-c", _ONE_AFTER_THE_OTHER, json.dumps(commands)]
    ended = subprocess.run(
        script,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return _each(ended.stdout, commands)


def _each(text: str, commands: Sequence[str]) -> list[str]:
    *parts, rest = _END.split(text)
    assert len(parts) == len(commands), text
    assert not rest.strip(), rest
    return parts


def seen(text: str, columns: int) -> list[str]:
    """Return the lines that a terminal has after it has been sent *text*: what is drawn in place is drawn over."""
    lines: list[str] = [""]
    row = column = 0
    for escape, sign in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z])|([^\x1b])", text):
        if escape.endswith("A"):
            row = max(0, row - int(escape[2:-1] or 1))
        elif escape == "\x1b[2K":
            lines[row] = ""
        elif sign == "\r":
            column = 0
        elif sign:
            if sign == "\n" or column >= columns:
                row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
            if sign != "\n":
                lines[row] = lines[row][:column].ljust(column) + sign + lines[row][column + 1 :]
                column += 1
    return lines


def too_wide(text: str, columns: int) -> Iterator[str]:
    """Yield the lines that are wider than the screen, and that could have been broken."""
    yield from (line for line in text.split("\n") if columns_of(line) > columns and not _PIECE.fullmatch(line))


def commands_in(text: str) -> list[str]:
    """Return the commands that a text tells people to copy, each on a line: between backticks, or to the end."""
    return [found for pair in _COPIED.findall(text) for found in pair if found]


def words(text: str) -> list[str]:
    """Return all words that are shown, sorted, without what differs from one call to the next, and without excerpts.

    In a pipe, what a command says to stderr comes before its result.
    """
    lines = (line for line in text.split("\n") if not _SOURCE.fullmatch(line))
    return sorted(_CHANGES.sub("#", word) for line in lines for word in line.split())
