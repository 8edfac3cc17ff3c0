"""Many open sagas go on with another definition: how many a second does the dev server bear, and does none fail?

Real processes: a dev server and a worker. All sagas wait for a signal when the first of them is asked.
"""

from __future__ import annotations

import asyncio
import copy
import os
import time
import uuid
from collections import Counter
from typing import Any

from temporalio.client import Client

from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import migrating
from sagadsl.temporal.ask.many import Addressee, carried_out
from sagadsl.temporal.link.connection import connect
from sagadsl.temporal.link.embedded import serve
from sagadsl.temporal.link.flags import Flags
from sagadsl.temporal.link.settings import resolve
from sagadsl.temporal.worker import build_worker

SAGAS = int(os.environ.get("SAGAS", "1000"))
RATE = float(os.environ.get("RATE", "50"))
AT_ONCE = 50

OLD: dict[str, Any] = {
    "sagadsl": 1,
    "name": "bench-migrated",
    "version": "1",
    "steps": [{"id": "approval", "wait_for": {"signal": "approved", "timeout": "1d"}}],
}


def main() -> None:
    asyncio.run(_main())


async def _main() -> None:
    async with serve() as server:
        client = await connect(resolve(Flags(address=server.address), {}))
        queue = f"bench-{uuid.uuid4().hex[:8]}"
        async with build_worker(client, task_queue=queue, definitions={}):
            await _measure(client, queue)


async def _measure(client: Client, queue: str) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def start(number: int) -> str:
        async with turn:
            return (await sagas.start(client, OLD, {}, id=f"m-{number}", task_queue=queue)).id

    began = time.monotonic()
    ids = await asyncio.gather(*map(start, range(SAGAS)))
    print(f"{len(ids):,} sagas started in {time.monotonic() - began:.1f} s")
    new = copy.deepcopy(OLD) | {"version": "2"}
    new["steps"].append({"id": "noted", "set": {"done": True}})
    package = await sagas.packed(client, new, {})

    async def migrate(target: Addressee) -> str:
        return (await migrating.migrate(client, target.id, package, by="bench")).outcome

    began = time.monotonic()
    targets = [Addressee(id, OLD["name"]) for id in ids]
    found = [each async for each in carried_out(targets, migrate, rate=RATE)]
    took = time.monotonic() - began
    counts = dict(Counter(each.status or each.outcome for each in found))
    print(f"{len(found):,} migrated in {took:.1f} s: {len(found) / took:.1f} a second of {RATE:g} asked for; {counts}")
    for each in found:
        if each.problem is not None:
            print(f"  {each.target.id}: {each.problem}")
