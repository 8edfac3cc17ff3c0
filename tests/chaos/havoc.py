"""What breaks, and when: drawn from the seed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.chaos.faults import FAULTS
from tests.chaos.parts import Part
from tests.chaos.stage import Stage


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it.

    Attributes:
        seconds: While sagas are started and parts are broken: at least ``breaks`` of them.
        pause: Between two things that break.
        settles: Seconds in which all must have ended after the last thing broke.
        faults: Names of those in `faults.py` that happen once each, between the others.
    """

    transfers: int
    orders: int
    advances: int
    weekends: int
    seconds: float
    breaks: int
    pause: float
    settles: float
    long: bool = False
    faults: tuple[str, ...] = ()

    def of(self, transfers: int) -> Size:
        """Return the same mixture with so many transfers: as much more of all else, and as much longer."""
        times = transfers / self.transfers
        return replace(
            self,
            transfers=transfers,
            orders=round(self.orders * times),
            advances=round(self.advances * times),
            weekends=round(self.weekends * times),
            seconds=self.seconds * times,
            breaks=round(self.breaks * times),
            settles=self.settles * max(1.0, times / 4),
        )


async def havoc(stage: Stage, chance: random.Random, size: Size, log: Callable[[str], None]) -> Counter[str]:
    """Break one part after the other, about one each *size.pause* seconds; all of them run again in the end."""
    done: Counter[str] = Counter()
    until = time.monotonic() + size.seconds
    number = 0
    faults = chance.sample(size.faults, len(size.faults))
    every = max(1, size.breaks // (len(faults) + 1))
    while number < size.breaks or time.monotonic() < until or faults:
        await asyncio.sleep(chance.uniform(0.5, 1.5) * size.pause)
        if faults and number and number % every == 0:
            name = faults.pop()
            log(f"{name} begins")
            what = await FAULTS[name](stage)
            log(f"{name}: {what}")
            done[f"{name} ({what})"] += 1
        part, act, seconds = _next(stage, chance, number)
        number += 1
        done[f"{part.name.partition('-')[0]} {act}"] += 1
        log(f"{act} {part.name} {seconds:.1f} s")
        async with stage.hands:
            await _break(part, act, seconds)
    return done


async def _break(part: Part, act: str, seconds: float) -> None:
    match act:
        case "frozen":
            part.freeze()
            try:
                await asyncio.sleep(seconds)
            finally:
                part.thaw()
        case "killed":
            part.kill()
            await asyncio.sleep(seconds)
            await part.begin()
        case _:
            await part.stop()
            await part.begin()


async def revive(stage: Stage) -> None:
    """Begin workers again that have died at their work: see `participants.DIED`."""
    while True:
        for worker in stage.workers:
            if not worker.is_alive:
                async with stage.hands:
                    if not worker.is_alive:
                        await worker.begin()
        await asyncio.sleep(0.2)


def _next(stage: Stage, chance: random.Random, number: int) -> tuple[Part, str, float]:
    """Every kind has its turn, so that a short run meets all of them."""
    kinds: list[list[Part]] = [stage.workers, stage.servers, stage.gateways, stage.workers]
    kinds += [[stage.database]] if stage.database else []
    kind = kinds[number % len(kinds)]
    stops = kind is stage.workers or kind is stage.gateways
    act = chance.choices(("killed", "frozen", "stopped"), (4, 2, 2 if stops else 0))[0]
    return chance.choice(kind), act, chance.uniform(0.2, 1.5 if act == "killed" else 4.0)
