"""The worker process of ``sagadsl dev``, and how a new one takes its place."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sagadsl.cli import screen
from sagadsl.temporal.link.server_process import end_with_parent

if TYPE_CHECKING:
    from sagadsl.temporal.link.embedded import Server

_DRAIN = 5
"""Seconds that running activities have to end when a new worker replaces the old one."""

_EXPECTED = ("worker at ", "  sagas  ", "  activities  ", "stopping: ")
"""How the lines begin that a worker writes when all is well."""


@dataclass(slots=True, eq=False)
class _OneProcess:
    """One worker process, from its start to its end."""

    process: Process
    is_ready: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_on(self) -> None:
        """Pass on what it writes until it ends, without what it says when all is well."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            if text.startswith("ready;"):
                self.is_ready.set()
            elif not text.startswith(_EXPECTED):
                screen.note(f"worker: {text}")
        await self.process.wait()

    async def end(self) -> None:
        """Let it end, and make sure that it has."""
        if self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_DRAIN + 3):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@dataclass(slots=True)
class ServingWorker:
    """The worker that serves.

    A worker reads its files once, at its start. So the one that serves has what it began with, whatever the files
    say meanwhile; it ends when a new one has read them and polls, and not before.
    """

    command: Sequence[str]
    _current: _OneProcess | None = None
    _running: dict[asyncio.Task[None], _OneProcess] = field(default_factory=dict)

    @property
    def serves(self) -> bool:
        """Whether there is one."""
        return self._current in self._running.values()

    async def begin(self) -> bool:
        """Start a worker in place of the one that serves. If it cannot start, that one stays: return false."""
        new = await self._start()
        reader = asyncio.create_task(self._follow(new))
        self._running[reader] = new
        reader.add_done_callback(self._running.pop)
        ready = asyncio.create_task(new.is_ready.wait())
        await asyncio.wait([ready, reader], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not new.is_ready.is_set():
            return False
        old, self._current = self._current, new
        if old is not None:
            await old.end()
        return self.serves

    async def end(self) -> None:
        """End the one that serves, and those that begin or end."""
        self._current = None
        await asyncio.gather(*(each.end() for each in self._running.values()))

    async def _start(self) -> _OneProcess:
        environment = {name: value for name, value in os.environ.items() if name != "SAGADSL_WORKER_QUIET"}
        process = await asyncio.create_subprocess_exec(
            *self.command,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            env=environment,  # it has to say when it is ready
            start_new_session=True,  # Ctrl-C reaches it only through this process
            preexec_fn=end_with_parent(),
        )
        return _OneProcess(process)

    async def _follow(self, one: _OneProcess) -> None:
        await one.pass_on()
        if one is self._current:
            screen.warn("the worker has ended; it starts again when something changes")


@asynccontextmanager
async def serving_worker(paths: Sequence[str], server: Server, module: Sequence[str]) -> AsyncIterator[ServingWorker]:
    """Give a worker that ends with the block; it begins when it is told to."""
    options = ["--address", server.address, "--namespace", server.namespace, "--drain", str(_DRAIN)]
    options += ["--log-format", "text", "--processes", "1"]
    for each in module:
        options += ["--module", each]
    worker = ServingWorker([sys.executable, "-m", "sagadsl", "worker", *(paths or (".",)), *options])
    try:
        yield worker
    finally:
        await worker.end()
