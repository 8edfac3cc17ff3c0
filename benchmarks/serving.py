"""The gateway under load: sagas started over HTTP by clients whose connections break and who ask twice; status polls.

Real processes: a dev server, a worker, the gateway. A connection that is cut is cut by the client right after
it has sent its request, so that nobody has told it whether the saga was started: it asks again with its key.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
import uuid
from collections.abc import Awaitable
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from temporalio.client import Client

from benchmarks.processes import cpu, running
from sagadsl.temporal import client as sagas
from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.embedded import serve
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve

SAGAS = 200
AT_ONCE = 50
TWICE_EVERY, CUT_EVERY = 10, 20
POLLS = 1000
STARTS = 100

DEFINITION = Path(__file__).with_name("order.saga.yaml")


def main() -> None:
    asyncio.run(_main())


async def _main() -> None:
    async with serve() as server:
        with (
            running(["worker", str(DEFINITION), "-m", "benchmarks.steps", "--address", server.address], "ready"),
            running(
                ["serve", str(DEFINITION), "--bind", "127.0.0.1:0", "--rate", "100000", "--address", server.address],
                "gateway at ",
            ) as (line, gateway),
        ):
            url = line.split()[2].rstrip("/")
            client = await connect(resolve(Flags(address=server.address), {}))
            definition = json.loads(httpx2.get(f"{url}/definitions/bench-order").text)["definition"]
            value = {"item": "chair", "count": 1, "amount": 10, "refuse": False}
            await _starts(url, value)
            await _cost(url, client, definition, value, gateway)
            await _polls(url, value)


async def _starts(url: str, value: object) -> None:
    """200 sagas, 50 at once; every tenth request is sent twice, every twentieth connection is cut."""
    keys = [str(uuid.uuid4()) for _ in range(SAGAS)]
    free = asyncio.Semaphore(AT_ONCE)
    limits = httpx2.Limits(max_connections=AT_ONCE)
    async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits) as http:

        async def one(number: int, key: str) -> list[str]:
            async with free:
                if number % CUT_EVERY == 0:
                    await _cut(url, key, value)
                count = 2 if number % TWICE_EVERY == 0 else 1
                answers = await asyncio.gather(*(_start(http, key, value) for _ in range(count)))
                return [answer["run_id"] for answer in answers]

        began = time.perf_counter()
        runs = await asyncio.gather(*(one(number, key) for number, key in enumerate(keys)))
        took = time.perf_counter() - began
        assert all(len(set(each)) == 1 for each in runs), "a key was started twice"
        distinct = {run for each in runs for run in each}
        assert len(distinct) == SAGAS, "a saga was lost, or two keys share one"
        found = await asyncio.gather(*(_ended(http, key, value, free) for key in keys))
    assert found == ["completed"] * SAGAS, found
    print(
        f"{SAGAS} sagas over HTTP, {AT_ONCE} at once: {took:.1f} s; none lost, none started twice "
        f"({SAGAS // TWICE_EVERY} sent twice, {SAGAS // CUT_EVERY} connections cut); all completed"
    )


async def _start(http: httpx2.AsyncClient, key: str, value: object) -> dict[str, str]:
    answer = await http.post("/sagas/bench-order", json=value, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    data: dict[str, str] = answer.json()
    return data


async def _ended(http: httpx2.AsyncClient, key: str, value: object, free: asyncio.Semaphore) -> str:
    async with free:
        id_ = (await _start(http, key, value))["id"]
        while True:
            answer = await http.get(f"/sagas/{id_}/result", params={"wait": "30s"})
            if answer.status_code == 200:
                return str(answer.json()["status"])


async def _cut(url: str, key: str, value: object) -> None:
    """Send a request, and cut the connection before its answer."""
    where = urlsplit(url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    body = json.dumps(value)
    writer.write(
        f"POST /sagas/bench-order HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: application/json\r\n"
        f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    await writer.drain()
    await asyncio.sleep(random.random() * 0.01)
    writer.transport.abort()


async def _cost(url: str, client: Client, definition: dict[str, object], value: object, gateway: int) -> None:
    """One start after the other: over HTTP, and by the start call of this process, in turns."""
    over_http, by_call = [], []
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        for _ in range(10):  # the first ones pay for what is loaded late
            await _start(http, str(uuid.uuid4()), value)
        before, used = await spent(http), cpu(gateway)
        for _ in range(STARTS):
            over_http.append(await _timed(_start(http, str(uuid.uuid4()), value)))
            by_call.append(await _timed(sagas.start(client, definition, value, task_queue="sagadsl")))
            await asyncio.sleep(0.2)  # what was started is done before the next one
        after = await spent(http)
    print(
        f"one start: {statistics.median(over_http) * 1000:.1f} ms over HTTP, "
        f"{statistics.median(by_call) * 1000:.1f} ms by a start call of the client's own; inside the gateway "
        f"{own_part(before, after, STARTS)} (CPU of the process {(cpu(gateway) - used) / STARTS * 1000:.1f} ms)"
    )


async def _timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def spent(http: httpx2.AsyncClient) -> tuple[float, float]:
    """Return the seconds that the gateway has spent with starts so far, and with their start calls."""
    text = (await http.get("/metrics")).text
    names = ('sagadsl_gateway_request_seconds_sum{route="/sagas/{name}"}', "sagadsl_gateway_start_call_seconds_sum")
    whole, call = (
        next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)) for name in names
    )
    return whole, call


def own_part(before: tuple[float, float], after: tuple[float, float], starts: int) -> str:
    """Return what a start took inside the gateway, and how much of it was not Temporal's start call."""
    whole, call = ((after[part] - before[part]) / starts * 1000 for part in (0, 1))
    share = 100 * (whole - call) / call
    return f"{whole:.2f} ms, of which the start call {call:.2f} ms: its own part is {share:.0f} % of that"


async def _polls(url: str, value: object) -> None:
    """Status polls of sagas that have ended, 10 at once."""
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        ids = [(await _start(http, str(uuid.uuid4()), value))["id"] for _ in range(20)]
        for id_ in ids:
            await http.get(f"/sagas/{id_}/result", params={"wait": "30s"})
        free, took = asyncio.Semaphore(10), []

        async def one(number: int) -> None:
            async with free:
                began = time.perf_counter()
                answer = await http.get(f"/sagas/{ids[number % len(ids)]}")
                took.append(time.perf_counter() - began)
                assert answer.status_code == 200

        await asyncio.gather(*(one(number) for number in range(POLLS)))
    ordered = sorted(took)
    p50, p95 = ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.95)] * 1000
    print(f"{POLLS} status polls, 10 at once: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
