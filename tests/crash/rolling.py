"""A rolling update under load, again and again: ``BEFORE=FOLDER MINUTES=10 python -m tests.crash.rolling``.

Two workers serve one queue. One after the other is told to stop, and is replaced by a worker of the other release,
while transfers begin all the time; some wait for a signal over several updates. At the end each has to have ended as
it was told to, and the bank has to add up. BEFORE names the sources of an older release, e.g. of
``git worktree add --detach FOLDER COMMIT``; without it both releases are this one.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from temporalio.service import RPCError

from sagadsl.temporal import client as sagas
from tests.conftest import serving
from tests.crash import held
from tests.crash.stage import MOVED, ROOT, UNTOUCHED, Process, Stage, stage

_WAITS = 4
"""Every so many transfers, one waits for a signal."""
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Rolled:
    """What came of it.

    Attributes:
        ends: How many transfers ended in which way.
        wrong: What should not have happened: a transfer that was lost, or ended in another way than it was told to.
        updates: How many workers were replaced.
        repeated: How many transfers had a call that was made more than once.
        by: How many calls the workers of each release have served.
        seconds: How long it took.
    """

    ends: Counter[str]
    wrong: tuple[str, ...]
    updates: int
    repeated: int
    by: Counter[str]
    seconds: float


class _Load:
    """Transfers that begin all the time."""

    def __init__(self, made: Stage, rate: float) -> None:
        self.made, self.rate = made, rate
        self.begun: dict[str, bool] = {}
        self.waiting: list[str] = []

    async def run(self, over: Callable[[], bool]) -> None:
        while not over():
            await self._one(len(self.begun))
            await asyncio.sleep(1 / self.rate)

    async def _one(self, number: int) -> None:
        fails, waits = number % 2 == 0, number % _WAITS == 1
        saga = await self.made.start("rolling", fail=fails, wait=waits)
        self.begun[saga] = fails
        if waits:
            self.waiting.append(saga)

    async def let_go(self, most: int) -> None:
        """Send the signal to all that wait but the newest *most*, which an update more is to meet."""
        while len(self.waiting) > most:
            await sagas.signal(self.made.client, self.waiting.pop(0), "go")


async def roll(made: Stage, *, over: Callable[[int, float], bool], before: Path = ROOT, rate: float = 2.0) -> Rolled:
    """Update the workers until it is *over*, which gets how many were replaced, and after how many seconds."""
    begin, updates = time.monotonic(), 0
    load = _Load(made, rate)
    env = {held.LINGER: "0.1"}
    of: dict[int, str] = {}

    async def worker(sources: Path, release: str) -> Process:
        made_ = await made.worker("--drain", "10", sources=sources, **env)
        of[made_.pid] = release
        return made_

    def is_over() -> bool:
        return over(updates, time.monotonic() - begin)

    fleet = [await worker(before, "before"), await worker(ROOT, "now")]
    running = asyncio.create_task(load.run(is_over))
    while not is_over():
        oldest = fleet.pop(0)
        sources, release = (ROOT, "now") if of[oldest.pid] == "before" else (before, "before")
        fleet.append(await worker(sources, release))
        oldest.stop()
        assert await oldest.exit_code() == 0
        updates += 1
        await load.let_go(_WAITS)
    await running
    await load.let_go(0)
    ends, wrong = await _ends(made, load.begun)
    lines = made.lines()
    return Rolled(
        ends,
        (*wrong, *made.bank.problems()),
        updates,
        len({line.saga for line in lines if line.attempt > 1}),
        Counter(of[line.pid] for line in lines if line.place == "before"),
        time.monotonic() - begin,
    )


async def _ends(made: Stage, begun: dict[str, bool]) -> tuple[Counter[str], list[str]]:
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(saga: str, fails: bool) -> None:
        async with room:
            try:
                status = (await made.end(saga)).status
            except (TimeoutError, AssertionError, RPCError) as error:
                status = "lost"
                wrong.append(f"{saga}: {type(error).__name__}: {error}")
        ends[status] += 1
        expected = ("compensated", UNTOUCHED) if fails else ("completed", MOVED)
        if (status, made.bank.balances(saga)) != expected:
            wrong.append(f"{saga}: {status}, {made.bank.balances(saga)}, but should be {expected}")

    await asyncio.gather(*(one(saga, fails) for saga, fails in begun.items()))
    return ends, wrong


async def _as_told(made: Stage) -> Rolled:
    minutes, rate = float(os.environ.get("MINUTES", "10")), float(os.environ.get("RATE", "2"))
    before = Path(os.environ.get("BEFORE", ROOT))
    return await roll(made, over=lambda _, after: after > minutes * 60, before=before, rate=rate)


async def _main() -> int:
    with tempfile.TemporaryDirectory(prefix="sagadsl-rolling-") as folder, serving(Path(folder) / "log") as address:
        async with stage(address, Path(folder)) as made:
            found = await _as_told(made)
    print(f"{found.seconds:.0f} s, {found.updates} workers replaced, {sum(found.ends.values())} transfers")
    print(f"  ends: {dict(found.ends)}; calls served: {dict(found.by)}; {found.repeated} transfers repeated a call")
    for each in found.wrong:
        print(f"WRONG {each}")
    print(f"{len(found.wrong)} wrong")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    code = asyncio.run(_main())
    sys.stdout.flush()
    os._exit(code)  # sdk-python#300: the SDK may abort a process that ends
