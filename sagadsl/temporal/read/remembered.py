"""The statuses that runs have given, for whoever asks many runs again and again.

A run in which nothing has happened would give the same status again. The server says how long the history of a run is,
and whether the run has something to do. If the history is as long as before, and there is nothing to do, the worker
need not be asked: that costs it more than anything else that a look does.

A worker that is gone makes whoever asks wait for ten seconds. So it is asked by one at a time, and all others get what
the server knows, until it answers again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client

from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import Described
from sagadsl.temporal.read.recent import Recent

_MOST_BYTES = 16_000_000
"""Of all statuses together, as JSON; in memory they take some times as much."""

FRESH_SECONDS = 10.0
"""For how long an answer shows that a task queue has a worker."""

_AT_ONCE = 20
"""Questions that the workers of one task queue get at once: one that has too many at once answers none in time."""


@dataclass(slots=True)
class _Workers:
    """The workers of one task queue, and of one version if they have versions.

    Attributes:
        answered: When one of them has last answered; less than any time if none has.
        are_silent: None has answered in time since then.
        is_asked: Somebody waits at this moment whether one answers again.
    """

    answered: float = float("-inf")
    are_silent: bool = False
    is_asked: bool = False
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))


@dataclass(slots=True)
class Remembered:
    """The last status of each run.

    Attributes:
        asks: Called whenever a worker is asked.
    """

    asks: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _statuses: Recent[str, tuple[int, dict[str, Any]]] = field(default_factory=lambda: Recent(_MOST_BYTES))
    _workers: dict[tuple[str, str], _Workers] = field(default_factory=dict)

    async def status_of(self, client: Client, described: Described) -> dict[str, Any]:
        """Return the same as ``runs.status_of``, and ask the worker only if it may say something new."""
        if described.held is not None:
            return await runs.status_of(client, described)
        workers = self._workers.setdefault(_who_works(described), _Workers())
        if (known := self._known(described, workers)) is not None:
            return known
        async with workers.room:
            if (known := self._known(described, workers)) is not None:
                return known
            if not workers.are_silent:
                return await self._ask(client, described, workers)
            if workers.is_asked:
                return await runs.unanswered(client, described)
            workers.is_asked = True
            try:
                return await self._ask(client, described, workers)
            finally:
                workers.is_asked = False

    async def _ask(self, client: Client, described: Described, workers: _Workers) -> dict[str, Any]:
        self.asks()
        try:
            answer = await runs.answer_of(client, described)
        except runs.NoAnswerInTime:
            workers.are_silent = True
            return await runs.unanswered(client, described)
        if answer is None:
            return await runs.unanswered(client, described)
        workers.answered, workers.are_silent = self.clock(), False
        status = runs.told(described, answer)
        if _is_at_rest(described):
            self._statuses.keep(described.run_id, (_length(described), status), len(json.dumps(status)))
        return status

    def _known(self, described: Described, workers: _Workers) -> dict[str, Any] | None:
        if self.clock() - workers.answered > FRESH_SECONDS or not _is_at_rest(described):
            return None
        length, status = self._statuses.get(described.run_id) or (0, None)
        return status if length == _length(described) else None


def _who_works(described: Described) -> tuple[str, str]:
    info = described.raw.workflow_execution_info
    return described.task_queue, info.versioning_info.deployment_version.build_id


def _is_at_rest(described: Described) -> bool:
    """Whether the run has nothing to do: what it has not yet heard would be in a workflow task."""
    return described.is_open and not described.raw.HasField("pending_workflow_task")


def _length(described: Described) -> int:
    return described.raw.workflow_execution_info.history_length
