"""What the server's index, and so every list, knows of sagas: however they were started, however they ended."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from sagadsl.temporal import client as sagas
from sagadsl.temporal.attributes import SAGA_NAME, SAGA_STATUS, SAGA_VERSION
from tests.conftest import Server
from tests.engine.scenes import act, no, saga
from tests.temporal.play import SDK_RACE, Stage, events, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

BY_NAME = saga(act("a"), act("b"), name="by_name", version="3", compensation={"on_failure": "continue"})


async def foreign(made: Stage, name: str, *arguments: Any) -> WorkflowHandle[Any, Any]:
    """Start a saga as a client in another language, or a schedule, does: by its name, with nothing beside it."""
    return await made.client.start_workflow(
        name, args=arguments, id=f"f-{uuid.uuid4().hex[:12]}", task_queue=made.queue
    )


async def ends(handle: WorkflowHandle[Any, Any]) -> None:
    async with asyncio.timeout(30):
        try:
            await handle.result()
        except WorkflowFailureError:
            return


async def known(handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
    """Return what the index has of a run."""
    described = await handle.describe()
    found = {key.name: described.typed_search_attributes.get(key) for key in (SAGA_NAME, SAGA_VERSION, SAGA_STATUS)}
    return {**{key: value for key, value in found.items() if value}, "memo": await described.memo()}


def test_a_saga_by_its_name_carries_what_the_others_carry(server: Server) -> None:
    """Whoever started it: a client in another language, ours by name, or ours with the definition at hand."""

    async def scene() -> list[tuple[dict[str, Any], int]]:
        broken = {"do.b": no("Refused"), "undo.a": no("BankDown")}
        async with stage(server.address, broken, definitions=[BY_NAME]) as made:
            by_us = await sagas.start(made.client, "by_name", {}, task_queue=made.queue)
            known_to_us = await made.start(BY_NAME, {}, by_name=True)
            inline = await made.start(BY_NAME, {})
            theirs = await foreign(made, "by_name", {})
            handles = [made.client.get_workflow_handle(each.id) for each in (by_us, known_to_us, inline)]
            found = []
            for handle in (theirs, *handles):
                await ends(handle)
                found.append((await known(handle), len(await events(handle))))
            return found

    (theirs, _), (by_us, _), (known_to_us, by_name_events), (inline, inline_events) = asyncio.run(scene())

    attributes = {"SagaName": "by_name", "SagaVersion": "3", "SagaStatus": "failed"}
    for each in (theirs, by_us, known_to_us, inline):
        memo = each.pop("memo")
        assert each == attributes
        assert (memo["saga"], memo["version"], len(memo["digest"])) == ("by_name", "3", 64)
    assert by_name_events == inline_events + 1  # the definition's marker alone


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("by_name", ({"nope": 1}, None, None, None)), ("no_such", ({},)), ("by_name", ({}, {"sagadsl": 1}))],
)
def test_a_run_that_was_refused_can_be_found(server: Server, name: str, arguments: tuple[Any, ...]) -> None:
    """B10: a schedule that starts a saga with a mistake."""

    async def scene() -> tuple[dict[str, Any], str]:
        async with stage(server.address, definitions=[BY_NAME]) as made:
            handle = await foreign(made, name, *arguments)
            await ends(handle)
            return await known(handle), (await sagas.status(made.client, handle.id))["status"]

    found, status = asyncio.run(scene())
    assert found["memo"]["saga"] == name
    assert status == "compensated"


def test_a_saga_that_is_cancelled_before_its_definition_is_read_is_cancelled(server: Server) -> None:
    """N4, R26."""

    async def scene() -> tuple[dict[str, Any], str, str]:
        client = await Client.connect(server.address)
        queue = f"n4-{uuid.uuid4()}"
        handle = await client.start_workflow("by_name", {}, id=queue, task_queue=queue)
        await handle.cancel()
        async with stage(server.address, definitions=[BY_NAME], queue=queue) as made:
            await ends(handle)
            status = await sagas.status(made.client, handle.id)
            return await known(handle), status["status"], status["close_status"]

    found, status, closed = asyncio.run(scene())
    assert found["memo"]["saga"] == "by_name"
    assert (status, closed) == ("cancelled", "canceled")
