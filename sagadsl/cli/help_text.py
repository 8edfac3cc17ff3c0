"""The help of commands on screens of every width: no line is longer than the screen, but for commands to copy."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from sagadsl.columns import wrap

_NARROW = 60
_LEAST = 30


class NarrowHelp(click.HelpFormatter):
    """Writes help for the screen that there is; click's own writes none narrower than 50 columns."""

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        if width is None:
            import shutil  # only help needs it, and a quarter of its time goes to kinds of archives

            width = max(min(shutil.get_terminal_size().columns, max_width or 80) - 2, _LEAST)
        super().__init__(indent_increment, width, max_width)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the form of a command; click begins a new line for its words where a screen is narrow."""
        if self.width >= _NARROW:
            super().write_usage(prog, args, prefix)
            return
        lines = wrap(f"{prefix or 'Usage: '}{prog} {args}", self.width, "", "    ")
        self.write("".join(f"{line}\n" for line in lines))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms with their texts: side by side, or below each other where there is no room for that."""
        every = [(re.sub(r"\|", "|\0", term), text) for term, text in rows]
        if self.width >= _NARROW and all(len(term.replace("\0", "")) <= self.width - 2 for term, _ in every):
            super().write_dl([(term.replace("\0", ""), text) for term, text in every], col_max, col_spacing)
            return
        for term, text in every:
            indent = " " * self.current_indent
            first, *more = _broken(term.strip(), self.width - len(indent) - 4)
            self.write(f"{indent}{first}\n")
            for line in more:
                self.write(f"{indent}    {line}\n")
            inner = indent + "    "
            self.write("".join(f"{line}\n" for line in wrap(text, self.width, inner, inner)))


def _broken(term: str, width: int) -> list[str]:
    """Return a term in lines, broken after a `|` between its words."""
    lines = [""]
    for part in term.split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return lines


class NarrowContext(click.Context):
    """The context of every command, for its help."""

    formatter_class = NarrowHelp


def fitted(command: click.Command) -> click.Command:
    """Let a command, and those in it, write their help for the screen that there is."""
    command.context_class = NarrowContext
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        fitted(each)
    return command
