"""Child sagas seen and reached from outside, on a real server: what their parents tell, and what goes down to them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import decisions
from sagadsl.temporal.read import children, following, runs
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import Stage, stage

pytestmark = pytest.mark.temporal

WAITS = saga({"id": "ask", "wait_for": {"signal": "go"}}, act("after"), name="waits")


async def _until(made: Stage, id_: str, holds: Any) -> Mapping[str, Any]:
    """Wait until the status of a saga, with its children, *holds*."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = (await following.picture(made.client, id_)).status
            if found.get("source") != "history" and holds(found):
                return found
            await asyncio.sleep(0.05)


def _waiting(found: Mapping[str, Any]) -> list[str]:
    return [each["path"] for each in found["children"] if each["waiting_for"]]


def test_a_parent_goes_over_to_a_new_run_only_when_its_child_has_ended(server: Server) -> None:
    """R47, R50: by a continue-as-new in between the server would end the child, with what it has done."""
    loop = {"id": "rows", "for_each": {"items": "{{ [1, 2, 3, 4, 5, 6, 7, 8, 9] }}"}, "steps": [plain("row")]}
    definition = saga({"id": "both", "parallel": [{"id": "kid", "saga": "waits"}, loop]}, plain("end"), name="top")

    async def scenario() -> tuple[str, str, str, bool]:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, children={"waits": WAITS}, continue_after_events=20)
            await _until(made, started.id, _waiting)
            handle = made.client.get_workflow_handle(started.id)
            async with asyncio.timeout(PATIENCE):
                while (await handle.describe()).history_length < 20:
                    await asyncio.sleep(0.05)
            held = (await following.picture(made.client, started.id)).status
            await sagas.signal(made.client, f"{started.id}/both/kid", "go")
            ended = await made.end(started)
            kid = await runs.result(made.client, f"{started.id}/both/kid")
            described = await handle.describe()
            return held["status"], ended.status, kid.status, described.run_id != started.run_id

    assert asyncio.run(scenario()) == ("running", "completed", "completed", True)


def test_of_more_children_than_can_be_asked_in_a_moment_the_rest_is_unknown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B4: and not told to be running."""
    monkeypatch.setattr(children, "MOST", 2)
    loop = {"id": "rows", "for_each": {"items": "{{ [1, 2, 3, 4, 5] }}", "max_concurrency": 5}, "steps": [_kid()]}

    async def scenario() -> Mapping[str, Any]:
        async with stage(server.address, {}) as made:
            started = await made.start(saga(loop, name="top"), children={"waits": WAITS})
            found = await _until(made, started.id, lambda status: len(_waiting(status)) == 2)
            await sagas.cancel(made.client, started.id)
            return found

    stand = [each["status"] for each in asyncio.run(scenario())["children"]]
    assert stand == ["running", "running", "unknown", "unknown", "unknown"]


def _kid(name: str = "waits") -> dict[str, Any]:
    return {"id": "kid", "saga": name}


def test_the_children_of_children_count_among_those_that_are_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B4: at whatever depth, and whoever of them is asked at the same time."""

    def three(name: str, child: str) -> dict[str, Any]:
        loop = {"id": "rows", "for_each": {"items": "{{ [1, 2, 3] }}", "max_concurrency": 3}, "steps": [_kid(child)]}
        return saga(loop, name=name)

    family = {"mid": three("mid", "low"), "low": saga(_kid(), name="low"), "waits": WAITS}

    async def scenario() -> list[str]:
        async with stage(server.address, {}) as made:
            started = await made.start(three("top", "mid"), children=family)
            await _until(made, started.id, lambda status: len(_waiting(status)) == 9)
            monkeypatch.setattr(children, "MOST", 8)
            found = (await following.picture(made.client, started.id)).status
            await sagas.cancel(made.client, started.id)
            return [each["status"] for each in found["children"]]

    stand = asyncio.run(scenario())
    assert stand.count("running") == 8
    assert "unknown" in stand


def test_children_are_paused_though_one_of_them_cannot_be_looked_at(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B5: what is done is told, and what is not known of the others."""
    loop = {"id": "rows", "for_each": {"items": "{{ [1, 2] }}", "max_concurrency": 2}, "steps": [_kid()]}
    described = decisions.describe

    async def unreachable(client: Any, id_: str) -> Any:
        if id_.endswith("rows[0]/kid"):
            raise RPCError("gone", RPCStatusCode.UNAVAILABLE, b"")
        return await described(client, id_)

    async def scenario() -> list[tuple[str, str, bool]]:
        async with stage(server.address, {}) as made:
            started = await made.start(saga(loop, name="top"), children={"waits": WAITS})
            await _until(made, started.id, lambda status: len(_waiting(status)) == 2)
            with monkeypatch.context() as patch:
                patch.setattr(decisions, "describe", unreachable)
                done = await decisions.operate(made.client, started.id, Verb.PAUSE)
            await sagas.cancel(made.client, started.id)
            return [(each.path, each.status, each.problem is None) for each in done.children]

    assert asyncio.run(scenario()) == [
        ("rows[0]/kid", "paused", True),
        ("rows[0]/kid/…", "unknown", False),
        ("rows[1]/kid", "paused", True),
    ]


def test_while_a_parent_is_paused_its_children_begin_nothing_and_none_begins(server: Server) -> None:
    """B5: neither what a signal lets go on in the child, nor the next child of the parent."""
    definition = saga(plain("first"), _kid(), {"id": "next", "saga": "waits"}, name="top")

    async def scenario() -> tuple[list[str], list[str], list[str]]:
        async with stage(server.address, {"do.after": slow(0.1)}) as made:
            started = await made.start(definition, children={"waits": WAITS})
            await _until(made, started.id, _waiting)
            done = await decisions.operate(made.client, started.id, Verb.PAUSE, Asked(by="ann"))
            await sagas.signal(made.client, f"{started.id}/kid", "go")
            await _until(made, started.id, lambda status: not _waiting(status))
            held = list(made.begun)
            await decisions.operate(made.client, started.id, Verb.RESUME, Asked("kid"))
            await _until(made, started.id, lambda status: not status["children"])  # the parent is still paused
            alone = list(made.begun)
            await decisions.operate(made.client, started.id, Verb.RESUME)
            await _until(made, started.id, lambda status: _waiting(status) == ["next"])
            await sagas.cancel(made.client, started.id)
            await made.end(started)
            return [f"{each.path} {each.status}" for each in done.children], held, alone

    asked, held, alone = asyncio.run(scenario())
    assert asked == ["kid paused"]
    assert held == ["first"]
    assert alone == ["first", "after"]


def test_a_child_with_a_shortened_id_is_reached_by_its_path(server: Server) -> None:
    """B1, B4."""
    id_ = f"{uuid.uuid4()}{'x' * 216}"

    async def scenario() -> tuple[list[str], str, str]:
        async with stage(server.address, {}) as made:
            started = await made.start(saga(_kid(), name="top"), children={"waits": WAITS}, id=id_)
            found = await _until(made, started.id, _waiting)
            done = await decisions.operate(made.client, id_, Verb.PAUSE, Asked("kid"))
            await sagas.cancel(made.client, id_)
            ended = await made.end(started)
            return [each["path"] for each in found["children"]], done.id, ended.status

    paths, child, ended = asyncio.run(scenario())
    assert (paths, ended) == (["kid"], "cancelled")
    assert child != f"{id_}/kid"
    assert len(child) <= 255
