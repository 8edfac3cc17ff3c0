"""Many open sagas, and a worker that keeps only few of them: what it costs to wake one that has to be replayed.

``python -m benchmarks evicting``: ``OPEN`` sagas (20,000) wait for a signal, and ``WOKEN`` of them (1,000) get it, the
oldest first. The worker keeps ``CACHE`` of them (200) and has a process of its own. It tells its CPU, how often it has
parsed and checked a definition, and in whose code its threads were when it looked at them every few milliseconds.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from benchmarks.steps import step, undo
from sagadsl.engine.journal import RULES
from sagadsl.temporal.wire.arguments import RunOptions, envelope, open_envelope, to_bytes
from sagadsl.temporal.worker import build_worker

QUEUE = "evicting"
AT_ONCE = 50
LOOK_SECONDS = 0.005
PARSING = (
    "/sagadsl/language/load",
    "/sagadsl/language/build",
    "/sagadsl/language/schema/",
    "/sagadsl/language/checks/",
)
DEFINITION: dict[str, Any] = {
    "sagadsl": 1,
    "name": "bench-evicting",
    "version": "1",
    "steps": [
        {"id": "approval", "wait_for": {"signal": "approval"}},
        {"id": "ship", "activity": "bench.step", "input": {"order": "{{ input.n }}"}, "compensation": "none"},
    ],
    "input": {"type": "object"},
    "output": {"reference": "{{ steps.ship.output.reference }}"},
}
INLINE = envelope(DEFINITION, {}, RunOptions(rules=RULES))
MEMO = open_envelope(to_bytes(INLINE)).memo()


async def serve(address: str, cached: int) -> None:
    """Be the worker; answer each line of stdin with what has been used so far."""
    seen: collections.Counter[str] = collections.Counter()
    threading.Thread(target=_look, args=[seen], daemon=True).start()
    client = await Client.connect(address)
    open_envelope.cache_clear()
    async with build_worker(client, task_queue=QUEUE, activities=[step, undo], max_cached_workflows=cached):
        while await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            parsed = open_envelope.cache_info()
            used = {"cpu": time.process_time(), "parsed": parsed.misses, "found parsed": parsed.hits}
            print(json.dumps(used | seen), flush=True)


def _look(seen: collections.Counter[str]) -> None:
    """Look at all threads, again and again."""
    while True:
        seen.update([_whose(each) for each in sys._current_frames().values()])
        time.sleep(LOOK_SECONDS)


def _whose(frame: FrameType | None) -> str:
    """Return whose code a thread runs; workflow tasks run in threads of their own."""
    files = []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    if any(part in file for file in files for part in PARSING):
        return "parsing and checking"
    if any("/temporal/run/" in file and not file.endswith("in_order.py") for file in files):
        return "sagas"
    return "the SDK" if any("_workflow_instance" in file for file in files) else "others"


async def measure(open_: int, woken: int, cached: int) -> None:
    server = Path(sys.executable).with_name("temporal")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="never"
    )
    async with environment:
        client = environment.client
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.evicting",
            client.service_client.config.target_host,
            str(cached),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        gate = asyncio.Semaphore(AT_ONCE)

        async def begin(number: int) -> None:
            async with gate:
                await client.start_workflow(
                    DEFINITION["name"], args=[{"n": number}, INLINE], id=f"open-{number}", task_queue=QUEUE, memo=MEMO
                )

        async def wake(number: int) -> None:
            async with gate:
                handle = client.get_workflow_handle(f"open-{number}")
                await handle.signal("approval")
                await handle.result()

        await asyncio.gather(*(begin(number) for number in range(open_)))
        await wake(open_ - 1)  # all before it have begun by then
        before = await _used(worker)
        began = time.monotonic()
        await asyncio.gather(*(wake(number) for number in range(woken)))
        took, after = time.monotonic() - began, await _used(worker)
        each = (after["cpu"] - before["cpu"]) / woken * 1e3
        print(f"{open_:,} open, {cached:,} kept: {woken:,} woken in {took:.0f} s, {each:.1f} ms worker CPU each")
        print(f"definitions parsed: {after['parsed']}, found parsed: {after['found parsed']:,}")
        looks = {
            what: after.get(what, 0) - before.get(what, 0) for what in ("parsing and checking", "sagas", "the SDK")
        }
        shares = ", ".join(f"{what} {number / sum(looks.values()):.1%}" for what, number in looks.items())
        print(f"of the workflow tasks' time: {shares}", flush=True)
        worker.kill()
        await worker.wait()


async def _used(worker: asyncio.subprocess.Process) -> dict[str, Any]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(b"\n")
    await worker.stdin.drain()
    found: dict[str, Any] = json.loads(await worker.stdout.readline())
    return found


def main() -> None:
    open_, woken, cached = (
        int(os.environ.get(*each)) for each in (("OPEN", "20000"), ("WOKEN", "1000"), ("CACHE", "200"))
    )
    for kept in (cached, 2 * open_):
        asyncio.run(measure(open_, woken, kept))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
