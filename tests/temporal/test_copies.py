"""`forget` names who still keeps what the forgotten saga got or gave: its parent, another saga, a schedule."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import asked
from sagadsl.temporal.refusals import SagaNotFound
from tests.cli.shell import Ran, inside
from tests.conftest import Server
from tests.engine.scenes import act, gives, plain, saga
from tests.patience import PATIENCE
from tests.temporal.nightly import at_rest, scheduled, triggered
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

KID = saga(plain("toy", input="{{ input }}"), name="kid", output="{{ steps.toy.output }}")
PARENT = saga({"id": "kid", "saga": "kid", "input": "{{ input }}"}, name="parent")


async def _forgotten(server: Server, id: str, *more: str) -> Ran:
    words = ("forget", id, "--why", "asked", "--yes", "--address", server.address, *more)
    ran = await asyncio.to_thread(inside, *words)
    assert ran.code == 0, ran.err
    return ran


def _kept_by(ran: Ran) -> Any:
    return json.loads(ran.out)["kept_by"]


def test_the_parent_of_a_child_keeps_what_that_got_and_gave(server: Server) -> None:
    async def scenario() -> tuple[str, Ran, Ran]:
        async with stage(server.address, {"do.toy": gives("bear")}) as made:
            started = await made.start(PARENT, "for ann", children={"kid": KID})
            await made.end(started)
            kid = await _forgotten(server, f"{started.id}/kid")
            return started.id, kid, await _forgotten(server, started.id, "--json")

    id_, kid, parent = asyncio.run(scenario())
    assert kid.out == f"forgotten: {id_}/kid, 1 run\n"
    assert f"`{id_}` got or gave the same data, and keeps it in its history: forget that, too" in kid.err
    assert _kept_by(parent) == []


def test_a_parent_that_has_gone_on_in_a_new_run_keeps_it_also_when_its_first_run_is_gone(server: Server) -> None:
    """As after the retention of that run. Its newest run has the child's output in its state."""
    items = {"id": "rows", "for_each": {"items": "{{ [1, 2, 3, 4, 5, 6, 7, 8] }}"}, "steps": [plain("row")]}
    parent = saga({"id": "kid", "saga": "kid", "input": "{{ input }}"}, items, name="parent")

    async def scenario() -> tuple[str, Ran]:
        async with stage(server.address, {"do.toy": gives("bear")}) as made:
            started = await made.start(parent, "for ann", children={"kid": KID}, continue_after_events=12)
            await made.end(started)
            kid = f"{started.id}/kid"
            above = (await asked(made.client, kid, None)).workflow_execution_info.parent_execution.run_id
            newest = (await asked(made.client, started.id, None)).workflow_execution_info.execution.run_id
            assert above != newest
            await _delete(made.client, started.id, above)
            return started.id, await _forgotten(server, kid, "--json")

    id_, kid = asyncio.run(scenario())
    assert _kept_by(kid) == [id_]


async def _delete(client: Client, id: str, run_id: str) -> None:
    of = WorkflowExecution(workflow_id=id, run_id=run_id)
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=of)
    await client.workflow_service.delete_workflow_execution(request)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await asked(client, id, run_id)
            except SagaNotFound:
                return
            await asyncio.sleep(0.2)


def test_a_saga_that_was_sent_data_keeps_it(server: Server) -> None:
    """And so does the one that sent it."""
    waits = saga({"id": "ask", "wait_for": {"signal": "go"}}, name="waits")
    tells = saga({"id": "tell", "send": {"signal": "go", "to": "{{ input.to }}", "payload": {"card": "7"}}})

    async def scenario() -> tuple[list[str], list[Ran]]:
        async with stage(server.address, {}) as made:
            pairs = [(await made.start(waits), made) for _ in range(2)]
            sent = [await made.start(tells, {"to": got.id}) for got, _ in pairs]
            for each in (*sent, *(got for got, _ in pairs)):
                await made.end(each)
            ids = [sent[0].id, pairs[0][0].id, sent[1].id, pairs[1][0].id]
            found = [await _forgotten(server, ids[0], "--json"), await _forgotten(server, ids[3], "--json")]
            return ids, found

    ids, found = asyncio.run(scenario())
    assert [_kept_by(each) for each in found] == [[ids[1]], [ids[2]]]


def test_a_schedule_keeps_the_result_until_its_next_run_and_that_one_keeps_it_then(server: Server) -> None:
    """The run after that begins with another result, though it is the same text."""
    definition = saga(act("a"), output="of ann", name="nightly")

    async def scenario() -> tuple[str, list[str], list[Ran]]:
        async with stage(server.address, {}, definitions=[definition]) as made:
            name = f"nightly-{uuid4().hex}"
            schedule = await scheduled(made, name, "nightly", None)
            ids = []
            for number in (1, 2, 3):
                ids.append(await triggered(schedule, number))
                await runs.result(made.client, ids[-1])
                await at_rest(schedule)
            found = [await _forgotten(server, ids[0], "--json"), await _forgotten(server, ids[2])]
            await schedule.delete()
            return name, ids, found

    name, ids, (first, last) = asyncio.run(scenario())
    assert _kept_by(first) == [ids[1]]
    assert f"schedule `{name}` keeps the result for its next run" in last.err


def test_a_schedule_keeps_nothing_of_a_saga_without_an_output(server: Server) -> None:
    async def scenario() -> Ran:
        async with stage(server.address, {}, definitions=[saga(act("a"), name="nightly", output=None)]) as made:
            schedule = await scheduled(made, f"nightly-{uuid4().hex}", "nightly", None)
            id_ = await triggered(schedule, 1)
            await runs.result(made.client, id_)
            await at_rest(schedule)
            ran = await _forgotten(server, id_)
            await schedule.delete()
            return ran

    assert "keeps" not in asyncio.run(scenario()).err
