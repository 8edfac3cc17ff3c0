"""The network between workers and the server: a relay of TCP that can be cut; nothing arrives, and nobody is told."""

from __future__ import annotations

import asyncio
from contextlib import suppress

_MOST = 1 << 16


class Wire:
    """Relays connections to one address. While it is cut, what was sent waits, as it does between two machines."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def begin(self) -> str:
        """Listen on a free port, and return the address."""
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Let nothing through any more, in either direction; connections stay open, and new ones get no answer."""
        self._whole.clear()

    def mend(self) -> None:
        """Let through what has waited, and what follows."""
        self._whole.set()

    def end(self) -> None:
        """Close all of it."""
        for relay in self._relays:
            relay.cancel()
        if self._server is not None:
            self._server.close()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        try:
            await self._whole.wait()
            there_reader, there_writer = await asyncio.open_connection(*self._to)
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the server is away, or all is over
        finally:
            writer.close()
            self._relays.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while some := await reader.read(_MOST):
                await self._whole.wait()
                writer.write(some)
                await writer.drain()
        writer.close()
