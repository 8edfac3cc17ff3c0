"""Very many open sagas of one worker with a small cache, on the server of ``make cluster``: none is lost.

``python -m benchmarks crowd``: ``OPEN`` sagas (5,000) wait for a signal, the worker keeps ``CACHE`` of them (500). Then
all get their signal, and each must complete. Before that, sagas are started for ``SECONDS`` (60) as fast as it goes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter

from temporalio.client import Client

from benchmarks.processes import cpu, memory, running
from benchmarks.sizing import AT_ONCE, Cluster, at_rest, begin, cluster, package, starts, worker
from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.read import runs
from sagadsl.temporal.wire.arguments import Package

OPEN = int(os.environ.get("OPEN", "5000"))
CACHE = int(os.environ.get("CACHE", "500"))
SECONDS = float(os.environ.get("SECONDS", "60"))


def main() -> None:
    with cluster() as found:
        asyncio.run(_main(found))


async def _main(found: Cluster) -> None:
    client = await connect(resolve(Flags(address=found.address), {}))
    await starts(found, client, await package(client, "order"), SECONDS)
    await _crowd(found, client, await package(client, "waiting"))


async def _crowd(found: Cluster, client: Client, waiting: Package) -> None:
    with running(worker(found, "--cached", str(CACHE)), "ready") as (_, pid):
        idle, spent, used = memory(pid), found.spent(), cpu(pid)
        began = time.perf_counter()
        ids = await begin(client, waiting, {"amount": 10}, OPEN)
        await at_rest(client, ids)
        took = time.perf_counter() - began
        _say("to wait", took, found, spent, cpu(pid) - used)
        print(f"the worker: {idle:.0f} MB idle, {memory(pid):.0f} MB with {OPEN:,} open sagas", flush=True)
        spent, used, began = found.spent(), cpu(pid), time.perf_counter()
        ends: Counter[str] = Counter()
        free = asyncio.Semaphore(AT_ONCE)

        async def end(id_: str) -> None:
            async with free:
                await client.get_workflow_handle(id_).signal("approve")
                ends[(await runs.result(client, id_)).status] += 1

        await asyncio.gather(*map(end, ids))
        _say("from the signal to the end", time.perf_counter() - began, found, spent, cpu(pid) - used)
        print(f"ends: {dict(ends)}; the worker: {memory(pid):.0f} MB", flush=True)
        assert ends == {"completed": OPEN}


def _say(what: str, took: float, found: Cluster, before: dict[str, float], own: float) -> None:
    each = {name: (after - before[name]) / OPEN * 1000 for name, after in found.spent().items()}
    each["worker"] = own / OPEN * 1000
    shares = ", ".join(f"{name} {value:.1f}" for name, value in each.items())
    print(
        f"{OPEN:,} sagas, {CACHE:,} kept, {what}: {took:.0f} s, {OPEN / took:.0f} a second; ms of CPU a saga: {shares} "
        f"(load of the machine {os.getloadavg()[0]:.0f})",
        flush=True,
    )
