"""Lets many clients watch one saga with one request to the server: a picture is fetched once, and handed to all."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client

from sagadsl.gateway.lookout import Allowance, Lookout
from sagadsl.gateway.metrics import Metrics
from sagadsl.immutable import Immutable, field, replace
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.following import Picture, picture_of
from sagadsl.temporal.read.recent import Recent
from sagadsl.temporal.read.remembered import Remembered
from sagadsl.temporal.refusals import SagaNotFound

_ENDED_BYTES = 8_000_000
"""Of ended sagas whose workers need not be asked again, as they are sent."""


class Snapshot(Immutable):
    """A picture as it is sent, and its revision, by which a client recognises it.

    Attributes:
        size: Bytes of the document.
        event: As streams send it, once the first of them has asked; empty before.
        began: When the look began that has found it; zero if nobody compares it with others.
    """

    picture: Picture
    document: dict[str, Any]
    revision: str
    size: int
    event: list[str] = field(default_factory=list)
    began: float = 0.0


@dataclass(slots=True)
class _Watched:
    """One saga that somebody watches.

    Attributes:
        came: When whoever follows it has last brought a view.
    """

    changed: asyncio.Condition = dataclasses.field(default_factory=asyncio.Condition)
    task: asyncio.Task[None] | None = None
    watchers: int = 0
    view: Snapshot | None = None
    came: float = 0.0
    over: bool = False
    error: BaseException | None = None


@dataclass(slots=True)
class Watchers:
    """The watchers of sagas, by the ids of the sagas."""

    client: Client
    metrics: Metrics
    allowance: Allowance = dataclasses.field(default_factory=Allowance)
    _watched: dict[str, _Watched] = dataclasses.field(default_factory=dict)
    _running: dict[str, asyncio.Task[Snapshot]] = dataclasses.field(default_factory=dict)
    _next: dict[str, asyncio.Task[Snapshot]] = dataclasses.field(default_factory=dict)
    _ended: Recent[str, Snapshot] = dataclasses.field(default_factory=lambda: Recent(_ENDED_BYTES))
    _remembered: Remembered = dataclasses.field(init=False)
    lookout: Lookout = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self._remembered = Remembered(self.metrics.questions.inc)
        self.lookout = Lookout(self.client, self._remembered, self.metrics, self.allowance)

    async def now(self, id: str) -> Snapshot:
        """Return the saga now. Callers at the same time share one answer, which is fetched after all of them asked.

        Raises:
            SagaNotFound: There is no such run, or it is not a saga.
        """
        waiting = self._next.get(id)
        if waiting is None:
            running = self._running.get(id)
            waiting = self._next[id] = asyncio.create_task(self._fetch(id, running))
        return await asyncio.shield(waiting)

    async def _fetch(self, id: str, before: asyncio.Task[Snapshot] | None) -> Snapshot:
        if before is not None:  # that look may be older than something that the caller knows
            await asyncio.wait([before])
        task = asyncio.current_task()
        assert task is not None
        self._next.pop(id, None)
        self._running[id] = task
        try:
            return await self._look(id)
        finally:
            if self._running.get(id) is task:
                del self._running[id]

    async def _look(self, id: str) -> Snapshot:
        began = time.monotonic()
        described = await describe(self.client, id)
        ended = self._ended.get(described.run_id)
        if ended is not None:
            return ended
        view = view_of(await picture_of(self.client, described, status_of=self._remembered.status_of), began)
        if not view.picture.is_saga:
            raise SagaNotFound(id, self.client.namespace)
        if not view.picture.is_open and view.picture.has_worker:  # an ended saga does not change
            self._ended.keep(described.run_id, view, view.size)
        return view

    async def views(self, id: str, known: Snapshot) -> AsyncGenerator[Snapshot]:
        """Yield a saga at once, and then each time it has changed, until it has ended.

        Args:
            known: The saga as it was a moment ago: nobody has to wait for another look.
        """
        watched = self._enter(id)
        seen = ""
        try:
            await _offer(watched, known)
            while True:
                async with watched.changed:
                    while not watched.over and (watched.view is None or watched.view.revision == seen):
                        await watched.changed.wait()
                    view, over, error = watched.view, watched.over, watched.error
                if view is not None and view.revision != seen:
                    seen = view.revision
                    yield view
                elif error is not None:
                    raise error
                elif over:
                    return
        finally:
            self._leave(id, watched)

    async def after(self, view: Snapshot, seconds: float) -> Snapshot:
        """Return a saga as soon as it differs from *view*; at the latest after *seconds*."""
        last = view
        try:
            async with asyncio.timeout(seconds), aclosing(self.views(view.document["id"], view)) as views:
                async for last in views:
                    if last.revision != view.revision or not last.picture.is_open:
                        break
        except TimeoutError:
            pass
        return last

    def _enter(self, id: str) -> _Watched:
        watched = self._watched.get(id)
        if watched is None or watched.over:
            watched = self._watched[id] = _Watched()
            watched.task = asyncio.create_task(self._follow(id, watched))
        watched.watchers += 1
        return watched

    def _leave(self, id: str, watched: _Watched) -> None:
        watched.watchers -= 1
        if not watched.watchers:
            if watched.task is not None:
                watched.task.cancel()
            if self._watched.get(id) is watched:
                del self._watched[id]

    async def close(self) -> None:
        """Release all watchers; each keeps the last view that it has."""
        for watched in list(self._watched.values()):
            await _end(watched, None)

    async def _follow(self, id: str, watched: _Watched) -> None:
        error: BaseException | None = None
        try:
            async with aclosing(self.lookout.pictures(id)) as pictures:
                async for each in pictures:
                    async with watched.changed:
                        watched.view, watched.came = view_of(each), time.monotonic()
                        watched.changed.notify_all()
        except Exception as raised:  # noqa: BLE001 # handed over to whoever watches
            error = raised
        await _end(watched, error)


async def _offer(watched: _Watched, known: Snapshot) -> None:
    """Show a view to all who watch, if it is newer than theirs: nobody sees an older one than he knows."""
    async with watched.changed:
        theirs = watched.view
        if theirs is None:
            watched.view = known
        elif watched.came < known.began and theirs.began <= known.began and theirs.revision != known.revision:
            picture = replace(known.picture, tried=theirs.picture.tried)
            watched.view = replace(known, picture=picture, event=[])
        else:
            return
        watched.changed.notify_all()


async def _end(watched: _Watched, error: BaseException | None) -> None:
    async with watched.changed:
        watched.over, watched.error = True, error
        watched.changed.notify_all()


def view_of(picture: Picture, began: float = 0.0) -> Snapshot:
    """Return a picture as it is sent."""
    document = picture.as_json() | {"is_open": picture.is_open, "has_worker": picture.has_worker}
    raw = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return Snapshot(picture, document, hashlib.blake2b(raw, digest_size=9).hexdigest(), len(raw), began=began)
