"""Worker CPU, latency and history of one saga, ours against hand-written, all in one run.

Every variant has a worker process of its own on a task queue of its own; batches of the
variants alternate, so that a machine that slows down slows all of them. A worker's CPU is
what its own process used (the SDK's native threads included), asked of it before and after.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from benchmarks.older import HERE, command

VARIANTS = ("saga-inline", "saga-by-name", "saga-local", "hand-sandboxed", "hand-unsandboxed", "hand-local")
AT_ONCE = 50


@dataclass
class Figures:
    """What was measured of one variant and one outcome; CPU and latency in milliseconds, sagas a second."""

    cpu: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    events: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Entrant:
    """One variant in one release: this one, or the one whose sources *folder* has."""

    variant: str
    folder: Path | None = None

    @property
    def name(self) -> str:
        """The name of its task queue, and in tables."""
        return self.variant if self.folder is None else f"{self.variant}, before"

    def command(self, address: str) -> list[str]:
        """Return the command of its worker."""
        return command(self.folder or HERE, "benchmarks.worker", self.variant, address, self.name)


class WorkerProcess:
    """A worker in a process of its own, which answers how much CPU it has used."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process, self.name = process, name
        self._starts: dict[str, Any] = {}

    @classmethod
    async def start(cls, entrant: Entrant, address: str) -> WorkerProcess:
        process = await asyncio.create_subprocess_exec(
            *entrant.command(address), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20
        )
        worker = cls(process, entrant.name)
        worker._starts = json.loads(await worker._asked("starts"))  # answers once it is up
        return worker

    async def begin(self, client: Client, refuse: bool) -> WorkflowHandle[Any, Any]:
        """Start one saga that this worker runs; the last step says no, or not."""
        name, arguments, memo = self._starts[str(int(refuse))]
        id_ = f"{self.name}-{uuid.uuid4().hex[:12]}"
        return await client.start_workflow(name, args=arguments, id=id_, task_queue=self.name, memo=memo)

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._process.pid

    async def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        return float(await self._asked("cpu"))

    async def _asked(self, what: str) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(what.encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker of the benchmark has died; its message stands above")
        return line

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def one(client: Client, worker: WorkerProcess, refuse: bool) -> str:
    """Run one saga to its end and return its id."""
    handle = await worker.begin(client, refuse)
    try:
        await handle.result()
    except WorkflowFailureError:
        if not refuse:
            raise
    return handle.id


async def batch(client: Client, worker: WorkerProcess, refuse: bool, sagas: int, at_once: int) -> None:
    gate = asyncio.Semaphore(at_once)

    async def guarded() -> None:
        async with gate:
            await one(client, worker, refuse)

    await asyncio.gather(*(guarded() for _ in range(sagas)))


async def measure(entrants: Sequence[Entrant], sagas: int, rounds: int) -> dict[str, Figures]:
    """Return the figures by ``entrant/outcome``."""
    server = Path(sys.executable).with_name("temporal")
    figures: dict[str, Figures] = {}
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        address = env.client.service_client.config.target_host
        workers = [await WorkerProcess.start(each, address) for each in entrants]
        for refuse in (False, True):
            outcome = "failing" if refuse else "completing"
            found = {each: figures.setdefault(f"{each.name}/{outcome}", Figures()) for each in workers}
            for worker in workers:  # warm: caches filled, connections open
                await batch(env.client, worker, refuse, 20, 10)
            for _ in range(rounds):
                for worker, entry in found.items():
                    before = await worker.cpu()
                    await batch(env.client, worker, refuse, sagas, 10)
                    entry.cpu.append((await worker.cpu() - before) / sagas * 1000)
            for _ in range(3):
                for worker, entry in found.items():
                    began = time.perf_counter()
                    await batch(env.client, worker, refuse, 2 * AT_ONCE, AT_ONCE)
                    entry.rate.append(2 * AT_ONCE / (time.perf_counter() - began))
            for _ in range(15):
                for worker, entry in found.items():
                    began = time.perf_counter()
                    await one(env.client, worker, refuse)
                    entry.latency.append((time.perf_counter() - began) * 1000)
            for worker, entry in found.items():
                workflow_id = await one(env.client, worker, refuse)
                history = await env.client.get_workflow_handle(workflow_id).fetch_history()
                entry.events = len(history.events)
                entry.bytes = sum(event.ByteSize() for event in history.events)
        for worker in workers:
            await worker.stop()
    return figures


def table(figures: dict[str, Figures]) -> list[str]:
    """Return the figures as a Markdown table, with the ratios to both hand-written variants."""
    lines = [
        "| saga | worker CPU ms | / sandboxed | / unsandboxed | latency ms | / unsandboxed | a second, 50 at once "
        "| events | bytes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, entry in figures.items():
        outcome = key.partition("/")[2]
        sandboxed, plain = figures[f"hand-sandboxed/{outcome}"], figures[f"hand-unsandboxed/{outcome}"]
        latency = statistics.median(entry.latency)
        lines.append(
            f"| {key} | {statistics.median(entry.cpu):.1f} | {ratio(entry.cpu, sandboxed.cpu)} "
            f"| {ratio(entry.cpu, plain.cpu)} | {latency:.0f} | {ratio(entry.latency, plain.latency)} "
            f"| {statistics.median(entry.rate):.0f} | {entry.events} | {entry.bytes} |"
        )
    return lines


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Return the median of the ratios round by round."""
    return f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}"


def main(sagas: int = 100, rounds: int = 7) -> dict[str, Any]:
    figures = asyncio.run(measure([Entrant(variant) for variant in VARIANTS], sagas, rounds))
    print("\n".join(table(figures)), flush=True)
    return json.loads(json.dumps({key: vars(entry) for key, entry in figures.items()}))  # type: ignore[no-any-return]
