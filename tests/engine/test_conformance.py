"""The scenes that every host plays, in virtual time."""

from __future__ import annotations

import json
from functools import partial

import pytest

from sagadsl.engine.facts import OperatorAsked, SignalReceived
from sagadsl.language.document import Document, parse
from sagadsl.language.schema.definition import check as check_schema
from sagadsl.virtual.world import World
from tests.engine import invariants
from tests.engine.conformance import CONFORMANCE, Scene
from tests.engine.scenes import ID, built, scripted


def _document(scene: Scene) -> Document:
    document, findings = parse(json.dumps(scene.definition))
    assert not findings
    return document


def matches(expected: tuple[str | frozenset[str], ...], calls: list[str]) -> bool:
    """Whether *calls* began in the expected order; those of a set in any order."""
    rest = list(calls)
    for each in expected:
        group = {each} if isinstance(each, str) else each
        if set(rest[: len(group)]) != group:
            return False
        del rest[: len(group)]
    return not rest


@pytest.mark.parametrize("way", ["plain", "replayed", "drained"])
@pytest.mark.parametrize("scene", CONFORMANCE, ids=lambda scene: scene.name)
def test_virtual_time_plays_every_scene(scene: Scene, way: str) -> None:
    """The rules are named in the scene; see ``conformance``."""
    world = World(
        scripted(scene.script),
        sagas={child.name: child for child in map(built, scene.sagas)},
        replay=way == "replayed",
        drain=way == "drained",
    )
    if scene.cancel_at is not None:
        world.cancel_at(scene.cancel_at)
    for seconds, name, payload in scene.signals:
        world.at(seconds, partial(SignalReceived, name=name, payload=payload))
    run = world.start(built(scene.definition), scene.input_)
    world.run()
    for verb, path in scene.operator:
        assert run.state.attention
        world.at(world.now - world.begin, partial(OperatorAsked, verb=verb, path=path, by="ann", why="because"))
        world.run()

    assert run.close is not None
    assert run.close.status.value == scene.status
    for saga_id, each in world.runs.items():
        invariants.check(world.events, saga_id, each)
    calls = [event.call for event in world.events if event.what == "start" and event.saga == ID]
    assert matches(scene.calls, calls), calls
    failure = run.close.failure
    assert (None if failure is None else (failure.type, failure.step)) == scene.failure
    assert run.close.output == scene.output
    report = world.report()
    assert tuple(report["undone"]) == scene.undone
    assert tuple(line["path"] for line in report["not_undone"]) == scene.not_undone
    assert tuple(report["not_attempted"]) == scene.not_attempted
    for call, attempts in scene.attempts.items():
        assert sum(event.what == "attempt" and event.call == call for event in world.events) == attempts


@pytest.mark.parametrize("scene", CONFORMANCE, ids=lambda scene: scene.name)
def test_every_scene_is_a_definition_that_may_be_started(scene: Scene) -> None:
    """A real worker refuses others."""
    assert not check_schema(_document(scene))


def test_the_order_of_calls_is_compared_but_for_those_that_begin_together() -> None:
    assert matches(("a", frozenset({"b", "c"}), "d"), ["a", "c", "b", "d"])
    assert not matches(("a", "b"), ["b", "a"])
    assert not matches(("a",), ["a", "b"])
    assert not matches(("a", "b"), ["a"])
