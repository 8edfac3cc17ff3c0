"""Workers replaced one by one on PostgreSQL: what the old one lacks, the new one does, and nothing is undone."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from tests.cli.shell import environment
from tests.cluster.test_whole_system import BINARIES, CACHE, ROOT
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga
from tests.needs import built, need
from tests.temporal.play import SDK_RACE, replay
from tests.temporal.test_fleet import does, ours

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings(SDK_RACE)]

SAGAS = 8
DRAIN = timedelta(seconds=5)
PATIENCE = 150.0
"""Seconds: each workflow task that the old worker has drawn twice costs ten."""


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    """The cluster of `make cluster`, of which the server and its database are used."""
    need("postgresql")
    folder = Path(tempfile.mkdtemp(prefix="sagadsl-rolling-"))
    folder.chmod(0o755)  # PostgreSQL's user has to get in
    where = ("--folder", str(folder), "--binaries", str(BINARIES), "--definitions", str(ROOT / "definitions"))

    def cluster(what: str, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.cluster", what, *where, *options],
            cwd=ROOT,
            env=environment(XDG_CACHE_HOME=CACHE),
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )

    try:
        built("go", cluster("build"))
        up = cluster("up")
        assert up.returncode == 0, up.stdout + up.stderr
        ports = json.loads((folder / "state.json").read_text())["ports"]
        yield Server(f"127.0.0.1:{ports['frontend']}")
    finally:
        cluster("down", "--wipe")
        shutil.rmtree(folder)


OF_AN_EARLIER_RELEASE = """\
import asyncio, sys
from datetime import timedelta
import sagadsl.engine.journal
sagadsl.engine.journal.RULES = 2
from temporalio.client import Client
from sagadsl.temporal.worker import build_worker
from tests.temporal.test_fleet import does

async def main():
    client = await Client.connect(sys.argv[1], identity="old")
    activities = [does(name, []) for name in ("do.a", "do.b")]
    async with build_worker(client, task_queue=sys.argv[2], activities=activities, drain=timedelta(0)):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
"""A worker that does not know the newest rules."""


@asynccontextmanager
async def earlier_release(server: Server, queue: str) -> AsyncIterator[None]:
    """Run that worker in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OF_AN_EARLIER_RELEASE, server.address, queue),
        cwd=ROOT,
        env=environment(PYTHONPATH=str(ROOT)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        await process.communicate()  # so that its pipe is closed before the loop is


@pytest.mark.parametrize("lacking", ["an activity", "a local activity", "the saga", "the rules"])
def test_no_saga_is_undone_or_lost_while_an_old_worker_goes(postgresql: Server, lacking: str) -> None:
    """Some begin while the old worker is alone, some while both are there; each effect happens once."""
    first, second, undone = list[str](), list[str](), list[str]()
    name = f"rolling-{uuid.uuid4().hex[:8]}"
    # What the server hands to a worker that is just leaving is lost: it is tried again after start_to_close.
    patient = {"retry": {"maximum_attempts": 3, "initial_interval": "10ms"}, "timeouts": {"start_to_close": "5s"}}
    last = plain("b", local=True, **patient) if lacking == "a local activity" else plain("b", **patient)
    definition = saga(act("a", **patient), last, output="{{ steps.b.output }}", name=name)

    async def scenario() -> list[runs.Ended]:
        client, queue = await Client.connect(postgresql.address), f"q-{uuid.uuid4().hex[:12]}"
        known = [does("do.a", first), does("undo.a", undone)]

        async def start() -> list[str]:
            what = name if lacking == "the saga" else definition
            return [(await sagas.start(client, what, {}, task_queue=queue)).id for _ in range(SAGAS // 2)]

        async with AsyncExitStack() as old:
            if lacking == "the rules":
                await old.enter_async_context(earlier_release(postgresql, queue))
            else:
                more = [does("do.b", second)] if lacking == "the saga" else []
                await old.enter_async_context(ours(postgresql, queue, *known, *more, drain=DRAIN))
            ids = await start()
            new = ours(postgresql, queue, *known, does("do.b", second), identity="new", definitions=[definition])
            async with new:
                ids += await start()
                await old.aclose()
                async with asyncio.timeout(PATIENCE):
                    ends = [await runs.result(client, each) for each in ids]
            for each in ids:
                await replay(client, each)
            return ends

    ends = asyncio.run(scenario())
    assert [(each.status, each.output) for each in ends] == [("completed", "do.b")] * SAGAS, ends
    assert undone == []
    assert (len(second), len(first)) == (SAGAS, SAGAS)
