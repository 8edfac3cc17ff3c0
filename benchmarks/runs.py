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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from benchmarks.worker import start_arguments

VARIANTS = ("saga-inline", "saga-by-name", "saga-local", "hand-sandboxed", "hand-unsandboxed")
AT_ONCE = 50


@dataclass
class Figures:
    """What was measured of one variant and one outcome; CPU and latency in milliseconds, sagas a second."""

    cpu: list[float] = field(default_factory=list)
    latency: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    events: int = 0
    bytes: int = 0


class WorkerProcess:
    """A worker in a process of its own, which answers how much CPU it has used."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, variant: str, address: str) -> WorkerProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.worker",
            variant,
            address,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        worker = cls(process)
        await worker.cpu()  # answers once it is up
        return worker

    async def cpu(self) -> float:
        """Return the CPU seconds used so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"cpu\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("a worker of the benchmark has died; its message stands above")
        return float(line)

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def one(client: Client, variant: str, refuse: bool) -> str:
    """Run one saga to its end and return its id."""
    workflow_id = f"{variant}-{uuid.uuid4().hex[:12]}"
    order = {"item": "book", "count": 2, "amount": 30, "refuse": refuse}
    name, arguments, memo = start_arguments(variant, order)
    handle = await client.start_workflow(name, args=arguments, id=workflow_id, task_queue=variant, memo=memo)
    try:
        await handle.result()
    except WorkflowFailureError:
        if not refuse:
            raise
    return workflow_id


async def batch(client: Client, variant: str, refuse: bool, sagas: int, at_once: int) -> None:
    gate = asyncio.Semaphore(at_once)

    async def guarded() -> None:
        async with gate:
            await one(client, variant, refuse)

    await asyncio.gather(*(guarded() for _ in range(sagas)))


async def measure(sagas: int, rounds: int) -> dict[str, Figures]:
    """Return the figures by ``variant/outcome``."""
    server = Path(sys.executable).with_name("temporal")
    figures: dict[str, Figures] = {}
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        address = env.client.service_client.config.target_host
        workers = {variant: await WorkerProcess.start(variant, address) for variant in VARIANTS}
        for refuse in (False, True):
            outcome = "failing" if refuse else "completing"
            for variant in VARIANTS:  # warm: caches filled, connections open
                await batch(env.client, variant, refuse, 20, 10)
            for _ in range(rounds):
                for variant in VARIANTS:
                    entry = figures.setdefault(f"{variant}/{outcome}", Figures())
                    before = await workers[variant].cpu()
                    await batch(env.client, variant, refuse, sagas, 10)
                    entry.cpu.append((await workers[variant].cpu() - before) / sagas * 1000)
            for _ in range(3):
                for variant in VARIANTS:
                    began = time.perf_counter()
                    await batch(env.client, variant, refuse, 2 * AT_ONCE, AT_ONCE)
                    figures[f"{variant}/{outcome}"].rate.append(2 * AT_ONCE / (time.perf_counter() - began))
            for _ in range(15):
                for variant in VARIANTS:
                    entry = figures[f"{variant}/{outcome}"]
                    began = time.perf_counter()
                    workflow_id = await one(env.client, variant, refuse)
                    entry.latency.append((time.perf_counter() - began) * 1000)
            for variant in VARIANTS:
                workflow_id = await one(env.client, variant, refuse)
                history = await env.client.get_workflow_handle(workflow_id).fetch_history()
                entry = figures[f"{variant}/{outcome}"]
                entry.events = len(history.events)
                entry.bytes = sum(event.ByteSize() for event in history.events)
        for worker in workers.values():
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
            f"| {key} | {statistics.median(entry.cpu):.1f} | {_ratio(entry.cpu, sandboxed.cpu)} "
            f"| {_ratio(entry.cpu, plain.cpu)} | {latency:.0f} | {_ratio(entry.latency, plain.latency)} "
            f"| {statistics.median(entry.rate):.0f} | {entry.events} | {entry.bytes} |"
        )
    return lines


def _ratio(ours: list[float], theirs: list[float]) -> str:
    """Return the median of the ratios round by round."""
    return f"{statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}"


def main(sagas: int = 100, rounds: int = 7) -> dict[str, Any]:
    figures = asyncio.run(measure(sagas, rounds))
    print("\n".join(table(figures)), flush=True)
    return json.loads(json.dumps({key: vars(entry) for key, entry in figures.items()}))  # type: ignore[no-any-return]
