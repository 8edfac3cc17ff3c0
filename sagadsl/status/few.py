"""What a person sees of a very long status: the lines that matter, how many others there are, how to see them.

It is pure, like :mod:`sagadsl.status.lines`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from sagadsl.status.lines import StatusRow, left_out
from sagadsl.status.parts import PAGE, words

ROWS = 200
"""The most lines of steps that the ``status`` command shows at once, unless it is told how many."""

_AS_USUAL = ("completed", "skipped", "pending", "not_started", "compensated")


def few(lines: Sequence[StatusRow], most: int = ROWS) -> tuple[list[StatusRow], Mapping[str, int]]:
    """Return at most *most* lines in their order, and how many of the others have which state.

    Lines in which nothing went wrong, and nothing is under way, are left out first, the inner ones before the others.
    """
    if len(lines) <= most:
        return list(lines), {}

    def importance(index: int) -> tuple[int, int]:
        line = lines[index]
        return (0 if line.state not in _AS_USUAL else 1 if line.depth == 0 else 2), index

    kept = set(sorted(range(len(lines)), key=importance)[:most])
    others = Counter(line.state for index, line in enumerate(lines) if index not in kept)
    return [line for index, line in enumerate(lines) if index in kept], others


def beside(status: Mapping[str, Any], others: Mapping[str, int], options: str = "") -> Iterator[str]:
    """Yield what to say behind the lines: of the *others*, of steps that are only counted, of the next part.

    *options* (``--address …``) go to the end of each command.
    """
    tail = f" {options}" if options else ""
    if others:
        yield f" … {sum(others.values()):,} more lines: {words(others)}"
    counted = [f" … {line}" for line in left_out(status)]
    yield from counted
    part = status.get("part")
    if part is None:
        if others or counted:
            yield f"   sagadsl status {quote(status['id'])} --limit {PAGE}{tail}   the steps one by one, in their order"
        return
    size = len(status["steps"])
    yield f" steps {part['first']:,} to {part['first'] + size - 1:,} of {part['of']:,}" if size else " no more steps"
    if part["next"] is not None:
        which = f"--limit {size} --after {quote(part['next'])}"
        yield f"   sagadsl status {quote(status['id'])} {which}{tail}   the next ones"
