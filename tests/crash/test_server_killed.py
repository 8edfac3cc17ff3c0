"""The server is killed and started again on its file: sagas go on where they were, in both directions.

The same for server and worker together, and for a server that is away while an activity ends.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from sagadsl.temporal.link.embedded import find_binary
from tests.crash.stage import FORWARD, MOVED, UNDONE, UNTOUCHED, Stage, free_port, stage
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


class DevServer:
    """A development server with its state in a file, at one port for all its lives."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._log = folder / "server.log"
        self.address = f"127.0.0.1:{free_port()}"
        port, file = self.address.rpartition(":")[2], folder / "temporal.db"
        self._command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", port, "--headless"]
        self._command += ["--log-level", "error", "--db-filename", str(file)]
        self._command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]

    async def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    client = await Client.connect(self.address)
                    await client.service_client.check_health()
                    return
                except RuntimeError:
                    assert self._process.poll() is None, self._log.read_text(errors="replace")
                    await asyncio.sleep(0.1)

    def kill(self) -> None:
        """End it at once, whatever it was about to write."""
        self._process.kill()
        self._process.wait(PATIENCE)


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[DevServer]:
    made = DevServer(await find_binary(), folder)
    await made.start()
    try:
        yield made
    finally:
        made.kill()


async def _three(made: Stage, hold: tuple[str, str]) -> dict[str, str]:
    """Start one saga that is held on its way, one that is held while it undoes, and one that waits."""
    ids = {
        "forward": await made.start("forward", hold=hold[0]),
        "undoing": await made.start("undoing", hold=hold[1], fail=True),
        "timer": await made.start("timer", pause="3s"),
    }
    await made.until(ids["forward"], hold[0])
    await made.until(ids["undoing"], hold[1])
    await made.until_running(ids["timer"], "rest")
    return ids


async def _check(made: Stage, ids: dict[str, str]) -> None:
    forward, undoing, timer = [await made.end(ids[name]) for name in ("forward", "undoing", "timer")]

    assert (forward.status, undoing.status, timer.status) == ("completed", "compensated", "completed")
    assert undoing.error is not None
    assert undoing.error[0] == "Judged"
    assert made.calls(ids["forward"]) == made.calls(ids["timer"]) == [*FORWARD]
    assert made.calls(ids["undoing"]) == [*FORWARD, *UNDONE]
    assert made.repeated(ids["forward"]) <= {"give"}
    assert made.repeated(ids["undoing"]) <= {"give.compensation"}
    assert made.repeated(ids["timer"]) == set()
    assert [made.bank.balances(ids[name]) for name in ("forward", "undoing", "timer")] == [MOVED, UNTOUCHED, MOVED]
    assert made.bank.problems() == ()


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_server_that_is_killed_and_started_again_loses_no_saga(place: str, tmp_path: Path) -> None:
    """R53: in the middle of a step, of a compensation, and of a timer."""

    async def play() -> None:
        async with server(tmp_path) as temporal, stage(temporal.address, tmp_path) as made:
            await made.worker()
            hold = (f"give@{place}", f"give.compensation@{place}")
            ids = await _three(made, hold)
            temporal.kill()
            await temporal.start()
            made.let_go(ids["forward"], hold[0])
            made.let_go(ids["undoing"], hold[1])
            await _check(made, ids)

    asyncio.run(play())


def test_an_activity_that_ends_while_the_server_is_away_is_reported_or_repeated(tmp_path: Path) -> None:
    """R49, R53: the worker goes on by itself; whatever becomes of its report, the money moves once."""

    async def play() -> None:
        async with server(tmp_path) as temporal, stage(temporal.address, tmp_path) as made:
            await made.worker()
            hold = ("give@before", "give.compensation@before")
            ids = await _three(made, hold)
            temporal.kill()
            made.let_go(ids["forward"], hold[0])
            made.let_go(ids["undoing"], hold[1])
            await made.until(ids["forward"], "give@after")
            await made.until(ids["undoing"], "give.compensation@after")
            await temporal.start()
            await _check(made, ids)

    asyncio.run(play())


def test_server_and_worker_killed_together(tmp_path: Path) -> None:
    """R53: nothing but the two files is left, and both sagas end as they would have."""

    async def play() -> None:
        async with server(tmp_path) as temporal, stage(temporal.address, tmp_path) as made:
            first = await made.worker()
            hold = ("give@after", "give.compensation@after")
            ids = await _three(made, hold)
            first.kill()
            temporal.kill()
            made.let_go(ids["forward"], hold[0])
            made.let_go(ids["undoing"], hold[1])
            await temporal.start()
            await made.worker()
            await _check(made, ids)
            assert made.repeated(ids["forward"]) == {"give"}
            assert made.repeated(ids["undoing"]) == {"give.compensation"}

    asyncio.run(play())
