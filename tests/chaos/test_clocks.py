"""The clock of a program in Go, while it runs: what the fault `server-clock` rests on."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from tests.chaos.faults import HOUR
from tests.chaos.parts import Part, serves
from tests.needs import need
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal


def test_a_server_whose_clock_jumps_writes_the_new_time_and_fires_its_timers(tmp_path: Path) -> None:
    """It goes on serving, before and after it was begun again; what waited for half an hour is over."""
    need("clocks")
    port = _free_port()
    address = f"127.0.0.1:{port}"
    binary = str(Path(sys.executable).with_name("temporal"))
    command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    command += ["--db-filename", str(tmp_path / "temporal.db"), "--log-level", "error"]
    server = Part("server", command, os.environ, tmp_path / "server.log", lambda _: serves(address))

    async def scenario() -> tuple[float, float, float, str]:
        await server.begin()
        client = await Client.connect(address)
        before = await _ahead(client)
        waits = await client.start_workflow(
            "waits", id=f"w-{uuid.uuid4()}", task_queue="nobody", execution_timeout=timedelta(seconds=HOUR // 2)
        )
        server.jump(HOUR)
        after = await _ahead(client)
        async with asyncio.timeout(PATIENCE):
            while (ended := await waits.describe()).close_time is None:
                await _ahead(client)  # its short timer makes the server look at all of them
                await asyncio.sleep(0.1)
        server.kill()
        await server.begin()
        assert ended.status is not None
        return before, after, await _ahead(await Client.connect(address)), ended.status.name

    try:
        before, after, again, status = asyncio.run(scenario())
    finally:
        server.kill()
    assert abs(before) < HOUR / 4
    assert abs(after - HOUR) < HOUR / 4
    assert abs(again - HOUR) < HOUR / 4
    assert status == "TIMED_OUT"


async def _ahead(client: Client) -> float:
    """Return by how many seconds the server's clock is ahead of ours."""
    short = timedelta(seconds=1)
    handle = await client.start_workflow("probe", id=f"p-{uuid.uuid4()}", task_queue="nobody", execution_timeout=short)
    return ((await handle.describe()).start_time - datetime.now(UTC)).total_seconds()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
