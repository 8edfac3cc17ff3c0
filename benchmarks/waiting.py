"""Worker memory of open sagas that wait: ours against a hand-written one, and what of it is whose.

``python -m benchmarks waiting``: each variant has a worker process of its own that holds ``OPEN`` sagas (400 and 5,000
if left out) which have done two activities and wait for a signal. ``process`` are its pages; ``malloc`` is what is in
use of the memory that Temporal's core, protobuf messages and large objects of Python have. With ``PARTS=1`` Python's
memory is counted by whose code has asked for it, which takes memory itself: the other figures of such a run mean
nothing.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import sys
import tracemalloc
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from benchmarks.steps import step, undo
from sagadsl.engine.journal import RULES
from sagadsl.temporal.wire.arguments import RunOptions, envelope, open_envelope, to_bytes
from sagadsl.temporal.worker import build_worker

QUEUE = "waiting"
VARIANTS = ("saga", "hand-unsandboxed", "hand-sandboxed")
AT_ONCE = 50
FIRST = 100
"""Sagas before the first look: by then everything is loaded that a saga needs."""
EVENTS = 16
"""Events of the history of a saga that waits."""
_UNDO = {"activity": "bench.undo", "input": {"key": "{{ step.idempotency_key }}"}}
DEFINITION: dict[str, Any] = {
    "sagadsl": 1,
    "name": "bench-waiting",
    "version": "1",
    "input": {"type": "object", "properties": {"item": {"type": "string"}, "count": {"type": "integer"}}},
    "steps": [
        {"id": "reserve", "activity": "bench.step", "input": {"item": "{{ input.item }}"}, "compensation": _UNDO},
        {
            "id": "pay",
            "activity": "bench.step",
            "input": {"order": "{{ steps.reserve.output.reference }}", "amount": "{{ input.count }}"},
            "compensation": _UNDO,
        },
        {"id": "approval", "wait_for": {"signal": "approval", "payload": {"type": "object"}}},
    ],
    "output": {"reference": "{{ steps.pay.output.reference }}"},
}
INLINE = envelope(DEFINITION, {}, RunOptions(rules=RULES))
MEMO = open_envelope(to_bytes(INLINE)).memo()


class _Waiting:
    def __init__(self) -> None:
        self.approval: dict[str, Any] | None = None
        self.undos: list[tuple[str, Any]] = []

    async def _saga(self, order: dict[str, Any]) -> dict[str, Any]:
        reserved = await self._call({"item": order["item"]})
        paid = await self._call({"order": reserved["reference"], "amount": order["count"]})
        await workflow.wait_condition(lambda: self.approval is not None)
        return {"reference": paid["reference"]}

    async def _call(self, argument: dict[str, Any]) -> dict[str, Any]:
        self.undos.append(("bench.undo", argument))
        answer: dict[str, Any] = await workflow.execute_activity(
            "bench.step", argument, start_to_close_timeout=timedelta(minutes=1)
        )
        return answer

    @workflow.signal(name="approval")
    def on_approval(self, payload: dict[str, Any]) -> None:
        self.approval = payload


@workflow.defn(name="hand-sandboxed")
class HandSandboxed(_Waiting):
    """As the SDK runs a workflow by default."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> dict[str, Any]:
        return await self._saga(order)


@workflow.defn(name="hand-unsandboxed", sandboxed=False)
class HandUnsandboxed(_Waiting):
    """The same without the SDK's sandbox."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> dict[str, Any]:
        return await self._saga(order)


def _worker(variant: str, client: Client, cached: int) -> Worker:
    activities = [step, undo]
    if variant == "saga":
        return build_worker(client, task_queue=QUEUE, activities=activities, max_cached_workflows=cached)
    made = HandSandboxed if variant == "hand-sandboxed" else HandUnsandboxed
    return Worker(client, task_queue=QUEUE, workflows=[made], activities=activities, max_cached_workflows=cached)


async def serve(variant: str, address: str, cached: int, parts: bool) -> None:
    """Be the worker; answer each line of stdin with what the process holds now."""
    if parts:
        tracemalloc.start()
    client = await Client.connect(address)
    async with _worker(variant, client, cached):
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(_held(parts)), flush=True)


class _MallInfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (*"abcdefg", "in_use", "free", "top")]


def _held(parts: bool) -> dict[str, int]:
    """Return what the process holds in bytes: its pages, what ``malloc`` has given out, and Python's part by whose."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _MallInfo
    found = {"process": pages * os.sysconf("SC_PAGE_SIZE"), "malloc": ask().in_use}
    if parts:
        for each in tracemalloc.take_snapshot().statistics("filename"):
            whose = _whose(each.traceback[0].filename)
            found[whose] = found.get(whose, 0) + each.size
    return found


def _whose(file: str) -> str:
    if "/temporalio/" in file or "/google/" in file:
        return "Python: the SDK"
    return "Python: sagadsl" if "/sagadsl/" in file or file == "<string>" else "Python: the rest"


async def _fill(client: Client, variant: str, number: int) -> None:
    """Start *number* sagas, and wait until each of them waits."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        order = {"item": "a chair", "count": 3}
        arguments, memo = ([order, INLINE], MEMO) if variant == "saga" else ([order], None)
        type_ = DEFINITION["name"] if variant == "saga" else variant
        async with gate:
            handle = await client.start_workflow(
                type_, args=arguments, id=uuid.uuid4().hex, task_queue=QUEUE, memo=memo
            )
            while (await handle.describe()).history_length < EVENTS:
                await asyncio.sleep(0.2)

    await asyncio.gather(*(one() for _ in range(number)))


async def measure(variant: str, sizes: list[int], *, parts: bool) -> list[dict[str, int]]:
    """Return what a worker held with each number of open sagas."""
    server = Path(sys.executable).with_name("temporal")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    )
    async with environment:
        client = environment.client
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.waiting",
            variant,
            client.service_client.config.target_host,
            str(2 * sizes[-1] + 100),
            str(int(parts)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        found, there = [], 0
        for size in sizes:
            await _fill(client, variant, size - there)
            there = size
            worker.stdin.write(b"\n")
            await worker.stdin.drain()
            found.append(json.loads(await worker.stdout.readline()))
        worker.kill()
        await worker.wait()
        return found


def main() -> None:
    parts = os.environ.get("PARTS") == "1"
    sizes = [int(each) for each in os.environ.get("OPEN", "400,5000").split(",")]
    print("| saga | open | KB each, of what |\n|---|---|---|")
    for variant in os.environ.get("VARIANTS", ",".join(VARIANTS)).split(","):
        before, *held = asyncio.run(measure(variant, [FIRST, *sizes], parts=parts))
        for size, now in zip(sizes, held, strict=True):
            each = {what: (number - before.get(what, 0)) / (size - FIRST) / 1024 for what, number in now.items()}
            print(
                f"| {variant} | {size:,} | {', '.join(f'{what} {kb:.1f}' for what, kb in each.items())} |", flush=True
            )


if __name__ == "__main__":
    logging.disable()
    asyncio.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1"))
