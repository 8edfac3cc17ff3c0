"""Separates outputs: stdout has only the command's result, and nothing that plugins and activities print."""

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

from sagadsl.errors import SagadslError, reason_of
from sagadsl.plugins.isolation import lent

ESCAPED = "sagadsl-escaped"
"""Name of the error handler for characters that an output cannot encode."""

P = ParamSpec("P")
R = TypeVar("R")

_ours: list[TextIO] = []
"""The stream for results while `sys.stdout` belongs to guests."""


def out() -> TextIO:
    """Return the stream for results."""
    return _ours[-1] if _ours else sys.stdout


def with_guests(command: Callable[P, R]) -> Callable[P, R]:
    """Mark *command* as one that runs other people's code in its process: what that prints goes to stderr."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with _apart():
            return command(*args, **kwargs)

    return run


@contextmanager
def _apart() -> Iterator[None]:
    """Keep standard output for results, also its descriptor: guests start processes that outlive the command."""
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
    """Return a new stream to the same place as *stream*; the descriptor of *stream* leads to stderr from now on."""
    if not isinstance(stream, io.TextIOWrapper) or stream.fileno() != 1:
        return stream
    taken = open(os.dup(1), "w", encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115 # until the process ends
    os.dup2(2, 1)
    return taken


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Escape what the output cannot encode as JSON does, so that JSON stays JSON: `\\u20ac`; an emoji takes two."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    units = found.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end


codecs.register_error(ESCAPED, _escaped)


class _Lenient(io.TextIOWrapper):
    """Standard error that may fail: a failure to write there must not end a command."""

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
    """Make standard output accept every character, and standard error never fail."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=ESCAPED)
    before = sys.stderr
    if isinstance(before, io.TextIOWrapper):
        encoding = before.encoding
        sys.stderr = _Lenient(before.detach(), encoding, ESCAPED, line_buffering=True)


def give_back() -> None:
    """Give standard output back to everybody."""
    while _ours:
        ours = _ours.pop()
        os.dup2(ours.fileno(), 1)
        with suppress(OSError):  # the writer has had the error already
            ours.close()


class Unwritable(SagadslError):
    """The result of a command could not be written: the disk is full, or there is no standard output."""

    code = "SD932"
    exit_code = 74

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        closed = self.reason.errno == errno.EBADF
        why = "it is closed" if closed else reason_of(self.reason)
        return f"the result cannot be written to standard output: {why}"

    @property
    def help(self) -> str:
        return "what the command has done stays done: ask again with a place to write to"


def is_about_writing(error: OSError) -> bool:
    """Whether an error means that the output accepts nothing more; a closed pipe is another matter."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EIO)


def give_up(stream: TextIO) -> None:
    """Redirect a stream that accepts nothing, so that the interpreter's last flush does not fail."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def complete() -> None:
    """Open the standard streams that this process lacks, so that no other file gets their numbers."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            # a read-only standard output makes each write fail, so that the failure is reported
            descriptor = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115
