"""Child sagas with an id or a life of their own, on a real server. R113 to R116."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import PayloadCodec

from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import decisions, migrating
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import following, runs
from sagadsl.temporal.read.trace import trace
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.patience import PATIENCE
from tests.temporal.codecs import base64_codec
from tests.temporal.play import Stage, play, replay, stage

pytestmark = pytest.mark.temporal

CHILD = saga(act("x"), act("y"), name="kid", output={"id": "{{ saga.id }}"})
WAITS = saga(act("x"), {"id": "ask", "wait_for": {"signal": "go"}}, act("y"), name="waits")


def _step(name: str = "kid", **more: Any) -> dict[str, Any]:
    return {"id": "ship", "saga": name, "compensation": "none", **more}


def _number() -> str:
    return f"parcel-{uuid.uuid4().hex[:12]}"


def _chosen(id_: str, name: str = "kid", **more: Any) -> dict[str, Any]:
    return _step(name, workflow_id=id_, **more)


async def _waits(made: Stage, id_: str) -> None:
    """Wait until a saga waits for its signal."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(SagaNotFound):  # it has not begun
                if (await runs.status(made.client, id_)).get("waiting_for"):
                    return
            await asyncio.sleep(0.05)


async def _is_open(made: Stage, id_: str) -> bool:
    return (await made.client.get_workflow_handle(id_).describe()).status is WorkflowExecutionStatus.RUNNING


async def _until(made: Stage, id_: str, holds: Any) -> Mapping[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = (await following.picture(made.client, id_)).status
            if found.get("source") != "history" and holds(found):
                return found
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("ends", ["open", "completed", "failed"])
def test_a_strangers_workflow_with_the_chosen_id(server: Server, ends: str) -> None:
    """R113: no child of this saga. Only one that has failed lets the child begin."""
    number = _number()
    definition = saga(act("a"), _chosen(number, compensation="auto"), name="top", output="{{ steps.ship.output.id }}")

    async def scenario() -> tuple[str, Any, list[str]]:
        async with stage(server.address, {}) as made:
            steps = {"completed": {"set": {"a": 1}}, "failed": {"fail": {"type": "X"}}}
            stranger = await made.start(WAITS if ends == "open" else saga({"id": "s", **steps[ends]}), id=number)
            if ends == "open":
                await _waits(made, number)
            else:
                await made.end(stranger)
            made.begun.clear()
            started = await made.start(definition, children={"kid": CHILD})
            ended = await made.end(started)
            await replay(made.client, started.id)
            begun = list(made.begun)  # before the stranger undoes what it has done itself
            if ends == "open":
                assert await _is_open(made, number)
                await sagas.cancel(made.client, number)
            return ended.status, ended.output if ends == "failed" else ended.report, begun

    status, gave, begun = asyncio.run(scenario())
    if ends == "failed":
        assert (status, gave) == ("completed", number)
    else:
        assert (status, gave["failure"]["type"]) == ("compensated", "WorkflowAlreadyStarted")
        assert begun == ["a", "a.compensation"]


def test_operators_reach_a_child_whose_id_is_chosen_through_its_parent(server: Server) -> None:
    """R114, R22: by the path of the step, at any depth; what the parent undoes later is that child."""
    number = _number()
    middle = saga(_chosen(f"{number}.deep", id="deep", compensation="auto"), name="middle")
    definition = saga(_chosen(number, "middle", compensation="auto"), act("b"), name="top")
    script = {"x.compensation": no("Down"), "x.compensation#2": gives(None), "do.y": no("Broke")}

    async def repair(made: Stage, started: Started) -> None:
        found = await _until(made, started.id, lambda status: any(each["attention"] for each in status["children"]))
        assert [(each["path"], each["id"]) for each in found["children"]] == [
            ("ship", number),
            ("ship/deep", f"{number}.deep"),
        ]
        assert next(step["child"] for step in found["steps"] if step["path"] == "ship") == number
        await decisions.operate(made.client, started.id, Verb.RETRY_STEP, Asked("ship/deep/x.compensation"))

    played = play(server.address, definition, script, act=repair, children=[middle, CHILD])

    assert (played.ended.status, played.report["failure"]["type"]) == ("compensated", "Broke")
    assert played.stage.begun == ["x", "y", "x.compensation", "x.compensation#2"]
    assert all(key.startswith(f"{number}.deep~") for key in played.stage.keys["x"])


def test_a_child_with_a_chosen_id_is_undone_with_the_keys_that_it_had(server: Server) -> None:
    """R114, R46, R49: in a new run under the chosen id."""
    number = _number()
    definition = saga(_chosen(number, compensation="auto"), act("b"), name="top")

    played = play(server.address, definition, {"do.b": no()}, children=[CHILD])

    assert played.ended.status == "compensated"
    (did,), (undid,) = played.stage.keys["x"], played.stage.keys["x.compensation"]
    assert did.startswith(f"{number}~")
    assert undid == did.replace("/do", "/undo")


@pytest.mark.parametrize("codec", [None, base64_codec()], ids=["plain", "encoded"])
def test_a_trace_names_a_child_with_a_chosen_id_by_its_step(server: Server, codec: PayloadCodec | None) -> None:
    """R114: the call is in the child's memo, which a codec encodes."""
    definition = saga(_chosen(_number(), compensation="auto"), act("b"), name="top")

    async def scenario() -> list[str]:
        async with stage(server.address, {"do.b": no()}, codec=codec) as made:
            started = await made.start(definition, children={"kid": CHILD})
            await made.end(started)
            return [call.path for call in (await trace(made.client, started.id)).calls]

    assert asyncio.run(scenario()) == ["ship", "b", "ship"]


def test_a_detached_child_outlives_its_parent_through_continue_as_new(server: Server) -> None:
    """R115, R50: other children would be ended with the parent's run. The parent does not wait to go over."""
    loop = {"id": "rows", "for_each": {"items": "{{ 9 | range }}"}, "steps": [plain("row")]}
    definition = saga(_step("waits", detached=True), loop, name="top", output="{{ steps.ship.output }}")

    async def scenario() -> tuple[bool, bool, Any, str]:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, children={"waits": WAITS}, continue_after_events=20)
            ended = await made.end(started)
            await replay(made.client, started.id)
            described = await made.client.get_workflow_handle(started.id).describe()
            child = f"{started.id}/ship"
            await _waits(made, child)
            lives = await _is_open(made, child)
            await sagas.signal(made.client, child, "go")
            return (
                described.run_id != started.run_id,
                lives,
                ended.output == child,
                (await runs.result(made.client, child)).status,
            )

    assert asyncio.run(scenario()) == (True, True, True, "completed")


def test_what_is_asked_of_a_parent_does_not_go_to_its_detached_child(server: Server) -> None:
    """R115: no pause, no path, no cancel; and it may migrate by itself, which no other child may."""
    definition = saga(_step("waits", detached=True), {"id": "hold", "wait_for": {"signal": "on"}}, name="top")
    newer = saga(act("x"), {"id": "ask", "wait_for": {"signal": "go"}}, act("z"), name="waits", version="2")

    async def scenario() -> tuple[Any, ...]:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, children={"waits": WAITS})
            child = f"{started.id}/ship"
            await _waits(made, child)
            found = await _until(made, started.id, lambda status: status["waiting_for"])
            paused = await decisions.operate(made.client, started.id, Verb.PAUSE)
            alone = (await runs.status(made.client, child))["paused"]
            await sagas.cancel(made.client, started.id)
            ended = await made.end(started)
            await replay(made.client, started.id)
            (ship,) = [each for each in (await runs.status(made.client, started.id))["steps"] if each["path"] == "ship"]
            package = await sagas.packed(made.client, newer, {})
            await migrating.migrate(made.client, child, package)
            await sagas.signal(made.client, child, "go")
            kid = await runs.result(made.client, child)
            assert ship["child"] == child
            return found["children"], paused.children, alone, ended, kid.status, made.begun

    children, told, alone, ended, kid, begun = asyncio.run(scenario())
    assert (list(children), list(told), alone) == ([], [], False)
    assert ended.status == "cancelled"
    assert (kid, begun) == ("completed", ["x", "z"])


def test_the_end_of_a_detached_child_is_nothing_to_its_parent(server: Server) -> None:
    """R115: its failure comes while the parent is open."""
    definition = saga(_step(detached=True), {"id": "hold", "wait_for": {"signal": "on"}}, act("b"), name="top")

    async def go(made: Stage, started: Started) -> None:
        kid = await _result(made, f"{started.id}/ship")
        assert kid == "compensated"
        await sagas.signal(made.client, started.id, "on")

    played = play(server.address, definition, {"do.y": no("Broke")}, act=go, children=[CHILD])

    assert (played.ended.status, played.calls) == ("completed", ["x", "y", "x.compensation", "b"])


async def _result(made: Stage, id_: str) -> str:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(SagaNotFound):  # it has not begun
                return (await runs.result(made.client, id_)).status
            await asyncio.sleep(0.05)


def test_a_cancel_leaves_an_abandoned_child_alone_and_undoes_the_rest(server: Server) -> None:
    """R116: the child goes on when the parent has ended, and completes."""
    definition = saga(act("a"), _step("waits", on_cancel="abandon", compensation={"activity": "undo.ship"}), name="top")

    async def stop(made: Stage, started: Started) -> None:
        await _waits(made, f"{started.id}/ship")
        await sagas.cancel(made.client, started.id)

    async def scenario() -> tuple[Any, ...]:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, children={"waits": WAITS})
            await stop(made, started)
            ended = await made.end(started)
            await replay(made.client, started.id)
            status = await runs.status(made.client, started.id)
            lives = await _is_open(made, f"{started.id}/ship")
            await sagas.signal(made.client, f"{started.id}/ship", "go")
            return ended, status, lives, await _result(made, f"{started.id}/ship"), made.begun, started.id

    ended, status, lives, kid, begun, id_ = asyncio.run(scenario())
    assert (ended.status, lives, kid) == ("cancelled", True, "completed")
    assert begun == ["a", "x", "a.compensation", "y"]
    ship = next(step for step in status["steps"] if step["path"] == "ship")
    assert (ship["status"], ship["outcome"], ship["child"]) == ("abandoned", "unknown", f"{id_}/ship")


def test_a_child_that_is_abandoned_in_the_moment_of_its_beginning_has_begun_or_not(server: Server) -> None:
    """R116, R2: what the status says of it is what the history says."""
    block = {"id": "p", "parallel": [_step("waits", on_cancel="abandon"), {"id": "f", "fail": {"type": "X"}}]}

    async def scenario() -> tuple[str, str, bool]:
        async with stage(server.address, {}) as made:
            started = await made.start(saga(block, name="top"), children={"waits": WAITS})
            ended = await made.end(started)
            await replay(made.client, started.id)
            steps = (await runs.status(made.client, started.id))["steps"]
            ship = next(step for step in steps if step["path"] == "p/ship")
            history = made.client.get_workflow_handle(started.id).fetch_history_events()
            asked = [
                1 async for event in history if event.HasField("child_workflow_execution_started_event_attributes")
            ]
            if asked:
                await sagas.terminate(made.client, f"{started.id}/p/ship", "the test is over")
            return ended.status, ship["status"], bool(asked)

    status, ship, has_begun = asyncio.run(scenario())
    assert status == "compensated"
    assert ship == ("abandoned" if has_begun else "cancelled")


@pytest.mark.parametrize("says", ["detached", "abandon", "wait"])
def test_a_parent_that_is_terminated_ends_only_children_that_belong_to_it(server: Server, says: str) -> None:
    """R115, R116, R47."""
    more: dict[str, Any] = {"detached": True} if says == "detached" else {"on_cancel": says}
    definition = saga(_step("waits", **more), {"id": "hold", "wait_for": {"signal": "on"}}, name="top")

    async def scenario() -> str:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, children={"waits": WAITS})
            child = f"{started.id}/ship"
            await _waits(made, child)
            await sagas.terminate(made.client, started.id, "away with it")
            if says != "wait":
                await sagas.signal(made.client, child, "go")
            return await _result(made, child)

    assert asyncio.run(scenario()) == ("cancelled" if says == "wait" else "completed")


def test_a_status_without_a_worker_names_the_step_of_a_child_with_a_chosen_id(server: Server) -> None:
    """R114: only the history tells then."""
    number = _number()

    async def scenario() -> list[tuple[str, str]]:
        async with stage(server.address, {}) as made:
            started = await made.start(saga(_chosen(number, "waits"), name="top"), children={"waits": WAITS})
            await _waits(made, number)
            client = made.client
        found = (await following.picture(client, started.id)).status
        await sagas.terminate(client, started.id, "the test is over")
        return [(step["path"], step["status"]) for step in found["steps"]]

    assert asyncio.run(scenario()) == [("ship", "running")]


def test_a_long_chosen_id_fails_its_step(server: Server) -> None:
    """R113, R56: PostgreSQL takes 255 characters, and never says so to a parent."""
    definition = saga(act("a"), _chosen("{{ 300 | range | map('string') | join('') }}"), name="top")

    played = play(server.address, definition, children=[CHILD])

    assert (played.ended.status, played.report["failure"]["type"]) == ("compensated", "ExpressionError")
    assert played.calls == ["a", "a.compensation"]
