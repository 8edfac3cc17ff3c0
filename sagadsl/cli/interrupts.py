"""Lets a command wait for Ctrl-C and SIGTERM, which otherwise raise an exception anywhere."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

T = TypeVar("T")

INTERRUPTED = 130
_IS_POSIX = os.name == "posix"


def on_stop(tell: Callable[[], None]) -> None:
    """Let SIGINT and SIGTERM call *tell* in the running loop, instead of ending the process."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, tell)
        except NotImplementedError:  # the loops of Windows take none
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(tell))


def need_posix(what: str) -> None:
    """Raise ``click.UsageError`` where *what* cannot work, as it stands on what Unix has."""
    if not _IS_POSIX:
        raise click.UsageError(f"{what} needs Linux or macOS; on Windows, use WSL")


class StopRequested(Exception):
    """Somebody wants the command to end. The command that waits for it always catches it."""


class Interrupts:
    """Counts how often somebody has asked this process to stop."""

    def __init__(self) -> None:
        self.count = 0
        self._event = asyncio.Event()

    @classmethod
    def install(cls) -> Interrupts:
        """Take over SIGINT and SIGTERM of the running loop."""
        found = cls()
        on_stop(found.tell)
        return found

    def tell(self) -> None:
        """Note one more request."""
        self.count += 1
        self._event.set()

    async def unless_stop_requested(self, awaitable: Awaitable[T]) -> T:
        """Wait for *awaitable*; when a request comes first, cancel it and raise ``StopRequested``."""
        waiting = asyncio.ensure_future(awaitable)
        request = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait([waiting, request], return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                self._event.clear()
                raise StopRequested
            return waiting.result()
        finally:
            for task in (waiting, request):
                task.cancel()
            await asyncio.gather(waiting, request, return_exceptions=True)
