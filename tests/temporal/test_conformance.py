"""The scenes that every host plays (``tests.engine.conformance``), on a real server: with a cache and without."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.requests import Asked
from tests.engine.conformance import CONFORMANCE, Scene
from tests.engine.test_conformance import matches
from tests.temporal.play import SDK_RACE, ByAnyName, Played, Stage, playing

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


def _interfering(scene: Scene) -> Callable[[Stage, Started], Awaitable[None]]:
    """Return what clients and operators do in a scene."""

    async def act(stage: Stage, started: Started) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for seconds, name, payload in scene.signals:
            await asyncio.sleep(begin + seconds - loop.time())
            await sagas.signal(stage.client, started.id, name, payload)
        if scene.cancel_at is not None:
            await asyncio.sleep(begin + scene.cancel_at - loop.time())
            await sagas.cancel(stage.client, started.id)
        for verb, path in scene.operator:
            await stage.until_status(started, lambda status: bool(status["attention"]))
            await sagas.operate(stage.client, started.id, verb, Asked(path, by="ann", why="because"))

    return act


@pytest.mark.parametrize("scene", CONFORMANCE, ids=lambda scene: scene.name)
def test_a_real_server_plays_every_scene(scene: Scene, temporal_address: str) -> None:
    """R53, and the rules that the scene names; with and without a cache, and its history is replayed afterwards."""

    async def twice() -> list[Played]:
        return await asyncio.gather(
            *(
                playing(
                    temporal_address,
                    scene.definition,
                    ByAnyName(scene.script),
                    act=_interfering(scene),
                    input_=scene.input_,
                    children=scene.sagas,
                    max_cached_workflows=cached,
                )
                for cached in (1_000, 0)
            )
        )

    for played in asyncio.run(twice()):
        _check(scene, played)


def _check(scene: Scene, played: Played) -> None:
    assert played.ended.status == scene.status
    assert played.ended.output == scene.output
    failure = played.status["failure"]
    assert (failure and (failure["type"], failure["step"])) == scene.failure
    lines = {line["path"]: line.get("compensation", {}).get("status") for line in played.status["steps"]}
    assert sorted(path for path, undo in lines.items() if undo == "done") == sorted(scene.undone)
    assert {path for path, undo in lines.items() if undo in ("failed", "skipped")} == set(scene.not_undone)
    assert {path for path, undo in lines.items() if undo == "not_attempted"} == set(scene.not_attempted)
    own = {name for each in scene.calls for name in ([each] if isinstance(each, str) else each)}
    calls = [call for call in played.calls if not scene.sagas or call in own]  # a child's own calls are not listed
    expected = tuple(each for each in scene.calls if not isinstance(each, str) or each in played.calls)
    children = {each for each in scene.calls if isinstance(each, str) and each.startswith("trip")}
    assert own - set(played.calls) <= children, "no worker sees the call of a child itself"
    assert matches(expected, calls), calls
    for call, attempts in scene.attempts.items():
        assert sum(begun.partition("@")[0] == call for begun in played.begun) == attempts
