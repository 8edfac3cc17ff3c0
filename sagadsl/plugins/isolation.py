"""Runs somebody else's import, and undoes its changes to the process.

A module may do anything when it is imported: change the folder, block signals or take their handlers, replace or close
standard output, print to it, set up logging, end the process. Afterwards all of that is restored, and what it prints
goes to stderr. Its changes to its own modules, to `sys.path` and to the environment stay, since other code needs them.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any, NoReturn, TextIO

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGCHLD", "SIGALRM", "SIGQUIT")
_HOOKS: tuple[tuple[ModuleType, str], ...] = (
    (sys, "stdin"),
    (sys, "stdout"),
    (sys, "stderr"),
    (sys, "excepthook"),
    (sys, "unraisablehook"),
    (threading, "excepthook"),
    (warnings, "warn"),
    (warnings, "showwarning"),
    (warnings, "formatwarning"),
)


class _Inside(threading.local):
    depth = 0


_inside = _Inside()
_lent: list[TextIO] = []
"""The stream that guests get as standard output and standard error; all share one, since they may keep it."""


class Left(Exception):
    """An import has tried to end the process."""


@contextmanager
def contained() -> Iterator[None]:
    """Restore the process when the block ends, however it ends. Raises ``Left`` if the block tries to end it."""
    with ExitStack() as after:
        for keep in (_folder, _streams, _hooks, _signals, _logging, _loops, _locale, _numbers, _exits):
            after.enter_context(keep())
        after.enter_context(warnings.catch_warnings())
        sys.stdout = sys.stderr = lent()
        yield


def lent() -> TextIO:
    """Return a stream to stderr for guests: they may close or wrap it without harm to our own."""
    ours = sys.stderr
    if not isinstance(ours, io.TextIOWrapper):
        return ours
    try:
        number = ours.fileno()
        if not _lent or _lent[-1].closed:
            own = open(os.dup(number), "w", encoding=ours.encoding, errors=ours.errors, buffering=1)  # noqa: SIM115
            _lent[:] = [own]
    except (OSError, ValueError):  # it is closed, or leads to no file
        return ours
    return _lent[-1]


def place_in(reason: BaseException, module: str) -> str:
    """Return file and line in *module*'s package from which *reason* comes; empty when unknown.

    Args:
        module: As an entry point names it: `acme.pay:charge`.
    """
    if isinstance(reason, SyntaxError) and reason.filename:
        return f"{_short(reason.filename)}:{reason.lineno or 1}"
    package = module.partition(":")[0].partition(".")[0]
    own = other = ""
    thrown = reason.__cause__ if isinstance(reason, Left) and reason.__cause__ is not None else reason
    at: TracebackType | None = thrown.__traceback__
    while at is not None:
        name = str(at.tb_frame.f_globals.get("__name__", ""))
        file = at.tb_frame.f_code.co_filename
        if name.partition(".")[0] == package:
            own = f"{_short(file)}:{at.tb_lineno}"
        elif not file.startswith("<") and name.partition(".")[0] not in ("sagadsl", "importlib"):
            other = f"{_short(file)}:{at.tb_lineno}"
        at = at.tb_next
    return own or other


def place_of(code: CodeType) -> str:
    """Return file and line of a function."""
    return f"{_short(code.co_filename)}:{code.co_firstlineno}"


def _short(file: str) -> str:
    with suppress(OSError, ValueError):
        near = os.path.relpath(file)
        return near if not near.startswith("..") else file
    return file


@contextmanager
def _folder() -> Iterator[None]:
    folder = _current()
    try:
        yield
    finally:
        if folder and _current() != folder:
            os.chdir(folder)


def _current() -> str:
    with suppress(OSError):
        return os.getcwd()
    return ""


@contextmanager
def _streams() -> Iterator[None]:
    """Keep the three standard descriptors: the next opened file would get the number of a closed one."""
    kept: dict[int, int] = {}
    for number in (0, 1, 2):
        with suppress(OSError):
            kept[number] = os.dup(number)
    try:
        yield
    finally:
        for number, copy in kept.items():
            if _identity(number) != _identity(copy):
                os.dup2(copy, number)
            os.close(copy)


def _identity(number: int) -> object:
    with suppress(OSError):
        found = os.fstat(number)
        return found.st_dev, found.st_ino
    return None


@contextmanager
def _hooks() -> Iterator[None]:
    before = [(module, name, getattr(module, name)) for module, name in _HOOKS]
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        if sys.stdout is not None and sys.stdout.closed:  # it was lent, and the guest has closed it
            sys.stdout = lent()


@contextmanager
def _signals() -> Iterator[None]:
    import signal  # noqa: PLC0415 # who imports nothing of others does not need it

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    is_main = threading.current_thread() is threading.main_thread()
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.default_int_handler(number, frame)

    if is_main and handlers[signal.SIGINT] is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    alarm = signal.getitimer(signal.ITIMER_REAL)
    try:
        yield
    except KeyboardInterrupt as error:
        if is_main and handlers[signal.SIGINT] is signal.default_int_handler and not received:
            raise Left("its import raises KeyboardInterrupt though nobody has pressed Ctrl-C") from error
        raise
    finally:
        if signal.getitimer(signal.ITIMER_REAL)[0] and not alarm[0]:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if is_main:
            for number, handler in handlers.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@contextmanager
def _logging() -> Iterator[None]:
    """Keep the settings that decide which log records are written, and where; a guest's own loggers are its own."""
    import logging  # noqa: PLC0415 # 2 ms, and most commands import nobody's module

    root, manager = logging.root, logging.root.manager
    handlers, level, disable = root.handlers[:], root.level, manager.disable
    known = [each for each in manager.loggerDict.values() if isinstance(each, logging.Logger) and not each.disabled]
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.disable(disable)
        for each in known:
            each.disabled = False


@contextmanager
def _loops() -> Iterator[None]:
    """Keep the policy of event loops, and do not import asyncio for that."""

    def policy() -> Any:
        return getattr(sys.modules.get("asyncio.events"), "_event_loop_policy", None)

    before = policy()
    try:
        yield
    finally:
        if policy() is not before:
            events = sys.modules["asyncio.events"]
            put: Callable[[Any], None] = getattr(events, "_set_event_loop_policy", events.set_event_loop_policy)
            put(before)


@contextmanager
def _locale() -> Iterator[None]:
    import locale  # noqa: PLC0415 # 2 ms that who imports nothing need not pay

    before = locale.setlocale(locale.LC_ALL)
    try:
        yield
    finally:
        if locale.setlocale(locale.LC_ALL) != before:
            with suppress(locale.Error):
                locale.setlocale(locale.LC_ALL, before)


@contextmanager
def _numbers() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    mask = os.umask(0o077)
    os.umask(mask)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
        os.umask(mask)


@contextmanager
def _exits() -> Iterator[None]:
    """Make `os._exit` raise ``Left`` during an import, in this process and not in processes that it forks."""
    before, here = os._exit, os.getpid()
    _inside.depth += 1

    def leave(status: int) -> NoReturn:
        if os.getpid() == here and _inside.depth:
            raise Left(f"its import calls `os._exit({status})`")
        before(status)

    os._exit = leave
    try:
        yield
    finally:
        _inside.depth -= 1
        os._exit = before
