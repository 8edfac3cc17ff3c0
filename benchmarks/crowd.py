"""Very many open sagas of one worker with a small cache, on the server of ``make cluster``: none is lost.

``python -m benchmarks crowd``: ``OPEN`` sagas (5,000) wait for a signal, the worker keeps ``CACHE`` of them (500). Then
all get their signal, and each must complete. Before that, sagas are started for ``SECONDS`` (60) as fast as it goes.
``SERVER=dev`` takes the dev server, in memory, which costs less.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from temporalio.client import Client

from benchmarks.processes import cpu, memory, running
from benchmarks.sizing import AT_ONCE, Cluster, at_rest, begin, cluster, package, starts, worker
from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.server_process import SEARCH_ATTRIBUTES, port_near
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.read import runs
from sagadsl.temporal.wire.arguments import Package

OPEN = int(os.environ.get("OPEN", "5000"))
CACHE = int(os.environ.get("CACHE", "500"))
SECONDS = float(os.environ.get("SECONDS", "60"))


class Dev:
    """The dev server."""

    def __init__(self, pid: int, port: int) -> None:
        self._pid, self.address = pid, f"127.0.0.1:{port}"

    def spent(self) -> dict[str, float]:
        """Return the seconds of CPU so far of the server and of this process."""
        return {"server": cpu(self._pid), "client": time.process_time()}


@contextmanager
def _dev() -> Iterator[Dev]:
    port = port_near(23_000)
    command = [str(Path(sys.executable).with_name("temporal")), "server", "start-dev", "--ip", "127.0.0.1"]
    command += ["--port", str(port), "--headless", "--log-level", "never"]
    for name, kind in SEARCH_ATTRIBUTES.items():
        command += ["--search-attribute", f"{name}={kind}"]
    health = [command[0], "operator", "cluster", "health", "--address", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while subprocess.run(health, capture_output=True, check=False).returncode:
                if process.poll() is not None:
                    raise SystemExit("the dev server has ended")
                time.sleep(0.2)
            yield Dev(process.pid, port)
        finally:
            process.terminate()


def main() -> None:
    with _dev() if os.environ.get("SERVER") == "dev" else cluster() as found:
        asyncio.run(_main(found))


async def _main(found: Cluster | Dev) -> None:
    client = await connect(resolve(Flags(address=found.address), {}))
    if isinstance(found, Cluster):
        await starts(found, client, await package(client, "order"), SECONDS)
    await _crowd(found, client, await package(client, "waiting"))


async def _crowd(found: Cluster | Dev, client: Client, waiting: Package) -> None:
    with running(worker(found.address, "--cached", str(CACHE)), "ready") as (_, pid):
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


def _say(what: str, took: float, found: Cluster | Dev, before: dict[str, float], own: float) -> None:
    each = {name: (after - before[name]) / OPEN * 1000 for name, after in found.spent().items()}
    each["worker"] = own / OPEN * 1000
    shares = ", ".join(f"{name} {value:.1f}" for name, value in each.items())
    print(
        f"{OPEN:,} sagas, {CACHE:,} kept, {what}: {took:.0f} s, {OPEN / took:.0f} a second; ms of CPU a saga: {shares} "
        f"(load of the machine {os.getloadavg()[0]:.0f})",
        flush=True,
    )
