"""Runs a worker of a trial in a process of its own, so that a trial can kill it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from temporalio.client import Client

from sagadsl.temporal.link.server_process import end_with_parent
from sagadsl.temporal.trial.worker import Begun, OnBegun, Script, packed

_READY = 2
"""Spare processes: one takes a second to start, and a worker that takes over shall do so at once."""

_AT_ONCE = 2
"""Cases with crashes at the same time. With more, starting processes takes all the time that their attempts need."""


@dataclass
class Spares:
    """Processes that have loaded everything and wait for work. None is started before the first is asked for."""

    starting: list[asyncio.Task[asyncio.subprocess.Process]] = field(default_factory=list)
    wanted: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def __aenter__(self) -> Spares:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for starting in self.starting:
            await kill(await starting)

    async def get(self) -> asyncio.subprocess.Process:
        """Return a process that is ready, and start another one in its place."""
        while len(self.starting) <= _READY:
            self.starting.append(asyncio.create_task(_started()))
        return await self.starting.pop(0)


async def _started() -> asyncio.subprocess.Process:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sagadsl.temporal.trial.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=2**24,  # an argument may have 2 MB (R52)
        preexec_fn=end_with_parent(),
    )
    assert child.stdout is not None
    await child.stdout.readline()  # it is ready
    return child


async def kill(child: asyncio.subprocess.Process) -> None:
    """Kill a process, as a failing machine would."""
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    await child.wait()


@dataclass
class Process:
    """The worker; as a context manager, it runs until the end of the context."""

    client: Client
    spares: Spares
    queue: str
    script: Script
    on_begun: OnBegun
    child: asyncio.subprocess.Process | None = None
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> None:
        await self.spares.wanted.acquire()
        await self._take_over()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.spares.wanted.release()
        for task in self.tasks:
            task.cancel()
        if self.child is not None:
            await kill(self.child)

    async def crash(self) -> None:
        """Kill the worker, and let another worker take over."""
        if self.child is not None:
            await kill(self.child)
        await self._take_over()

    async def _take_over(self) -> None:
        self.child = child = await self.spares.get()
        assert child.stdin is not None
        assert child.stdout is not None
        address = self.client.service_client.config.target_host
        head = json.dumps([address, self.client.namespace, self.queue, packed(self.script)])
        child.stdin.write(f"{head}\n".encode())
        await child.stdout.readline()  # it is at work
        self._begin(self._listen(child))

    def _begin(self, what: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(what)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None
        while line := await child.stdout.readline():
            number, *begun = json.loads(line)
            self._begin(self._answer(child, number, Begun(*begun)))

    async def _answer(self, child: asyncio.subprocess.Process, number: int, begun: Begun) -> None:
        assert child.stdin is not None
        stopping = await self.on_begun(begun)
        if child.returncode is None and child is self.child:
            with contextlib.suppress(ConnectionError):
                child.stdin.write(f"{json.dumps([number, stopping])}\n".encode())
                await child.stdin.drain()
