"""Says that no worker goes on with a saga while a command waits for it without showing its steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from shlex import quote
from typing import TYPE_CHECKING

from sagadsl.cli import screen
from sagadsl.errors import SagadslError
from sagadsl.status.advice import unserved
from sagadsl.status.lines import on_queue

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.read.following import Picture

See = Callable[["Picture"], None]

_BETWEEN = 3.0
"""Seconds between two looks."""


def telling(options: str, no_worker: str = "") -> See:
    """Return what says on stderr, once, that a saga, or a call of it, waits where no worker polls.

    Args:
        options: Connection options for the end of a printed command.
        no_worker: The line for the saga itself; empty for the usual one.
    """
    said: set[str] = set()

    def see(picture: Picture) -> None:
        found = list(unserved(picture.attempts, options))
        if picture.is_open and not picture.has_worker:
            found.insert(0, no_worker or _nobody(picture, options))
        for line in found:
            if line not in said:
                said.add(line)
                screen.note(line)

    return see


def _nobody(picture: Picture, options: str) -> str:
    queue = picture.status.get("task_queue", "")
    tail = f" {options}" if options else ""
    start = f"; start one, e.g. `sagadsl worker --task-queue {quote(queue)}{tail}`" if queue else ""
    return f"no worker answers{on_queue(picture.status)}{start}"


@asynccontextmanager
async def watched(client: Client, id: str, see: See) -> AsyncIterator[None]:
    """Look at a saga from time to time while something else waits for it."""
    from temporalio.service import RPCError

    from sagadsl.temporal.read.following import picture

    async def look() -> None:
        while True:
            await asyncio.sleep(_BETWEEN)
            try:
                see(await picture(client, id))
            except (RPCError, SagadslError):  # whoever waits for the saga is told of it
                return

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
