"""Which sagas wait for a person, on a real server: by a decision, by a pause, by Temporal's own pause."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest
from temporalio.client import Client

from sagadsl.engine.facts import How
from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import recovery
from sagadsl.temporal.read.filters import Chosen
from sagadsl.temporal.read.waiting import Waiting, killed, waiting
from tests.conftest import Server
from tests.engine.scenes import act, no, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


async def _until(client: Client, chosen: Chosen, count: int) -> Waiting:
    """Ask until the index knows of so many incidents: it lags behind."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = await waiting(client, chosen)
        if len(found.incidents) == count or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.2)


def test_what_waits_is_found_with_its_step_and_error(server: Server) -> None:
    name = f"waits_{uuid.uuid4().hex[:8]}"
    definition = saga(act("a"), {"id": "go", "wait_for": {"signal": "go"}}, act("b"), name=name)
    broken = {"do.b": no("Refused"), "undo.a": no("BankDown")}

    async def scenario() -> tuple[list[str], Waiting, Waiting]:
        async with stage(server.address, broken, definitions=[definition]) as made:
            ids = []
            for _ in range(3):
                started = await made.start(definition, {}, by_name=True)
                ids.append(started.id)
            undoing, paused, _running = ids
            await sagas.signal(made.client, undoing, "go", None)
            await sagas.operate(made.client, paused, Verb.PAUSE)
            found = await _until(made.client, Chosen(((name,),)), 2)
            nothing = await waiting(made.client, Chosen((("nothing_of_this_name",),)))
            for each in ids:
                await made.client.get_workflow_handle(each).terminate()
            return ids, found, nothing

    (undoing, paused, _), found, nothing = asyncio.run(scenario())
    assert sorted((each.id, each.path, each.kind, each.type) for each in found.incidents) == sorted(
        [(undoing, "a.compensation", "decision", "BankDown"), (paused, "", "paused", "")]
    )
    assert (found.unanswered, found.has_more) == (0, False)
    assert nothing.incidents == ()


def test_no_more_sagas_are_looked_at_than_asked_for(server: Server) -> None:
    name = f"many_{uuid.uuid4().hex[:8]}"
    definition = saga({"id": "go", "wait_for": {"signal": "go"}}, name=name)

    async def scenario() -> tuple[Waiting, Waiting]:
        async with stage(server.address, definitions=[definition]) as made:
            ids = [(await made.start(definition, {}, by_name=True)).id for _ in range(3)]
            for each in ids:
                await sagas.operate(made.client, each, Verb.PAUSE)
            whole = await _until(made.client, Chosen(((name,),)), 3)
            part = await waiting(made.client, Chosen(((name,),)), most=2)
            for each in ids:
                await made.client.get_workflow_handle(each).terminate()
            return whole, part

    whole, part = asyncio.run(scenario())
    assert (len(whole.incidents), whole.has_more) == (3, False)
    assert (len(part.incidents), part.has_more) == (2, True)


def test_sagas_that_were_killed_are_counted_until_somebody_has_taken_up_their_work(server: Server) -> None:
    """R31: nothing of theirs waits, and what they have done is not undone."""
    name = f"killed_{uuid.uuid4().hex[:8]}"
    definition = saga(act("a"), {"id": "go", "wait_for": {"signal": "go"}}, name=name)

    async def scenario() -> tuple[dict[str, int], dict[str, int]]:
        async with stage(server.address, definitions=[definition]) as made:
            ids = []
            for _ in range(2):
                started = await made.start(definition, {}, by_name=True)
                await made.until_status(started, lambda found: "go" in found["waiting_for"])
                await sagas.terminate(made.client, started.id, "x")
                ids.append(started)
            before = await _killed(made.client, name, 2)
            plan = await recovery.look(made.client, ids[0].id, "recover", How.UNDO, waits=True)
            await made.end(await recovery.take_up(made.client, plan, by="ann", why="w", waits=True))
            return before, await _killed(made.client, name, 1)

    assert asyncio.run(scenario()) == ({"terminated": 2}, {"terminated": 1})


async def _killed(client: Client, name: str, wanted: int) -> dict[str, int]:
    """The index hears of it some time later."""
    async with asyncio.timeout(PATIENCE):
        while (found := await killed(client, Chosen(((name,),)))) != {"terminated": wanted}:
            await asyncio.sleep(0.2)
    return found
