"""Very long sagas on a real server: loops whose worker has a process of its own, which tells its CPU and peak memory.

``python -m benchmarks long``: a loop of three steps an item that fails at its end and is undone wholly. ``ITEMS`` are
the items (20,000); results have 1 kB each, and nobody reads them. ``python -m benchmarks items``: what an item costs in
loops of ``ITEMS`` (100,1000,5000,20000) that complete, with one step an item, ``AT_ONCE`` (50) at the same time; and
how large the state was with which the saga went on in a new run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import time
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowHistoryEventFilterType
from temporalio.testing import WorkflowEnvironment

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.worker import build_worker

QUEUE = "long"
EVERY = 5_000
AT_ONCE = int(os.environ.get("AT_ONCE", "50"))
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
ITEMS: dict[str, Any] = {
    "sagadsl": 1,
    "name": "items",
    "version": "1",
    "input": {"type": "object"},
    "steps": [
        {
            "id": "lines",
            "for_each": {"items": "input.items", "max_concurrency": AT_ONCE},
            "steps": [{"id": "one", "activity": "long.step", "input": {"n": "{{ item }}"}, "compensation": _UNDO}],
        }
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
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            if line.strip() == "cpu":
                print(time.process_time(), peak, flush=True)
            else:
                print(f"{counter.steps:,} steps, {counter.undos:,} undos, worker peak {peak} MB", flush=True)


@contextlib.asynccontextmanager
async def _house(*, asked: bool) -> AsyncIterator[tuple[Client, Process]]:
    """Yield a client of a server of its own, and the process of a worker."""
    server = Path(sys.executable).with_name("temporal")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="never"
    )
    async with environment:
        address = environment.client.service_client.config.target_host
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.long", address, stdin=PIPE, stdout=PIPE if asked else None
        )
        yield environment.client, worker
        assert worker.stdin is not None
        worker.stdin.close()
        await worker.wait()


async def measure_items(sizes: list[int]) -> None:
    """Print what an item costs in a loop of each of these sizes; a first loop warms the worker up."""
    print("| items | worker CPU ms an item | peak MB | new runs | largest state, bytes |\n|---|---|---|---|---|")
    async with _house(asked=True) as (client, worker):
        before, _ = await _cpu(worker)
        for size in [100, *sizes]:
            started = await sagas.start(client, ITEMS, {"items": list(range(size))}, task_queue=QUEUE)
            ended = await runs.result(client, started.id)
            assert ended.status == "completed", ended
            now, peak = await _cpu(worker)
            states = await _states(client, started.id)
            each, before = (now - before) / size * 1e3, now
            print(f"| {size:,} | {each:.2f} | {peak:.0f} | {len(states)} | {max(states, default=0):,} |", flush=True)


async def _cpu(worker: Process) -> list[float]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(b"cpu\n")
    await worker.stdin.drain()
    return [float(each) for each in (await worker.stdout.readline()).split()]


async def _states(client: Client, id_: str) -> list[int]:
    """Return the sizes of the states with which a saga went on in new runs."""
    first = await client.get_workflow_handle(id_).describe()
    run_id: str | None = first.raw_description.workflow_execution_info.first_run_id
    sizes = []
    while run_id:
        handle, run_id = client.get_workflow_handle(id_, run_id=run_id), None
        async for event in handle.fetch_history_events(event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT):
            over = event.workflow_execution_continued_as_new_event_attributes
            if over.new_execution_run_id:
                run_id = over.new_execution_run_id
                sizes.append(over.input.payloads[-1].ByteSize())
    return sizes


async def measure(items: int) -> None:
    async with _house(asked=False) as (client, worker):
        began = time.monotonic()
        definition = {**DEFINITION, "input": {"type": "object"}}
        started = await sagas.start(client, definition, {"items": list(range(items))}, task_queue=QUEUE)
        ended = await runs.result(client, started.id)
        report = ended.report or {}
        undone = report.get("counts", {}).get("undone", len(report.get("undone", ())))
        print(f"{ended.status} after {time.monotonic() - began:.0f} s: {undone:,} of {3 * items:,} undone", flush=True)
        assert worker.stdin is not None
        worker.stdin.write(b"peak\n")
        await worker.stdin.drain()


def main() -> None:
    asyncio.run(measure(int(os.environ.get("ITEMS", "20000"))))


def items() -> None:
    asyncio.run(measure_items([int(each) for each in os.environ.get("ITEMS", "100,1000,5000,20000").split(",")]))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # sdk-python#300: the SDK may abort a process that ends
