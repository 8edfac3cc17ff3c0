"""A long saga that was killed near its end: how long does the plan of its recovery take, and how long the undoing?

Real processes: a dev server; the worker and the client are in this process, one after the other. The plan is what
``sagadsl recover --dry-run`` computes: it fetches the history and replays it.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import Any

from temporalio import activity
from temporalio.client import Client

from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import recovery
from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.embedded import serve
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.read import runs
from sagadsl.temporal.worker import build_worker

STEPS = int(os.environ.get("STEPS", "1000"))
ROUNDS = 5


@activity.defn(name="bench.recovered")
async def recovered(input: Any = None) -> Any:
    """Do nothing; the last step never ends."""
    if input == STEPS - 1:
        await asyncio.Event().wait()
    return input


@activity.defn(name="bench.undone")
async def undone(input: Any = None) -> None:
    """Do nothing."""


def saga() -> dict[str, Any]:
    """Return a saga of so many steps, one after the other; each has a compensation."""
    step = {
        "activity": "bench.recovered",
        "compensation": {"activity": "bench.undone"},
        "timeouts": {"start_to_close": "1h"},
    }
    steps = [{"id": f"s{number}", **step, "input": number} for number in range(STEPS)]
    return {"sagadsl": 1, "name": "bench-recovered", "version": "1", "steps": steps}


def main() -> None:
    asyncio.run(_main())


async def _main() -> None:
    async with serve() as server:
        client = await connect(resolve(Flags(address=server.address), {}))
        await _measure(client, f"bench-{uuid.uuid4().hex[:8]}")


async def _measure(client: Client, queue: str) -> None:
    started = await sagas.start(client, saga(), {}, id="r-1", task_queue=queue)
    async with build_worker(client, task_queue=queue, definitions={}, activities=[recovered, undone]):
        while (await runs.status(client, started.id))["steps"][-1]["status"] != "running":
            await asyncio.sleep(0.5)
        await sagas.terminate(client, started.id, "for the measurement")
    plans = []
    for _ in range(ROUNDS):
        began, cpu = time.monotonic(), time.process_time()
        prospect = await recovery.look(client, started.id, "recover", waits=False)
        plans.append((time.monotonic() - began, time.process_time() - cpu))
        assert len(prospect.plan.calls) == STEPS
    took, cpu = sorted(plans)[ROUNDS // 2]
    print(f"the plan of {STEPS:,} steps: {took:.2f} s, {cpu:.2f} s CPU (median of {ROUNDS})")
    async with build_worker(client, task_queue=queue, definitions={}, activities=[recovered, undone]):
        began = time.monotonic()
        await recovery.take_up(client, prospect, by="bench", waits=False)
        ended = await runs.result(client, started.id)
        print(f"{ended.status} after {time.monotonic() - began:.1f} s")
