"""Shows a saga while it runs: a list that changes in place on a terminal, else a line for every change.

It writes only to stderr; stdout belongs to the result.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

import click

from sagadsl.cli import screen
from sagadsl.cli.fitted import fit, width_of
from sagadsl.cli.streams import out
from sagadsl.columns import columns_of
from sagadsl.status.advice import next_steps, releases, unserved
from sagadsl.status.lines import COLOURS, StatusRow, in_lines, rows, text, trouble, widths

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.live import Live
    from rich.segment import Segment

    from sagadsl.temporal.read.following import Picture

_HIDDEN = frozenset({"pending", "not_started"})
_ROOM = 4
"""Lines of the terminal that are kept free for other things."""


Drawn = tuple[StatusRow, list[str]]
"""A row with its lines."""


class LiveView(Protocol):
    """A display that shows one picture after the other."""

    def show(self, picture: Picture) -> None:
        """Show *picture* in place of the one before."""

    def say(self, line: str) -> None:
        """Write a line that stays."""

    def close(self) -> None:
        """Leave the last picture on the screen, and the terminal as it was."""


def view_for(output: str, options: str, no_worker: str) -> LiveView:
    """Return the view that suits the output.

    Args:
        output: ``jsonl`` writes every change to stdout; ``quiet`` shows nothing.
        options: Connection options that a command on the screen needs.
        no_worker: The line to show when no worker takes the saga's work.
    """
    here = screen.session()
    if here.is_quiet or output == "quiet":
        return Silent()
    if output == "jsonl":
        return Lines(_to_stdout, options, no_worker)
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Terminal(options, no_worker, color=screen.wants_color(sys.stderr, here.color))
    return Lines(_to_stderr, options, no_worker)


def _to_stderr(row: StatusRow, line: str) -> None:
    screen.tell(line)


def _to_stdout(row: StatusRow, line: str) -> None:
    change = {"type": "step", "path": row.key, "status": row.state, "what": row.what, "note": row.note}
    took = None if row.took is None else round(row.took.total_seconds(), 3)
    print(json.dumps({**change, "seconds": took}, ensure_ascii=False), file=out(), flush=True)


class Silent:
    """Shows nothing."""

    def show(self, picture: Picture) -> None: ...

    def say(self, line: str) -> None: ...

    def close(self) -> None: ...


class Lines:
    """One line for every change: for logs, for pipes, for screen readers."""

    def __init__(self, write: Callable[[StatusRow, str], None], options: str, no_worker: str) -> None:
        self._write, self._options, self._no_worker = write, options, no_worker
        self._seen: dict[str, tuple[str, str]] = {}
        self._said: set[str] = set()

    def show(self, picture: Picture) -> None:
        lines = picture_rows(picture)
        columns = widths(lines)
        for row in lines:
            mark = (row.sign + row.what, row.note)
            if row.state not in _HIDDEN and self._seen.get(row.key) != mark:
                self._seen[row.key] = mark
                self._write(row, text(row, columns))
        for line in footer(picture, self._options, self._no_worker):
            if line not in self._said:
                self.say(line)
        self._said &= set(footer(picture, self._options, self._no_worker))

    def say(self, line: str) -> None:
        self._said.add(line)
        screen.tell(line)

    def close(self) -> None:
        return


class Terminal:
    """A list that changes in place. Only this class, and what it shows, import rich."""

    def __init__(self, options: str, no_worker: str, *, color: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        self._options, self._no_worker, self._color = options, no_worker, color
        console = Console(stderr=True, no_color=not color, highlight=False)
        self._live: Live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._last: tuple[Unbroken, list[str]] | None = None
        self._restore = _without_control_signs()
        self._live.start()

    def show(self, picture: Picture) -> None:
        from rich.console import Group

        width = width_of(sys.stderr)
        below = footer(picture, self._options, self._no_worker)
        advice = [(part, {"fg": "yellow"}) for line in below for part in fit(line, width).split("\n")]
        under = Unbroken(advice, width, self._color)
        height = shutil.get_terminal_size().lines - _ROOM
        listed = fitting(picture_rows(picture), max(height - under.height, height // 2), width)
        page = Unbroken([(line, _style(row)) for row, lines in listed for line in lines], width, self._color)
        self._last = page, below
        self._live.update(Group(page, under) if below else page, refresh=True)

    def say(self, line: str) -> None:
        from rich.text import Text

        # the terminal itself breaks a command, so that it can be copied in one piece
        self._live.console.print(Text(fit(line, width_of(sys.stderr))), soft_wrap=True)

    def close(self) -> None:
        page, below = self._last or (None, [])
        if page is not None:
            self._live.update(page, refresh=True)
        self._live.stop()
        self._restore()
        for line in below:
            self.say(line)


class Unbroken:
    """Lines of which the terminal itself breaks those that are too long: what is copied from it is in one piece.

    rich has to know how many lines that makes, and writes a line break after each that it counts. So it gets as many
    empty ones, and then the text as if it moved the cursor alone: up to the first of them, and on from there.
    """

    def __init__(self, lines: Sequence[tuple[str, Mapping[str, Any]]], width: int | None, color: bool) -> None:
        self._lines = [(line, style, _height(line, width)) for line, style in lines]
        self._color = color

    @property
    def height(self) -> int:
        """How many lines of the terminal they take."""
        return sum(height for _, _, height in self._lines)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import ControlType, Segment

        for line, style, height in self._lines:
            shown = click.style(line, **style) if self._color else line
            yield from (Segment.line() for _ in range(height - 1))
            up = f"\x1b[{height - 1}A" if height > 1 else ""
            yield Segment(f"{up}\r{shown}", control=[(ControlType.CURSOR_UP, height - 1)])
            yield Segment.line()


def _style(row: StatusRow | None) -> Mapping[str, Any]:
    colour = None if row is None else COLOURS.get(row.state)
    return {"dim": True} if colour is None else {"fg": colour}


def _height(line: str, width: int | None) -> int:
    """Return how many lines of a terminal *line* takes."""
    return max(1, -(-columns_of(line) // width)) if width else 1


def _without_control_signs() -> Callable[[], None]:
    """Keep the terminal from writing ``^C`` into the list, and return what undoes this: the list is drawn over what
    the command itself has written, and would leave remains of itself one column beside."""
    try:
        import termios

        before = termios.tcgetattr(sys.stdin)
        quiet = [*before]
        quiet[3] &= ~termios.ECHOCTL
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)
    except (ImportError, OSError, ValueError, AttributeError):  # another system, or no terminal to read from
        return lambda: None
    except Exception as error:  # `termios.error` is no `OSError`, and its module may be missing
        if type(error).__module__ != "termios":
            raise
        return lambda: None
    return lambda: termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def picture_rows(picture: Picture) -> list[StatusRow]:
    """Return the lines of *picture*."""
    if not picture.status:
        return []
    return rows(picture.status, picture.attempts, datetime.now(UTC), picture.tried)


def footer(picture: Picture, options: str, no_worker: str) -> list[str]:
    """Return what the saga waits for, with the commands that help."""
    if not picture.is_open:
        return []
    if not picture.has_worker:  # a worker that cannot go on says why
        return [*trouble(picture.status)] if picture.status.get("stuck") else [no_worker]
    return [
        *trouble(picture.status),
        *next_steps(picture.status, options),
        *releases(picture.status, picture.attempts),
        *unserved(picture.attempts, options),
    ]


def fitting(lines: list[StatusRow], height: int, width: int | None = None) -> list[tuple[StatusRow | None, list[str]]]:
    """Return as many rows as fit, each with its lines: running steps and the latest ones are worth more than completed
    ones. A line that says how many others there are is no row."""
    columns = widths(lines)
    drawn = [(row, in_lines(row, columns, width)) for row in lines]
    tall = [sum(_height(line, width) for line in each) for _, each in drawn]
    if height < 2 or sum(tall) <= height:
        return [*drawn]
    sized = [*zip(drawn, tall, strict=True)]
    begun = [each for each in sized if each[0][0].state not in _HIDDEN]
    are_too_many = sum(high for _, high in begun) >= height
    kept = _first(begun[::-1], height - 1)[::-1] if are_too_many else _first(sized, height - 1)
    return [(None, [f" … {len(lines) - len(kept)} more lines"]), *kept]


def _first(sized: list[tuple[Drawn, int]], height: int) -> list[Drawn]:
    """Return the first rows, up to so many lines; each comes with how many it takes."""
    ends = accumulate(high for _, high in sized)
    return [row for (row, _), end in zip(sized, ends, strict=True) if end <= height]
