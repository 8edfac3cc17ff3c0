"""Follows many sagas at once with a bounded number of requests to the server.

The server tells of a new event at once, by a long poll. But it has room for 1,200 long polls of a namespace, workers'
included: the next worker that asks for work gets none. So only the sagas in which something has happened last have a
long poll. The others are looked at in turn, the more seldom the more of them there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.gateway.metrics import Metrics
from sagadsl.immutable import Immutable, replace
from sagadsl.temporal.ask.answers import EarlyAnswer, early_answer
from sagadsl.temporal.link.connection import is_for_now
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.following import GAP_SECONDS, TICK_SECONDS, Picture, picture_of
from sagadsl.temporal.read.readable import events_of
from sagadsl.temporal.read.remembered import Remembered
from sagadsl.temporal.read.runs import Ended
from sagadsl.temporal.read.watching import StepEvents

QUIET_SECONDS = 5.0
"""Between two looks at a saga that has nothing to do and has a long poll. They notice that its worker has gone."""

PATIENCE_SECONDS = 30.0
"""For how long the server may be away until streams end. Their clients would all come again at the same time."""

_LOOKS_AT_ONCE = 20


class Allowance(Immutable):
    """How much of the server one gateway may take.

    Attributes:
        ears: Long polls for sagas that are followed.
        waits: Long polls of requests that wait for an end or an answer.
        looks: Looks a second at sagas that are followed.
    """

    ears: int = 200
    waits: int = 100
    looks: float = 100.0


@dataclass(slots=True, eq=False)
class _Ear:
    """Hears that something has happened in a saga, as long as it listens.

    Attributes:
        tried: How many attempts each call took that has ended.
    """

    client: Client
    id: str
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    tried: dict[str, int] = field(default_factory=dict)
    _listening: asyncio.Task[None] | None = None
    _run_id: str = ""

    @property
    def listens(self) -> bool:
        return self._listening is not None and not self._listening.done()

    def listen(self, run_id: str) -> None:
        """Begin to listen to a run, unless it does already."""
        if self.listens and self._run_id == run_id:
            return
        self.stop()
        self._run_id = run_id
        self._listening = asyncio.create_task(self._listen(run_id))

    def stop(self) -> None:
        if self._listening is not None:
            self._listening.cancel()

    async def _listen(self, run_id: str) -> None:
        reader = StepEvents(self.id)
        with contextlib.suppress(RPCError):  # whoever looks next finds out what is wrong
            async for recorded in events_of(self.client, self.id, run_id, wait_new_event=True):
                for event in reader.read(recorded):
                    if event.attempt and event.what != "retrying":
                        self.tried[event.path] = event.attempt
                self.happened.set()
        self.happened.set()


@dataclass(slots=True)
class Lookout:
    """All who follow sagas through one gateway share one."""

    client: Client
    remembered: Remembered
    metrics: Metrics
    allowance: Allowance = field(default_factory=Allowance)
    _followed: int = 0
    _ears: OrderedDict[_Ear, None] = field(default_factory=OrderedDict)
    _waits: asyncio.Semaphore = field(init=False)
    _looks: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._waits = asyncio.Semaphore(self.allowance.waits)
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self.metrics.followed.set_function(lambda: self._followed)
        self.metrics.long_polls.set_function(lambda: len(self._ears))

    async def pictures(self, id: str) -> AsyncGenerator[Picture]:
        """Yield pictures of a saga until it has ended; the last one has ``is_open`` false.

        Raises:
            SagaNotFound: See there.
        """
        ear, length = _Ear(self.client, id), 0
        self._followed += 1
        try:
            while True:
                began, is_news = time.monotonic(), ear.happened.is_set()
                ear.happened.clear()
                described, picture = await self._look(id, is_news=is_news)
                before, length = length, described.raw.workflow_execution_info.history_length
                if described.held is not None:  # its history is told at once, and no long poll waits for more of it
                    self._give_up(ear)
                elif described.is_open and (self._has_room or _is_busy(described) or length != before != 0):
                    self._hear(ear, described.run_id)
                yield replace(picture, tried=dict(ear.tried))
                if not picture.is_open:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause(ear, described)):
                        await ear.happened.wait()
                await asyncio.sleep(max(0.0, GAP_SECONDS - (time.monotonic() - began)))
        finally:
            self._followed -= 1
            self._give_up(ear)

    async def _look(self, id: str, *, is_news: bool) -> tuple[Described, Picture]:
        """Look at a saga; if the server is away for a moment, or has too much to do, try again after a while.

        News does not wait for the looks in turn, of which a slow server may leave thousands waiting.
        """
        pause, until = TICK_SECONDS, time.monotonic() + PATIENCE_SECONDS
        while True:
            self.metrics.looks.inc()
            try:
                async with contextlib.nullcontext() if is_news else self._looks:
                    described = await describe(self.client, id)
                return described, await picture_of(self.client, described, status_of=self.remembered.status_of)
            except RPCError as error:
                if not is_for_now(error) or time.monotonic() > until:
                    raise
            await asyncio.sleep(pause)
            pause *= 2

    @property
    def _has_room(self) -> bool:
        return len(self._ears) < self.allowance.ears

    def _hear(self, ear: _Ear, run_id: str) -> None:
        """Give a saga a long poll; if there are too many, the saga that has been quiet for longest loses its own."""
        ear.listen(run_id)
        self._ears[ear] = None
        self._ears.move_to_end(ear)
        if len(self._ears) > self.allowance.ears:
            quiet, _ = self._ears.popitem(last=False)
            quiet.stop()

    def _give_up(self, ear: _Ear) -> None:
        self._ears.pop(ear, None)
        ear.stop()

    def _pause(self, ear: _Ear, described: Described) -> float:
        is_quiet = ear.listens and not _is_busy(described)
        return max(QUIET_SECONDS if is_quiet else TICK_SECONDS, self._followed / self.allowance.looks)

    async def ended(self, id: str) -> Ended:
        """Wait until a saga has ended, and say how. Raises the same as ``runs.result``."""
        if not self._waits.locked():
            async with self._waits:
                return await runs.result(self.client, id)
        self._followed += 1
        try:
            while (await describe(self.client, id)).is_open:
                await asyncio.sleep(max(TICK_SECONDS, self._followed / self.allowance.looks))
        finally:
            self._followed -= 1
        return await runs.result(self.client, id)

    async def answer(self, id: str) -> EarlyAnswer | None:
        """Wait for the early answer of a saga, as ``early_answer`` does, once there is room for another long poll."""
        async with self._waits:
            return await early_answer(self.client, id)


def _is_busy(described: Described) -> bool:
    """Whether something may happen to a run that its history does not tell: to an attempt, to a child, to a worker."""
    raw = described.raw
    calls = raw.pending_activities or raw.pending_children or raw.pending_nexus_operations
    return bool(calls) or raw.HasField("pending_workflow_task")
