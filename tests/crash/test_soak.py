"""Many transfers at once between few accounts, while one of two workers is killed again and again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.crash import held
from tests.crash.stage import TRANSFER, Process, Stage, stage
from tests.temporal.play import data

pytestmark = pytest.mark.temporal

ACCOUNTS = [f"account-{number}" for number in range(6)]
TRANSFERS, KILLS = 30, 7
RESTLESS = data(TRANSFER.replace("heartbeat: 3s", "heartbeat: 1s"))


async def _transfers(made: Stage, chance: random.Random) -> dict[str, dict[str, str]]:
    """Start them all; return the accounts of each."""
    begun = {}
    for number in range(TRANSFERS):
        accounts = dict(zip(("from", "to", "fee"), chance.sample(ACCOUNTS, 3), strict=True))
        input_ = {**accounts, "fail": number % 2 == 0}
        started = await sagas.start(made.client, RESTLESS, input_, id=f"{made.queue}-{number}", task_queue=made.queue)
        begun[started.id] = accounts
    return begun


async def _havoc(made: Stage, chance: random.Random, over: Callable[[], bool]) -> None:
    """Kill the one of two workers that is at work, at random moments, and start another one in its place each time."""
    env = {held.LINGER: "0.15"}
    alive = [await made.worker(**env), made.spawn(**env)]
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0, 1))
        at_work = await _at_work(made, alive, over)
        if at_work is None:
            return
        alive.remove(at_work)
        at_work.kill()
        alive.append(made.spawn(**env))


async def _at_work(made: Stage, alive: list[Process], over: Callable[[], bool]) -> Process | None:
    """Wait until one of them has just begun a call, or ended one; return None when all sagas are over."""
    seen = len(made.lines())
    while not over():
        for line in made.lines()[seen:]:
            for worker in alive:
                if worker.pid == line.pid:
                    return worker
        await asyncio.sleep(0.02)
    return None


def test_thirty_transfers_survive_workers_that_are_killed_at_random(server: Server, tmp_path: Path) -> None:
    """R53: all end, and every account holds exactly what the transfers that completed say."""

    async def play() -> None:
        chance = random.Random(20261125)
        async with stage(server.address, tmp_path) as made:
            for account in ACCOUNTS:
                made.bank.fund(account, 1000)
            begun = await _transfers(made, chance)
            ends = asyncio.gather(*map(made.end, begun))
            await _havoc(made, chance, ends.done)
            ended = dict(zip(begun, await ends, strict=True))

            statuses = Counter(each.status for each in ended.values())
            assert statuses.keys() <= {"completed", "compensated"}, statuses
            assert statuses["compensated"] >= TRANSFERS / 2
            expected = dict.fromkeys(ACCOUNTS, 1000)
            for saga, accounts in begun.items():
                if ended[saga].status == "completed":
                    for name, amount in (("from", -30), ("to", 20), ("fee", 10)):
                        expected[accounts[name]] += amount
            assert made.bank.holds() == expected
            assert made.bank.problems() == ()
            assert any(made.repeated(saga) for saga in begun)  # the kills have hit something

    asyncio.run(play())
