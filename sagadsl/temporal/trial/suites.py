"""Plays suites on a real server: real workers act out the mocks, real requests interfere, real processes crash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta

from temporalio.client import Client

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.language.analysis.known import Signature
from sagadsl.language.notation.durations import spell
from sagadsl.language.own_errors import INVALID_INPUT
from sagadsl.temporal.link.embedded import serve
from sagadsl.temporal.trial.definition import CannotBePlayed, copies, wait_longer
from sagadsl.temporal.trial.process import Spares
from sagadsl.temporal.trial.stage import Inspect, Stage, TooEarly
from sagadsl.temporal.trial.worker import CACHED, Script, quiet
from sagadsl.trial.play import play
from sagadsl.trial.played import ID, Played
from sagadsl.trial.runner import Host, outputs_of
from sagadsl.trial.suite import Playable

AT_ONCE = 3 * (os.cpu_count() or 2)
"""Cases on the server at the same time: with more, nothing is faster, and attempts are late."""

PATIENCE = 30.0
"""Seconds of virtual time that a case may take, else it is not played; real seconds on top before it is given up."""

_STOPS = 60.0
"""Seconds on top for a worker to stop. The SDK may wait for ever when a timer outlives its local activity."""

_SLACK = (2, 6, 18)
"""Seconds by which a saga's timeout comes later than foreseen: at first, and each time after it came too early."""


@contextlib.contextmanager
def real(
    playables: Sequence[Playable],
    signatures: Mapping[str, Signature],
    *,
    cached: int = CACHED,
    inspect: Inspect | None = None,
) -> Iterator[Host]:
    """Play cases on an embedded server, several at once; the host returns what came of each.

    Args:
        cached: How many sagas a worker keeps in memory; see ``Script``.
        inspect: Looks at each run once it has been played.

    Raises:
        SagadslError: No server can be had.
    """
    quiet()
    options = _Options(signatures, cached, inspect)
    ready: Future[_House] = Future()
    thread = threading.Thread(target=_serve, args=(ready,), name="trials", daemon=True)
    thread.start()
    house = ready.result()

    async def one(playable: Playable) -> Played | str:
        room = await house.rooms.get()
        try:
            played = await _play(room, playable, options)
        except _Stuck as stuck:  # whatever it still holds, no other case shall meet it
            return str(stuck)
        except BaseException:
            house.rooms.put_nowait(room)
            raise
        house.rooms.put_nowait(room)
        return played

    try:
        futures = {id(each): asyncio.run_coroutine_threadsafe(one(each), house.loop) for each in playables}
        yield lambda playable: futures[id(playable)].result()
    finally:
        house.loop.call_soon_threadsafe(house.over.set)
        thread.join(_STOPS)  # a case that is stuck may hold the loop, whose thread ends with the process


class _Stuck(Exception):
    """A case does not come to an end, although its time is over."""


class _Room(Immutable):
    """A namespace that plays one case at a time, because every saga of a trial has the same id."""

    client: Client
    spares: Spares


class _Options(Immutable):
    """How cases are played; see ``real``."""

    signatures: Mapping[str, Signature]
    cached: int
    inspect: Inspect | None


class _House(Immutable):
    """The server; it runs until ``over`` is set. ``rooms`` are those in which nothing is played now."""

    loop: asyncio.AbstractEventLoop
    over: asyncio.Event
    rooms: asyncio.Queue[_Room]


def _serve(ready: Future[_House]) -> None:
    """Run the server in a loop of its own. Cases that are still being played when it is over are given up."""

    async def run() -> None:
        names = [f"room-{each}" for each in range(AT_ONCE)]
        async with Spares() as spares, serve(namespaces=names) as server:
            house = _House(asyncio.get_running_loop(), asyncio.Event(), asyncio.Queue())
            for name in names:
                house.rooms.put_nowait(_Room(await Client.connect(server.address, namespace=name), spares))
            ready.set_result(house)
            await house.over.wait()

    try:
        asyncio.run(run())
    except BaseException as error:  # noqa: BLE001 # whoever waits for the server has to hear of it
        if not ready.done():
            ready.set_exception(error)


async def _play(room: _Room, playable: Playable, options: _Options) -> Played | str:
    case, target = playable.case, playable.target
    if case.now is not None:
        return "it begins at a moment of its own, and a server has the time of its machine"
    outputs = outputs_of(playable, options.signatures)
    foreseen = play(target.saga, case, sagas=target.sagas, outputs=outputs)
    if not foreseen.calls and foreseen.failure is not None and foreseen.failure["type"] == INVALID_INPUT:
        return foreseen  # the client refuses to start it
    if foreseen.cut:
        return "it takes for ever"
    if foreseen.seconds > PATIENCE:
        return f"it takes {spell(timedelta(seconds=round(foreseen.seconds)))}, and this server does not skip time"
    try:
        for slack in _SLACK:
            stage = _stage(room, playable, foreseen, options, slack)
            with contextlib.suppress(TooEarly):
                return await _stops(stage, PATIENCE + 2 * foreseen.seconds)
    except (CannotBePlayed, SagadslError) as error:
        return str(error)
    return f"its timeout passes {_SLACK[-1]} s too early: the machine is too slow"


async def _stops(stage: Stage, patience: float) -> Played:
    """Play a case, and leave it behind if it does not stop. Raises ``_Stuck``."""
    playing = asyncio.ensure_future(stage.play(patience))
    await asyncio.wait({playing}, timeout=patience + _STOPS)
    if not playing.done():
        raise _Stuck(f"it has not stopped for {spell(timedelta(seconds=round(patience + _STOPS)))}")
    return playing.result()


def _stage(room: _Room, playable: Playable, foreseen: Played, options: _Options, slack: int) -> Stage:
    case, target = playable.case, playable.target
    queue = f"q-{uuid.uuid4().hex[:12]}"
    made = copies(target, case.mocks, queue)
    at = next((each.moment for each in case.when if each.action == "timeout"), None)
    if at is not None:
        passes = next((event.at - foreseen.began for event in foreseen.events if event.what == "timeout"), None)
        if passes is not None:
            made.root["timeout"] = f"{round((passes + slack) * 1000)}ms"
        if at.on == "begin":
            wait_longer(made, target, at.name, timedelta(seconds=slack))
    later = tuple(each for to in case.later for each in (to.definition, *to.children.values()))
    script = Script(
        ID, case.mocks, made.root, made.children, dict(options.signatures), options.cached, later, made.endpoints
    )
    return Stage(room.client, room.spares, target, case, foreseen, script, queue, made.nobody, options.inspect)
