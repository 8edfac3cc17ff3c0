"""Which of a worker's threads its CPU goes to, for sagas and for workflows by hand.

A worker's code in Python runs in the thread of the event loop, where activities run and messages are read and written,
and in those that run workflow tasks. All else is the SDK's native threads. Only what is in the threads of workflow
tasks, and little of the first, is the engine's, or a hand-written workflow's own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from temporalio.testing import WorkflowEnvironment

from benchmarks.runs import VARIANTS, Entrant, WorkerProcess, batch

SAGAS = int(os.environ.get("SAGAS", "60"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
_KINDS = ("workflow tasks", "event loop", "native")


def main() -> None:
    """Print milliseconds of CPU a saga that completes, medians over the rounds."""
    found = asyncio.run(_measure())
    print(f"| variant | {' | '.join(_KINDS)} | together |\n|---|---|---|---|---|")
    for name, rounds in found.items():
        each = [statistics.median(one[kind] for one in rounds) for kind in _KINDS]
        print(f"| {name} | {' | '.join(f'{one:.1f}' for one in each)} | {sum(each):.1f} |", flush=True)


async def _measure() -> dict[str, list[dict[str, float]]]:
    server = Path(sys.executable).with_name("temporal")
    found: dict[str, list[dict[str, float]]] = {}
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(server), dev_server_log_level="error"
    ) as env:
        address = env.client.service_client.config.target_host
        workers = [await WorkerProcess.start(Entrant(variant), address) for variant in VARIANTS]
        for worker in workers:
            await batch(env.client, worker, False, 30, 10)
        for _ in range(ROUNDS):
            for worker in workers:
                before = spent(worker.pid)
                await batch(env.client, worker, False, SAGAS, 10)
                after = spent(worker.pid)
                found.setdefault(worker.name, []).append(
                    {kind: (after[kind] - before[kind]) / SAGAS for kind in _KINDS}
                )
        for worker in workers:
            await worker.stop()
    return found


def spent(pid: int) -> Mapping[str, float]:
    """Return the milliseconds that the threads of a process have used so far, by what they do."""
    found: defaultdict[str, float] = defaultdict(float)
    for thread in Path(f"/proc/{pid}/task").iterdir():
        kind = _kind(pid, thread)
        found[kind] += int((thread / "schedstat").read_text().split()[0]) / 1e6
    return found


def _kind(pid: int, thread: Path) -> str:
    """Return what a thread does: those of the SDK have names of their own, those of Python that of the process."""
    if thread.name == str(pid):
        return "event loop"
    name = (thread / "comm").read_text().strip()
    return "workflow tasks" if name == Path(f"/proc/{pid}/comm").read_text().strip() else "native"
