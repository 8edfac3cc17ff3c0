"""What sagas take of a Temporal server on PostgreSQL, and of workers: the figures of docs/operations/sizing.md.

``python -m benchmarks sizing`` begins the server of ``make cluster`` in a folder of its own. The environment changes
how much is measured: ``SAGAS`` (300) of each story in the database, ``SECONDS`` (30) of starts, ``OPEN`` (2,000) sagas
that wait while the worker keeps ``CACHE`` (100) of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yaml
from temporalio.client import Client
from temporalio.service import RPCError

from benchmarks.processes import cpu, cpu_of_all, memory, running
from benchmarks.scale import steps_of
from deploy.cluster.processes import State
from sagadsl.temporal import client as sagas
from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.wire.arguments import Package

SAGAS = int(os.environ.get("SAGAS", "300"))
SECONDS = float(os.environ.get("SECONDS", "30"))
OPEN = int(os.environ.get("OPEN", "2000"))
CACHE = int(os.environ.get("CACHE", "100"))
DEFINITIONS, STEPS = 50, 200
AT_ONCE = 100
WOKEN = 100

FOLDER = Path(__file__).parent
ORDER = {"item": "chair", "count": 1, "amount": 10, "refuse": False}
STORIES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "three steps, completed": ("order", ORDER),
    "three steps, the last fails, two undone": ("order", {**ORDER, "refuse": True}),
    "one step, then a wait": ("waiting", {"amount": 10}),
}


class Cluster:
    """A Temporal server on PostgreSQL, as ``make cluster`` begins it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._state = folder, State.read(folder)
        self.address = f"127.0.0.1:{self._state.ports['frontend']}"

    def database_bytes(self) -> tuple[int, ...]:
        """Return how many bytes the databases of runs and of the index have on disk, without what vacuum would free.

        What has been updated and removed stays there until it does, so that its share depends on when it last did.
        """
        return tuple(self._bytes_of(name) for name in ("temporal", "temporal_visibility"))

    def _bytes_of(self, database: str) -> int:
        with psycopg.connect(
            host="127.0.0.1",
            port=self._state.ports["postgres"],
            user="temporal",
            password=(self._folder / "password").read_text(),
            dbname=database,
            autocommit=True,
        ) as connection:
            connection.execute("VACUUM FULL")
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert row is not None
        return int(row[0])

    def spent(self) -> dict[str, float]:
        """Return the seconds of CPU so far of the server, of PostgreSQL and of this process."""
        pids = {name: process.pid for name, process in self._state.processes.items()}
        return {name: cpu_of_all(pid) for name, pid in pids.items()} | {"client": time.process_time()}


@contextmanager
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="sagadsl-sizing-"))
    folder.chmod(0o755)  # PostgreSQL's user has to get in
    binaries = FOLDER.parent / "build" / "cluster" / "bin"
    command = [sys.executable, "-m", "deploy.cluster"]
    options = ["--folder", str(folder), "--binaries", str(binaries)]
    try:
        subprocess.run([*command, "up", *options, "--server-only"], check=True, stdout=subprocess.DEVNULL)
        yield Cluster(folder)
    finally:
        subprocess.run([*command, "down", *options, "--wipe"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder)


def main() -> None:
    _many_definitions()
    with cluster() as found:
        asyncio.run(_main(found))


async def _main(found: Cluster) -> None:
    client = await connect(resolve(Flags(address=found.address), {}))
    packages = {name: await package(client, name) for name in ("order", "waiting")}
    await starts(found, client, packages["order"], SECONDS)
    with running(worker(found.address), "ready"):
        for story, (name, input_) in STORIES.items():
            await _growth(found, client, story, packages[name], input_)
    for cached in (CACHE, OPEN):
        await _open(found, client, packages["waiting"], cached)


def worker(address: str, *more: str) -> list[str]:
    files = [str(FOLDER / f"{name}.saga.yaml") for name in ("order", "waiting")]
    return ["worker", *files, "-m", "benchmarks.steps", "--address", address, *more]


async def package(client: Client, name: str) -> Package:
    text = (FOLDER / f"{name}.saga.yaml").read_text(encoding="utf-8")
    return await sagas.packed(client, yaml.safe_load(text), {})


async def begin(client: Client, package: Package, input_: object, count: int) -> list[str]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with free:
            return (await sagas.start(client, package, input_, task_queue="sagadsl")).id

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def starts(found: Cluster, client: Client, order: Package, seconds: float) -> None:
    """Start as many sagas as the server takes, for a while; nobody works on them yet."""
    while True:
        try:
            await sagas.start(client, order, ORDER, task_queue="nobody")
        except RPCError:  # the frontend has not yet heard of the search attributes
            await asyncio.sleep(0.5)
        else:
            break
    before, began, done = found.spent(), time.perf_counter(), 0

    async def on() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await sagas.start(client, order, ORDER, task_queue="nobody")
            done += 1

    await asyncio.gather(*(on() for _ in range(AT_ONCE)))
    took = time.perf_counter() - began
    after = found.spent()
    shares = ", ".join(f"{name} {(after[name] - before[name]) / done * 1000:.1f}" for name in after)
    busy = sum(after.values()) - sum(before.values())
    print(
        f"{done:,} starts in {took:.0f} s, {done / took:.0f} a second; ms of CPU a start: {shares}; together "
        f"{busy / took:.1f} of {os.cpu_count()} cores (load of the machine {os.getloadavg()[0]:.0f})",
        flush=True,
    )


async def _growth(found: Cluster, client: Client, story: str, package: Package, input_: object) -> None:
    """Run a story some hundred times; say what each saga has left in its history and in the database."""
    before, spent = found.database_bytes(), found.spent()
    ids = await begin(client, package, input_, SAGAS)
    if "wait" in story:
        await at_rest(client, ids)
    else:
        for id_ in ids:
            await runs.result(client, id_)
    used = {name: (after - spent[name]) / SAGAS * 1000 for name, after in found.spent().items()}
    infos = [(await describe(client, id_)).raw.workflow_execution_info for id_ in ids[:20]]
    await asyncio.sleep(2)  # the index lags
    grown = [(now - then) / SAGAS / 1000 for now, then in zip(found.database_bytes(), before, strict=True)]
    print(
        f"{story}: {statistics.median(each.history_length for each in infos):.0f} events, "
        f"{statistics.median(each.history_size_bytes for each in infos) / 1000:.1f} kB of history, "
        f"{grown[0]:.1f} kB in the database of runs, {grown[1]:.1f} kB in that of the index; "
        f"ms of CPU a saga: postgres {used['postgres']:.1f}, server {used['temporal']:.1f}",
        flush=True,
    )


async def at_rest(client: Client, ids: Sequence[str]) -> None:
    for id_ in ids:
        while True:
            raw = (await describe(client, id_)).raw
            if raw.workflow_execution_info.history_length > 3 and not (
                raw.pending_activities or raw.HasField("pending_workflow_task")
            ):
                break
            await asyncio.sleep(0.1)


async def _open(found: Cluster, client: Client, package: Package, cached: int) -> None:
    """Many open sagas and a worker that keeps some of them in memory: what does the end of the oldest ones take?"""
    with running(worker(found.address, "--cached", str(cached)), "ready") as (_, pid):
        idle = memory(pid)
        ids = await begin(client, package, {"amount": 10}, OPEN)
        await at_rest(client, ids)
        grown, used = memory(pid) - idle, cpu(pid)
        took = []
        for id_ in ids[:WOKEN]:
            began = time.perf_counter()
            await client.get_workflow_handle(id_).signal("approve")
            await runs.result(client, id_)
            took.append(time.perf_counter() - began)
        spent = (cpu(pid) - used) / WOKEN * 1000
        for id_ in ids[WOKEN:]:
            await client.get_workflow_handle(id_).terminate()
    print(
        f"{OPEN:,} open sagas, {cached:,} of them kept in memory: the worker has {grown:.0f} MB more than when idle "
        f"({idle:.0f} MB); from a signal to the end of one of the oldest {statistics.median(took) * 1000:.0f} ms, "
        f"{spent:.1f} ms of the worker's CPU",
        flush=True,
    )


def _many_definitions() -> None:
    """A worker of 50 definitions of 200 steps, and of one of three steps: how soon is it ready, how large is it?"""
    from sagadsl.temporal.link.embedded import serve  # noqa: PLC0415 # only this part wants a dev server

    async def measure() -> None:
        async with serve() as server:
            with tempfile.TemporaryDirectory() as folder:
                for number in range(DEFINITIONS):
                    _write(Path(folder) / f"long_{number}.saga.yaml", f"long-{number}")
                for what, files in {
                    "one definition of 3 steps": [str(FOLDER / "order.saga.yaml")],
                    f"{DEFINITIONS} definitions of {STEPS} steps": [folder],
                }.items():
                    began = time.perf_counter()
                    command = ["worker", *files, "-m", "benchmarks.steps", "--address", server.address]
                    with running(command, "ready") as (_, pid):
                        took = time.perf_counter() - began
                        print(
                            f"worker of {what}: ready after {took:.1f} s ({cpu(pid):.1f} s of CPU), "
                            f"{memory(pid):.0f} MB",
                            flush=True,
                        )

    asyncio.run(measure())


def _write(path: Path, name: str) -> None:
    definition = {
        "sagadsl": 1,
        "name": name,
        "version": "1.0.0",
        "input": {"type": "object", "properties": {"v": {"type": "integer"}}},
        "steps": steps_of(STEPS),
        "output": "done",
    }
    path.write_text(json.dumps(definition), encoding="utf-8")
