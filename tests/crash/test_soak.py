"""Many transfers at once between few accounts, while one of two workers is killed again and again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from sagadsl.temporal import client as sagas
from tests.conftest import Server
from tests.crash import held
from tests.crash.scene import TRANSFER, Scene, scene
from tests.temporal.play import data

pytestmark = pytest.mark.temporal

ACCOUNTS = [f"account-{number}" for number in range(6)]
TRANSFERS, KILLS = 30, 7
RESTLESS = data(TRANSFER.replace("heartbeat: 3s", "heartbeat: 1s"))


async def _transfers(made: Scene, chance: random.Random) -> dict[str, dict[str, str]]:
    """Start them all; return the accounts of each."""
    begun = {}
    for number in range(TRANSFERS):
        accounts = dict(zip(("from", "to", "fee"), chance.sample(ACCOUNTS, 3), strict=True))
        input_ = {**accounts, "fail": number % 2 == 0}
        started = await sagas.start(made.client, RESTLESS, input_, id=f"{made.queue}-{number}", task_queue=made.queue)
        begun[started.id] = accounts
    return begun


async def _havoc(made: Scene, chance: random.Random) -> None:
    """Kill one of the two workers at random moments, and start another one in its place each time."""
    env = {held.LINGER: "0.15"}
    alive = [await made.worker(**env), made.spawn(**env)]
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.5, 1.5))
        alive.pop(chance.randrange(2)).kill()
        alive.append(made.spawn(**env))


def test_thirty_transfers_survive_workers_that_are_killed_at_random(server: Server, tmp_path: Path) -> None:
    """R53: all end, and every account holds exactly what the transfers that completed say."""

    async def play() -> None:
        chance = random.Random(20261125)
        async with scene(server.address, tmp_path) as made:
            for account in ACCOUNTS:
                made.bank.fund(account, 1000)
            begun = await _transfers(made, chance)
            await _havoc(made, chance)
            ended = dict(zip(begun, await asyncio.gather(*map(made.end, begun)), strict=True))

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
