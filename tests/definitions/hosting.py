"""The shipped definitions on a real server, with the plugins that they were written for."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from sagadsl.language.document import parse
from sagadsl.language.raw_steps import children_of
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.runs import Ended
from sagadsl.temporal.worker import build_worker
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
TEST_SERVER = Path(sys.executable).with_name("temporal-test-server")

LONGEST = timedelta(days=3)
"""More than a shipped definition waits for anything."""

Act = Callable[["Hosted", str], Awaitable[None]]


@cache
def definitions() -> dict[str, Mapping[str, Any]]:
    """Return every shipped definition by its name."""
    files = sorted((ROOT / "definitions").glob("*.saga.yaml"))
    found = [parse(path.read_bytes(), name=path.name)[0].data for path in files]
    return {data["name"]: data for data in found}


@cache
def catalogue() -> Catalogue:
    """Return what is installed: once, since an object with state exists once a process."""
    return Catalogue.discover(folder=ROOT)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A server with a worker."""

    client: Client
    queue: str

    async def start(self, name: str, input_: Any, **more: Any) -> str:
        """Start a saga and return its id."""
        known = definitions()
        chosen = f"{name}-{uuid.uuid4().hex[:12]}"
        more.setdefault("children", children_of(name, known))
        await sagas.start(self.client, known[name], input_, id=chosen, task_queue=self.queue, **more)
        return chosen

    async def until(self, saga: str, path: str, status: str) -> None:
        """Wait until a step has a status."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await runs.status(self.client, saga)
                if any((step["path"], step["status"]) == (path, status) for step in found["steps"]):
                    return
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def hosted(client: Client) -> AsyncIterator[Hosted]:
    """Run a worker with everything that is installed."""
    made = Hosted(client, f"definitions-{uuid.uuid4().hex[:12]}")
    async with build_worker(client, task_queue=made.queue, catalogue=catalogue()):
        yield made


@dataclass(frozen=True, slots=True)
class Played:
    """How a saga ended, and what its status says afterwards."""

    ended: Ended
    status: Mapping[str, Any]
    continued: bool = False
    """Whether the end was in another run than the beginning."""

    @property
    def report(self) -> Mapping[str, Any]:
        return self.ended.report or {}

    @property
    def error(self) -> str:
        return "" if self.ended.error is None else self.ended.error[0]

    def step(self, path: str) -> Mapping[str, Any]:
        """Return a line of the status."""
        return next(step for step in self.status["steps"] if step["path"] == path)


def play(address: str, name: str, input_: Any, *, act: Act | None = None, **more: Any) -> Played:
    """Run a shipped definition to its end, while *act* steps in; *more* goes to the start."""

    async def run() -> Played:
        async with hosted(await Client.connect(address)) as made:
            saga = await made.start(name, input_, **more)
            if act is not None:
                await act(made, saga)
            async with asyncio.timeout(PATIENCE):
                ended = await runs.result(made.client, saga)
            history = await made.client.get_workflow_handle(saga).fetch_history()
            before = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
            return Played(ended, await runs.status(made.client, saga), continued=before != "")

    return asyncio.run(run())


def play_in_skipped_time(name: str, input_: Any) -> Played:
    """Run a shipped definition on the server that skips the time in which nothing happens."""

    async def run() -> Played:
        async with (
            await WorkflowEnvironment.start_time_skipping(test_server_existing_path=str(TEST_SERVER)) as env,
            hosted(env.client) as made,
        ):
            saga = await made.start(name, input_)
            async with asyncio.timeout(PATIENCE):
                await env.sleep(LONGEST)
                ended = await runs.result(made.client, saga)
            return Played(ended, await runs.status(made.client, saga))

    return asyncio.run(run())
