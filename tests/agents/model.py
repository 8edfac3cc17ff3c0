"""A language model's client for tests: the SDK's own, which starts `sagadsl mcp` and talks to it over its streams."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.cli.shell import environment
from tests.patience import PATIENCE

if TYPE_CHECKING:
    from mcp import Client

T = TypeVar("T")


class Model:
    """A client with a session."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def said(self, tool: str, **arguments: Any) -> tuple[str, bool]:
        """Return what a tool answers, and whether that is an error."""
        result = await self.client.call_tool(tool, arguments)
        (content,) = result.content
        return str(getattr(content, "text", "")), bool(result.is_error)

    async def ask(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the document of a tool, which has not failed."""
        text, failed = await self.said(tool, **arguments)
        assert not failed, text
        document: dict[str, Any] = json.loads(text)
        return document

    async def refused(self, tool: str, **arguments: Any) -> str:
        """Return why a tool refuses."""
        text, failed = await self.said(tool, **arguments)
        assert failed, text
        return text

    async def until(self, holds: Callable[[dict[str, Any]], bool], tool: str, **arguments: Any) -> dict[str, Any]:
        """Ask again and again, until the answer *holds*."""
        deadline = time.monotonic() + PATIENCE
        while not holds(found := await self.ask(tool, **arguments)):
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)
        return found


def with_model(
    work: Callable[[Model], Awaitable[T]],
    folder: Path,
    *arguments: str,
    cwd: Path | None = None,
    log: Path | None = None,
) -> T:
    """Start a server for *folder*, and let a model work with it."""
    from mcp import Client, StdioServerParameters, stdio_client  # a second, in each process that collects tests

    command = ["-m", "sagadsl", "mcp", str(folder), *arguments]
    started = StdioServerParameters(command=sys.executable, args=command, env=environment(), cwd=cwd or folder)

    async def main() -> T | Exception:
        with (log or Path(os.devnull)).open("w", encoding="utf-8") as heard:
            async with asyncio.timeout(2 * PATIENCE), Client(stdio_client(started, errlog=heard)) as client:
                try:
                    return await work(Model(client))
                except Exception as error:  # noqa: BLE001 - outside of the groups of the client, it is shown as it is
                    return error

    ended = asyncio.run(main())
    if isinstance(ended, Exception):
        raise ended
    return ended
