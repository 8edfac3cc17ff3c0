"""Limits for connections: how many there may be, and how long each may keep the gateway waiting.

uvicorn waits for ever for a request that does not come, and for a peer that does not take its answer. So this module
looks at every connection once a second: what it waits for, and since when. Only a whole request resets the time;
nothing else that a peer sends does. This module knows nothing of the contents of requests.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sagadsl.errors import reason_of
from sagadsl.gateway.metrics import Metrics
from sagadsl.immutable import Immutable

log = logging.getLogger("sagadsl.gateway")

Awaited = Literal["", "head", "body", "taking"]

BACKLOG = 128
"""Connections that the kernel queues; asyncio accepts as many at once."""

_BESIDE = 3_000
"""Most connections beside those whose requests wait; each may hold 128 KiB of a request that nobody has read yet."""
_LEAST = 16
_RESERVED = BACKLOG + 32
"""File descriptors for connections that are accepted at once, for Temporal, and for files."""
_HIGHEST = 65_536

_LOOK_SECONDS = 1.0
_LOG_SECONDS = 30.0
"""How often the log says that the process is out of descriptors: asyncio reports it thousands of times a second."""

_STARVED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LIVELINESS: Mapping[str, int] = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 60_000}
"""Options of the kernel, as far as it has them: they detect within a minute a peer that is gone."""


class Patience(Immutable):
    """How many seconds a peer has.

    Attributes:
        head: For sending the head of a request, since the connection began or since the last answer.
        body: For sending its body.
        taking: For taking an answer.
    """

    head: float = 15.0
    body: float = 30.0
    taking: float = 60.0


@dataclass(slots=True)
class Guard:
    """The connections of one gateway."""

    most: int
    metrics: Metrics
    patience: Patience = field(default_factory=Patience)
    _known: dict[Connection, None] = field(default_factory=dict)
    _logged_at: float = float("-inf")

    def enter(self, new: Connection) -> None:
        """Add a connection; if there are too many, end the oldest one that has not sent a request."""
        self._known[new] = None
        if len(self._known) <= self.most:
            return
        for each in self._known:
            if each.awaits() == "head" and each is not new:
                self._end(each, "room")
                return
        self.metrics.ended("refused")
        new.refuse(503, "Service Unavailable", b"Retry-After: 1\r\n")

    def leave(self, gone: Connection) -> None:
        """Forget a connection."""
        self._known.pop(gone, None)

    async def watch(self) -> None:
        """Watch all connections until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """End every connection whose peer has been awaited for too long."""
        self.metrics.connections.set(len(self._known))
        for each in list(self._known):
            why = each.awaits()
            if why and each.waited(why, now) > getattr(self.patience, why):
                self._end(each, why)

    def _end(self, connection: Connection, why: str) -> None:
        self.leave(connection)
        self.metrics.ended(why)
        connection.end(why)

    @contextmanager
    def log_starvation(self) -> Iterator[None]:
        """Log once, and again after a while, that no connection can be accepted."""
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            error = context.get("exception")
            if not isinstance(error, OSError) or error.errno not in _STARVED:
                loop.default_exception_handler(context)
            elif time.monotonic() - self._logged_at > _LOG_SECONDS:
                self._logged_at = time.monotonic()
                log.error("no connection can be accepted at this moment: %s", reason_of(error))

        loop.set_exception_handler(handle)
        try:
            yield
        finally:
            loop.set_exception_handler(before)


class Connection(H11Protocol):
    """One connection, as uvicorn speaks HTTP/1.1, and since when it waits for its peer."""

    guard: Guard
    _awaited: tuple[Awaited, Any] = ("", None)
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._since = time.monotonic()
        self._awaited = "head", None
        _watch_peer(transport.get_extra_info("socket"))
        self.guard.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.leave(self)
        super().connection_lost(exc)

    def awaits(self) -> Awaited:
        """Return what is awaited of the peer; nothing while the gateway makes the answer."""
        if self.transport.get_write_buffer_size():
            return "taking"
        if self.conn.their_state is h11.IDLE:
            return "head"
        return "body" if self.conn.their_state is h11.SEND_BODY else ""

    def waited(self, why: Awaited, now: float) -> float:
        """Return for how many seconds the gateway has waited for *why*."""
        if self._awaited != (why, self.cycle):  # another request is another wait
            self._awaited, self._since = (why, self.cycle), now
        return now - self._since

    def end(self, why: str) -> None:
        """End the connection; a peer that has sent part of a request gets the reason."""
        has_begun = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if why == "taking" or has_begun:
            self.transport.abort()
        elif why == "body" or self.conn.trailing_data[0]:
            self.refuse(408, "Request Timeout")
        else:
            self.transport.close()

    def refuse(self, status: int, reason: str, headers: bytes = b"") -> None:
        """Answer without reading a request, and close."""
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n"
        self.transport.write(head.encode() + headers + b"\r\n")
        self.transport.close()


class Listener(uvicorn.Server):
    """uvicorn on sockets that listen already, with a limit for the handshake of TLS, which nobody else watches."""

    def __init__(self, config: uvicorn.Config, patience: Patience, context: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._patience, self._context = patience, context

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections; as uvicorn does it."""
        config, state = self.config, self.server_state

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = config.http_protocol_class(config=config, server_state=state, app_state={})  # type: ignore[call-arg]
            return made

        loop, limit = asyncio.get_running_loop(), None if self._context is None else self._patience.head
        self.servers = [
            await loop.create_server(
                protocol, sock=each, ssl=self._context, ssl_handshake_timeout=limit, backlog=config.backlog
            )
            for each in sockets or ()
        ]
        self.started = True


def guarded(guard: Guard) -> type[Connection]:
    """Return the protocol class for uvicorn whose connections report to *guard*."""
    return type("Guarded", (Connection,), {"guard": guard})


def room(waiting: int) -> int:
    """Raise the limit of descriptors as far as possible, and return how many connections there may be.

    Args:
        waiting: How many requests may wait at the same time.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _HIGHEST if hard == resource.RLIM_INFINITY else min(hard, _HIGHEST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    most = _HIGHEST if soft == resource.RLIM_INFINITY else soft
    return max(_LEAST, min(waiting + _BESIDE, most - _RESERVED))


def _watch_peer(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _LIVELINESS.items():
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
