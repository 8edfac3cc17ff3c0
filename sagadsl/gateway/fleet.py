"""The sagas of a namespace as gauges: how many are open, how many wait for an operator, and how long the oldest does.

Prometheus asks often, and there may be many gateways. So a gateway looks only when somebody asks, and then at most once
a minute; in between it tells what it has seen. What it asks is bounded: so many definitions by their names, and so many
sagas for their status. It says when it has looked, and whether there was more than it has looked at.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.errors import SagadslError
from sagadsl.gateway.metrics import Metrics
from sagadsl.immutable import Immutable
from sagadsl.language.paths import parse_call
from sagadsl.status.incidents import Incident
from sagadsl.temporal.read.index import keeps_status
from sagadsl.temporal.read.waiting import waiting
from sagadsl.temporal.read.windows import count
from sagadsl.temporal.wire.attributes import SAGA_STATUS
from sagadsl.temporal.work.meters import OTHER

PERIOD_SECONDS = 60.0
PATIENCE_SECONDS = 5.0
MOST_DEFINITIONS = 100
MOST_ASKED = 200
"""Paused sagas that are asked for their status at one look."""

_AT_ONCE = 10
_OPEN = "ExecutionStatus = 'Running'"
_log = logging.getLogger("sagadsl.gateway")


class Look(Immutable):
    """What one look has found, by the names of sagas.

    Attributes:
        open, paused: How many; ``paused`` is empty where the index does not know it.
        pauses, undos: Since when the oldest saga, or the oldest compensation, waits, in seconds since 1970.
        is_whole: Nothing was left out.
    """

    open: Mapping[str, int]
    paused: Mapping[str, int]
    pauses: Mapping[str, float]
    undos: Mapping[str, float]
    is_whole: bool


@dataclass(slots=True)
class Fleet:
    """The looks of one gateway at its namespace."""

    client: Client
    metrics: Metrics
    _looked: float = 0.0
    _last: Look | None = None
    _task: asyncio.Task[None] | None = field(default=None)

    async def show(self, names: Iterable[str]) -> None:
        """Bring the gauges up to date, if they are old; wait a little for it. Never raises.

        Args:
            names: The sagas that are counted.
        """
        if time.time() - self._looked > PERIOD_SECONDS and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._look(tuple(dict.fromkeys(names))))
        if self._task is not None:
            await asyncio.wait([self._task], timeout=PATIENCE_SECONDS)
        if self._last is not None:
            self._tell(self._last)

    async def _look(self, names: tuple[str, ...]) -> None:
        try:
            self._last = await look(self.client, names)
            self._looked = time.time()
        except (RPCError, SagadslError) as error:
            _log.warning("the sagas cannot be counted for the metrics: %s", str(error).partition("\n")[0])

    def _tell(self, seen: Look) -> None:
        now, told = time.time(), self.metrics
        told.looked.set(self._looked)
        told.whole.set(seen.is_whole)
        for gauge, numbers in ((told.open, seen.open), (told.paused, seen.paused)):
            gauge.clear()
            for name, number in numbers.items():
                gauge.labels(name).set(number)
        for gauge, since in ((told.oldest_pause, seen.pauses), (told.oldest_undo, seen.undos)):
            gauge.clear()
            for name in seen.open.keys() | since.keys():
                gauge.labels(name).set(now - since[name] if name in since else 0)


async def look(client: Client, names: tuple[str, ...]) -> Look:
    """Count the open sagas of these names, and find since when the oldest wait, also others. Raises ``RPCError``."""
    known, turn = names[:MOST_DEFINITIONS], asyncio.Semaphore(_AT_ONCE)

    async def number(name: str, *more: str) -> int:
        async with turn:
            return await count(client, [f"WorkflowType = '{name}'", _OPEN, *more])

    tells = await keeps_status(client)
    is_paused = f"{SAGA_STATUS.name} = 'paused'"
    opened = await asyncio.gather(*(number(name) for name in known))
    paused = await asyncio.gather(*(number(name, is_paused) for name in known)) if tells else []
    found = await waiting(client, most=MOST_ASKED, questions=MOST_ASKED)
    pauses, undos = dict[str, float](), dict[str, float]()
    for each in found.incidents:
        if (since := _since(each)) is None:
            continue
        name = each.name if each.name in known or len(pauses) < MOST_DEFINITIONS else OTHER
        pauses[name] = min(since, pauses.get(name, since))
        if parse_call(each.path).undoes:
            undos[name] = min(since, undos.get(name, since))
    is_whole = not found.has_more and not found.unanswered and len(names) <= MOST_DEFINITIONS
    return Look(dict(zip(known, opened, strict=True)), dict(zip(known, paused, strict=False)), pauses, undos, is_whole)


def _since(incident: Incident) -> float | None:
    return datetime.fromisoformat(incident.since).timestamp() if incident.since else None
