"""Whoever can open a connection: it is ended when it keeps the gateway waiting, and leaves room for others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import pytest
import uvicorn

from sagadsl.gateway.connections import Guard, Patience, guarded
from sagadsl.gateway.metrics import Metrics
from tests.gateway.house import House, serve
from tests.patience import PATIENCE

HOST = b"Host: localhost\r\n"
SHORT = Patience(head=0.2, body=0.2, taking=0.2)


@contextmanager
def _silent(house: House, count: int) -> Iterator[list[socket.socket]]:
    """Open so many connections, and say nothing."""
    host, _, port = house.url.removeprefix("http://").rpartition(":")
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection((host, int(port)), timeout=PATIENCE)) for _ in range(count)]


@pytest.mark.temporal
def test_connections_that_say_nothing_do_not_keep_others_out(house: House) -> None:
    """With 200 descriptors and 300 silent connections the gateway answers, and its log stays short."""
    with serve(house.folder, house.address, descriptors=200) as other, _silent(other, 300) as silent:
        answers = [other.ask("GET", "/healthz", timeout=PATIENCE).status_code for _ in range(5)]
        metrics = other.ask("GET", "/metrics").text
        said = list(other.lines)
        silent[0].settimeout(20)
        first = silent[0].recv(100)

    assert answers == [200] * 5
    assert first == b""
    assert 'sagadsl_gateway_connections_ended_total{why="room"}' in metrics
    assert len(said) < 20, said[:40]


@pytest.mark.temporal
def test_requests_that_are_none_leave_no_line_each(house: House) -> None:
    with serve(house.folder, house.address) as other:
        before = len(list(other.lines))
        for _ in range(20):
            with _silent(other, 1) as (each,):
                each.sendall(b"\x16\x03\x01 no request\r\n\r\n")
                assert each.recv(1000).startswith(b"HTTP/1.1 400")
        after = len(list(other.lines))

    assert after == before


App = Callable[[Any, Any, Any], Awaitable[None]]


async def _answering(scope: Any, receive: Any, send: Any) -> None:
    """Answer when the whole body is there; with a large answer for `/large`."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    body = b"x" * (20_000_000 if scope["path"] == "/large" else 2)
    await send({"type": "http.response.body", "body": body})


async def _waiting(_scope: Any, receive: Any, send: Any) -> None:
    """Take three times as long as anybody would be waited for."""
    await receive()
    await asyncio.sleep(3 * SHORT.head)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def _served(app: App, guard: Guard) -> AsyncIterator[int]:
    """Serve *app* behind *guard*, which looks around all the time; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(app, http=guarded(guard), ws="none", log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        server.capture_signals = ExitStack  # type: ignore[method-assign,assignment] # the signals of this process are pytest's
        serving = asyncio.create_task(server.serve([sock]))

        async def look() -> None:
            while True:
                guard.look(asyncio.get_running_loop().time())
                await asyncio.sleep(0.02)

        looking = asyncio.create_task(look())
        while not server.started:
            await asyncio.sleep(0.01)
        yield sock.getsockname()[1]
        server.should_exit = True
        await serving
        looking.cancel()


async def _answer_to(port: int, *sent: bytes, drip: bytes = b"") -> bytes:
    """Send what is *sent*, then *drip* again and again; return all that comes until the connection has ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for each in sent:
        writer.write(each)

    async def trickle() -> None:
        while drip:
            writer.write(drip)
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(trickle())
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        dripping.cancel()
        writer.close()


def _guard(most: int = 100) -> Guard:
    return Guard(most, Metrics(), SHORT)


@pytest.mark.parametrize(
    ("sent", "drip", "status", "why"),
    [
        ((), b"", b"", "head"),
        ((b"GET / HTTP/1.1\r\n" + HOST,), b"", b"408", "head"),
        ((b"GET / HTTP/1.1\r\n" + HOST,), b"X: y\r\n", b"408", "head"),
        ((b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99\r\n\r\n",), b"", b"408", "body"),
        ((b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9999\r\n\r\n",), b"x", b"408", "body"),
        ((b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",), b"", b"200", "head"),
        ((b"GET / HTTP/1.1\r\n" + HOST + b"\r\nGET",), b"\r", b"200", "head"),
    ],
    ids=["silent", "half a head", "a slow head", "no body", "a slow body", "an idle connection", "a slow second head"],
)
def test_who_keeps_us_waiting_is_let_go(sent: tuple[bytes, ...], drip: bytes, status: bytes, why: str) -> None:
    """A byte now and then is no whole request."""

    async def play() -> tuple[bytes, str]:
        guard = _guard()
        async with _served(_answering, guard) as port:
            return await _answer_to(port, *sent, drip=drip), guard.metrics.page().decode()

    answer, counted = asyncio.run(play())
    assert answer.startswith(b"HTTP/1.1 " + status if status else b"") or answer == b"reset"
    assert bool(answer) is bool(status)
    assert f'ended_total{{why="{why}"}} 1.0' in counted


def test_who_does_not_take_the_answer_is_let_go() -> None:
    """An event stream whose reader has stopped, or crawls, would keep its place for ever."""

    async def play() -> str:
        guard = _guard()
        async with _served(_answering, guard) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
            writer.write(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
            async with asyncio.timeout(PATIENCE):
                while 'why="taking"' not in guard.metrics.page().decode():
                    await asyncio.sleep(0.02)
            writer.close()
        return guard.metrics.page().decode()

    assert 'ended_total{why="taking"} 1.0' in asyncio.run(play())


def test_who_waits_for_us_stays() -> None:
    """An answer of ours may take longer than a peer may."""

    async def play() -> bytes:
        async with _served(_waiting, _guard()) as port:
            return await _answer_to(port, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")

    assert asyncio.run(play()).startswith(b"HTTP/1.1 204")


def test_beyond_the_most_the_oldest_that_asks_nothing_goes_first() -> None:
    """Who is being answered stays; when all are, the next one is told to come again."""

    async def play() -> list[bytes]:
        guard, go, asked = Guard(2, Metrics(), Patience()), asyncio.Event(), asyncio.Semaphore(0)

        async def held(_scope: Any, _receive: Any, send: Any) -> None:
            asked.release()
            await go.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async with _served(held, guard) as port:
            request = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
            silent = await asyncio.open_connection("127.0.0.1", port)
            first = asyncio.create_task(_answer_to(port, request))
            await asked.acquire()
            second = asyncio.create_task(_answer_to(port, request))
            displaced = await silent[0].read()
            silent[1].close()
            await asked.acquire()
            third = await _answer_to(port)
            go.set()
            return [displaced, await first, await second, third]

    displaced, first, second, third = asyncio.run(play())
    assert displaced == b""
    assert first.startswith(b"HTTP/1.1 204")
    assert second.startswith(b"HTTP/1.1 204")
    assert third.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1" in third


def test_the_kernel_watches_for_peers_that_are_gone_without_a_word() -> None:
    """A cable that is pulled sends nothing: the kernel asks, and ends the connection."""

    async def play() -> list[int]:
        guard = _guard()
        found: list[int] = []
        async with _served(_waiting, guard) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            while not guard._known:
                await asyncio.sleep(0.01)
            sock = next(iter(guard._known)).transport.get_extra_info("socket")
            found.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            found += [sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)]
            writer.close()
        return found

    assert asyncio.run(play()) == [1, 3]
