"""Lets a command wait for Ctrl-C and SIGTERM, which otherwise raise an exception anywhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

INTERRUPTED = 130


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
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, found.tell)
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
