"""A very long saga on a real server: a loop of three steps an item that fails at its end and is undone wholly.

``python -m benchmarks long`` takes the items from ``ITEMS`` (20,000). Its worker has a process of its own, which
tells its CPU and peak memory; results have 1 kB each, and nobody reads them.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.worker import build_worker

QUEUE = "long"
EVERY = 5_000
_UNDO = {"activity": "long.undo", "input": {"key": "{{ step.idempotency_key }}"}}
DEFINITION: dict[str, Any] = {
    "sagadsl": 1,
    "name": "long",
    "version": "1",
    "compensation": {"order": os.environ.get("ORDER", "reverse")},
    "steps": [
        {
            "id": "lines",
            "for_each": {"items": "input.items", "max_concurrency": 50},
            "steps": [
                {"id": name, "activity": "long.step", "input": {"n": "{{ item }}"}, "compensation": _UNDO}
                for name in ("one", "two", "three")
            ],
        },
        {"id": "no", "fail": {"type": "Refused", "message": "at the very end"}},
    ],
    "output": "done",
}


class Counter:
    """What the worker has done, and what it cost."""

    def __init__(self) -> None:
        self.steps = self.undos = 0
        self._cpu, self._at = 0.0, 0.0

    def step(self) -> None:
        self.steps += 1

    def undo(self) -> None:
        if self.undos % EVERY == 0:
            cpu, at = time.process_time(), time.monotonic()
            if self.undos:
                each, took = (cpu - self._cpu) / EVERY * 1e3, (at - self._at) / EVERY * 1e3
                print(f"{self.undos:,} undone: {each:.1f} ms CPU and {took:.1f} ms each", flush=True)
            self._cpu, self._at = cpu, at
        self.undos += 1


async def serve(address: str) -> None:
    """Be the worker, until stdin closes."""
    counter = Counter()

    @activity.defn(name="long.step")
    async def step(_input: dict[str, Any]) -> dict[str, Any]:
        counter.step()
        return {"text": "x" * 1_000, "id": uuid.uuid4().hex}

    @activity.defn(name="long.undo")
    async def undo(_input: dict[str, Any]) -> None:
        counter.undo()

    client = await Client.connect(address)
    async with build_worker(client, task_queue=QUEUE, activities=[step, undo]):
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{counter.steps:,} steps, {counter.undos:,} undos, worker peak {peak} MB", flush=True)


async def measure(items: int) -> None:
    server = Path(sys.executable).with_name("temporal")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    )
    async with environment:
        client = environment.client
        address = client.service_client.config.target_host
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.long", address, stdin=asyncio.subprocess.PIPE
        )
        began = time.monotonic()
        definition = {**DEFINITION, "input": {"type": "object"}}
        started = await sagas.start(client, definition, {"items": list(range(items))}, task_queue=QUEUE)
        ended = await runs.result(client, started.id)
        report = ended.report or {}
        undone = report.get("counts", {}).get("undone", len(report.get("undone", ())))
        print(f"{ended.status} after {time.monotonic() - began:.0f} s: {undone:,} of {3 * items:,} undone", flush=True)
        assert worker.stdin is not None
        worker.stdin.close()
        await worker.wait()


def main() -> None:
    asyncio.run(measure(int(os.environ.get("ITEMS", "20000"))))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # sdk-python#300: the SDK may abort a process that ends
