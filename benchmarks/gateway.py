"""The gateway with many clients at once: 1,000 starts, 5,000 open event streams, status polls of open sagas.

Real processes: a dev server, a worker, the gateway. ``STARTS``, ``STREAMS`` and ``POLLS`` in the environment change how
many there are. The streams are read by this process, over plain sockets, so that reading costs little.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import yaml
from temporalio.client import Client

from benchmarks.processes import cpu, memory, running
from benchmarks.serving import own_part, spent
from sagadsl.temporal import client as sagas
from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.embedded import serve
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.wire.arguments import Package

STARTS = int(os.environ.get("STARTS", "1000"))
STREAMS = int(os.environ.get("STREAMS", "5000"))
POLLS = int(os.environ.get("POLLS", "1000"))
AT_ONCE = 100
POLLS_AT_ONCE = 10
IDLE_SECONDS = 20.0
CHANGED = 50
"""How many of the sagas change while they are watched."""
PATIENCE = 120.0
"""Seconds within which every stream has to hear of a change."""

DEFINITION = Path(__file__).with_name("waiting.saga.yaml")
INPUT = {"amount": 10}


@dataclass(slots=True)
class Place:
    """What the clients of the benchmark talk to."""

    url: str
    gateway: int
    client: Client
    package: Package


@dataclass(slots=True)
class Readers:
    """Streams that are read, each until it ends."""

    place: Place
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    heard: dict[int, tuple[str, int, bool]] = field(default_factory=dict)
    refused: int = 0
    cut: int = 0

    async def open(self, ids: list[str]) -> None:
        """Open one stream for each id, so many at once as the kernel's queue of connections takes."""
        free = asyncio.Semaphore(64)
        await asyncio.gather(*(self._open(free, len(self.tasks) + number, id_) for number, id_ in enumerate(ids)))

    async def _open(self, free: asyncio.Semaphore, number: int, id_: str) -> None:
        async with free:
            where = urlsplit(self.place.url)
            reader, writer = await asyncio.open_connection(where.hostname, where.port, limit=16 * 1024)
            writer.write(f"GET /sagas/{id_}/events HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode())
            if b" 200 " not in await reader.readline():
                self.refused += 1
                writer.close()
                return
        self.heard[number] = id_, 0, False
        self.tasks.append(asyncio.create_task(self._read(number, reader, writer)))

    async def _read(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(16 * 1024):
                id_, count, ended = self.heard[number]
                self.heard[number] = id_, count + data.count(b"event: status"), ended or b"event: end" in data
                self.cut += data.count(b"event: leave")
        finally:
            writer.close()

    async def all_heard(self, *, of: Sequence[str] = ()) -> float:
        """Wait until every stream has a status, or those *of* some sagas have told of the end; return the seconds."""
        began, wanted = time.perf_counter(), set(of)
        while missing := sum(
            not ended if id_ in wanted else not (count or wanted) for id_, count, ended in self.heard.values()
        ):
            await asyncio.sleep(0.05)
            if time.perf_counter() - began > PATIENCE:
                print(f"  {missing} of {len(self.heard)} streams had not heard after {PATIENCE:.0f} s")
                break
        return time.perf_counter() - began

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def main() -> None:
    asyncio.run(_main())


async def _main() -> None:
    async with serve() as server:
        address = ["--address", server.address]
        kept = ["--cached", str(2 * STREAMS)]  # so that the worker answers at once: the gateway is measured
        more = ["--rate", "100000", "--waiting", str(4 * STREAMS)]
        with (
            running(["worker", str(DEFINITION), "-m", "benchmarks.steps", *kept, *address], "ready"),
            running(["serve", str(DEFINITION), "--bind", "127.0.0.1:0", *more, *address], "gateway at ") as (line, pid),
        ):
            client = await connect(resolve(Flags(address=server.address), {}))
            package = await sagas.packed(client, yaml.safe_load(DEFINITION.read_text("utf-8")), {})
            place = Place(line.split()[2].rstrip("/"), pid, client, package)
            await _starts(place)
            one, *ids = await _open_sagas(place, STREAMS + 1)
            await _polls(place, ids)
            await _streams(place, [one] * STREAMS, "one saga")
            await _streams(place, ids, f"{STREAMS:,} sagas")


async def _starts(place: Place) -> None:
    """1,000 starts, 100 at once: how much of the time is not Temporal's start call?"""
    limits = httpx2.Limits(max_connections=AT_ONCE)
    async with httpx2.AsyncClient(base_url=place.url, timeout=60, limits=limits) as http:

        async def one() -> None:
            answer = await http.post("/sagas/bench-waiting", json=INPUT, headers={"Idempotency-Key": str(uuid.uuid4())})
            assert answer.status_code == 202, answer.text

        await _at_once(AT_ONCE, [one] * AT_ONCE)  # the first ones pay for connections and late imports
        before, before_cpu = await spent(http), cpu(place.gateway)
        began = time.perf_counter()
        await _at_once(AT_ONCE, [one] * STARTS)
        took = time.perf_counter() - began
        after, used = await spent(http), cpu(place.gateway) - before_cpu
    print(
        f"{STARTS:,} starts, {AT_ONCE} at once: {took:.1f} s, {STARTS / took:.0f} a second; one start inside the "
        f"gateway {own_part(before, after, STARTS)} (CPU of the process {used / STARTS * 1000:.1f} ms)",
        flush=True,
    )


async def _at_once(most: int, calls: list[Callable[[], Awaitable[None]]]) -> None:
    free = asyncio.Semaphore(most)

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        async with free:
            await call()

    await asyncio.gather(*(one(call) for call in calls))


async def _open_sagas(place: Place, count: int) -> list[str]:
    """Start sagas that wait for a signal, and return their ids once all of them wait."""
    ids: list[str] = []

    async def one() -> None:
        started = await sagas.start(place.client, place.package, INPUT, task_queue="sagadsl")
        ids.append(started.id)

    began = time.perf_counter()
    await _at_once(AT_ONCE, [one] * count)
    for id_ in ids[-AT_ONCE:]:
        while (await describe(place.client, id_)).raw.pending_activities:
            await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    print(f"{count:,} sagas that wait for a signal: begun in {time.perf_counter() - began:.0f} s", flush=True)
    return ids


@dataclass(slots=True)
class Poller:
    """A connection that stays open, for polls that cost the client little."""

    host: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, url: str) -> Poller:
        where = urlsplit(url)
        return cls(where.netloc, *await asyncio.open_connection(where.hostname, where.port))

    async def poll(self, id_: str) -> None:
        """Ask for the status of a saga."""
        self.writer.write(f"GET /sagas/{id_} HTTP/1.1\r\nHost: {self.host}\r\n\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in head, head
        length = int(head.partition(b"content-length:")[2].split()[0])
        await self.reader.readexactly(length)


async def _polls(place: Place, ids: list[str]) -> None:
    """Status polls of open sagas, and the describe call of this process, in turns."""
    some = ids[:100]
    pollers = [await Poller.to(place.url) for _ in range(POLLS_AT_ONCE)]

    async def call(id_: str) -> None:
        await describe(place.client, id_)

    polling = [each.poll for each in pollers]
    await _timed(polling, some)  # the first turn pays for what is loaded late
    over_http: list[float] = []
    by_call: list[float] = []
    used = cpu(place.gateway)
    for _ in range(max(1, POLLS // len(some))):
        over_http += await _timed(polling, some)
        by_call += await _timed([call] * POLLS_AT_ONCE, some)
    used = (cpu(place.gateway) - used) / len(over_http) * 1000
    for each in pollers:
        each.writer.close()
    polled, described = statistics.quantiles(over_http, n=20), statistics.quantiles(by_call, n=20)
    print(
        f"{len(over_http):,} status polls of open sagas, {POLLS_AT_ONCE} at once: p50 {polled[9] * 1000:.1f} ms, "
        f"p95 {polled[18] * 1000:.1f} ms (CPU of the process {used:.1f} ms); the describe call alone "
        f"p50 {described[9] * 1000:.1f} ms, p95 {described[18] * 1000:.1f} ms: "
        f"{polled[9] / described[9]:.1f} and {polled[18] / described[18]:.1f} times",
        flush=True,
    )


async def _timed(clients: Sequence[Callable[[str], Awaitable[None]]], ids: Sequence[str]) -> list[float]:
    """Let clients ask for all of these sagas, one after the other each; return how long each answer took."""
    left, took = list(ids), []

    async def ask(client: Callable[[str], Awaitable[None]]) -> None:
        while left:
            id_ = left.pop()
            began = time.perf_counter()
            await client(id_)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(ask(each) for each in clients))
    return took


async def _streams(place: Place, ids: list[str], of: str) -> None:
    """Open streams of these sagas; measure memory, CPU while nothing happens, and how soon all hear of a change."""
    readers = Readers(place)
    before = memory(place.gateway)
    began = time.perf_counter()
    await readers.open(ids)
    await readers.all_heard()
    took = time.perf_counter() - began
    used = cpu(place.gateway)
    await asyncio.sleep(IDLE_SECONDS)
    idle = (cpu(place.gateway) - used) / IDLE_SECONDS
    grown = memory(place.gateway) - before
    some = list(dict.fromkeys(ids))[:CHANGED]
    for id_ in some:
        await place.client.get_workflow_handle(id_).signal("approve")
    heard = await readers.all_heard(of=some)
    print(
        f"{len(readers.heard):,} streams of {of} ({readers.refused} refused, {readers.cut} cut): open in {took:.0f} s; "
        f"{grown:.0f} MB more in memory, {grown * 1024 / max(1, len(readers.heard)):.0f} KB a stream; "
        f"CPU {100 * idle:.0f} % of a core while nothing happens; "
        f"all of {len(some)} sagas heard of its end after {heard:.1f} s",
        flush=True,
    )
    await readers.close()


if __name__ == "__main__":
    main()
