"""Whose output is whose: stdout carries what a command says, and nothing that plugins and activities print."""

from __future__ import annotations

import codecs
import errno
import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ParamSpec, TextIO, TypeVar

from sagadsl.errors import SagadslError
from sagadsl.plugins.isolation import lent

ESCAPED = "sagadsl-escaped"
"""Name of the way in which characters are written that an output cannot take."""

P = ParamSpec("P")
R = TypeVar("R")

_ours: list[TextIO] = []
"""Where results go while `sys.stdout` is for guests."""


def out() -> TextIO:
    """Return what results are written to."""
    return _ours[-1] if _ours else sys.stdout


def with_guests(command: Callable[P, R]) -> Callable[P, R]:
    """Make *command* one in whose process code of others runs: what that prints goes to stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with _apart():
            return command(*args, **kwargs)

    return run


@contextmanager
def _apart() -> Iterator[None]:
    """Keep standard output for ourselves, by its number too: guests start processes, and outlive the command."""
    if _ours:
        yield
        return
    before = sys.stdout
    before.flush()
    ours = _taken(before)
    _ours.append(ours)
    sys.stdout = lent()
    try:
        yield
    finally:
        sys.stdout = before
        if ours is before:
            _ours.clear()
        elif not ours.closed:
            ours.flush()


def _taken(stream: TextIO) -> TextIO:
    """Return a stream to where *stream* leads, whose own number leads to stderr from now on."""
    if not isinstance(stream, io.TextIOWrapper) or stream.fileno() != 1:
        return stream
    taken = open(os.dup(1), "w", encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115 # until the process ends
    os.dup2(2, 1)
    return taken


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Write what the output cannot take as JSON would, so that JSON stays JSON: `\\u20ac`; an emoji takes two."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    units = found.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end


codecs.register_error(ESCAPED, _escaped)


class _Lenient(io.TextIOWrapper):
    """Standard error that may be full: what is told there is no reason to end a command."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except (OSError, ValueError):
            give_up(self)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except (OSError, ValueError):
            give_up(self)


def prepare() -> None:
    """Make standard output take every character, and standard error take everything."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPED)
    before = sys.stderr
    if isinstance(before, io.TextIOWrapper):
        encoding = before.encoding
        sys.stderr = _Lenient(before.detach(), encoding, ESCAPED, line_buffering=True)


def give_back() -> None:
    """Let standard output be anybody's again."""
    while _ours:
        ours = _ours.pop()
        os.dup2(ours.fileno(), 1)
        with suppress(OSError):  # who wrote to it has been told
            ours.close()


class Unwritable(SagadslError):
    """The result of a command could not be written: the disk is full, or nobody gave it a standard output."""

    code = "SD932"
    exit_code = 74

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        closed = self.reason.errno == errno.EBADF
        why = "it is closed" if closed else (self.reason.strerror or str(self.reason)).lower()
        return f"the result cannot be written to standard output: {why}"

    @property
    def help(self) -> str:
        return "what the command has done stays done: ask again with a place to write to"


def is_about_writing(error: OSError) -> bool:
    """Whether an error can only come from a place that takes nothing more; a closed pipe is another matter."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EIO)


def give_up(stream: TextIO) -> None:
    """Let the interpreter's own last flush of a stream that takes nothing go nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complete() -> None:
    """Give this process the standard streams that it was started without, so that no file is taken for one."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            # of standard output it can be told that nothing can be written there
            descriptor = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
