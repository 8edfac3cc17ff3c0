"""Secrets that come from elsewhere than the input: from operators, from a definition that the saga goes on with, in the
keys of data, from runs that the server keeps no longer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from sagadsl.engine.facts import Given, How
from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import migrating, recovery, signalling
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import describe
from sagadsl.temporal.read.secrets import end_shown
from sagadsl.temporal.read.trace import trace
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.wire.arguments import SECRETS
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import gives, no, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Stage, replay, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

CARD = "hush-card-4111"
MARKS = {"do.pay": {"input": [["pin"]], "output": [["token"]]}}
INPUT = {"type": "object", "properties": {"card": {"type": "string", "x-secret": True}}}
PLAIN_INPUT = {"type": "object", "properties": {"card": {"type": "string"}}}


async def _shown(client: Client, id: str) -> str:
    """Return what is shown of a saga without asking for its secrets."""
    traced = (await trace(client, id)).as_json()
    told = [traced, await runs.status(client, id)]
    if not (await describe(client, id)).is_open:
        told.append((await end_shown(client, await runs.result(client, id))).as_json())
    return json.dumps(told, ensure_ascii=False)


def test_what_operators_give_is_hidden_where_the_models_of_activities_mark_it(server: Server) -> None:
    """At its place, however short; also an input that another one has replaced since."""
    definition = saga(
        plain("pay", input={"pin": "0000"}, on_error="pause"),
        plain("use", input="{{ steps.pay.output }}"),
        output="{{ steps.pay.output }}",
    )

    async def scenario() -> tuple[str, Any, str]:
        async with stage(server.address, {"do.pay": no()}) as made:
            started = await made.start(definition, secrets=MARKS)
            for number, given in enumerate(
                (
                    Given(input=({"pin": "hush-pin-one"},)),
                    Given(input=({"pin": "1+"},)),
                    Given(output=({"token": "hush-token", "last": "4111"},)),
                ),
                start=1,
            ):
                status = await made.until_status(started, lambda found: bool(found["attention"]))
                (waits,) = status["attention"]
                verb = Verb.COMPLETE_STEP if given.output else Verb.RETRY_STEP
                await sagas.operate(
                    made.client, started.id, verb, Asked("pay", "ann", "w", waits["occurrence"], given=given)
                )
                await made.until_status(started, lambda found, seen=number: len(found["actions"]) == seen)
                if not given.output:
                    await made.until_status(
                        started,
                        lambda found, seen=waits["occurrence"]: (
                            bool(found["attention"]) and found["attention"][0]["occurrence"] != seen
                        ),
                    )
            await made.end(started)
            shown = await _shown(made.client, started.id)
            open_ = await trace(made.client, started.id, secrets=True)
            await replay(made.client, started.id)
            return shown, await runs.status(made.client, started.id), json.dumps(open_.as_json())

    shown, status, open_ = asyncio.run(scenario())
    assert "hush" not in shown
    assert "1+" not in shown
    assert '"last": "4111"' in shown
    assert [each["gave"] for each in status["actions"]] == [
        'input {"pin": "***"}',
        'input {"pin": "***"}',
        'output {"last": "4111", "token": "***"}',
    ]
    assert {"hush-pin-one", "hush-token"} <= {word for word in open_.split('"') if word.startswith("hush")}


def test_a_saga_that_migrates_hides_what_either_definition_marks(server: Server) -> None:
    """The new one marks what an activity gives, and no longer the input: what was recorded before stays hidden."""
    waits = {"id": "ask", "wait_for": {"signal": "go"}}
    old = saga(waits, input=INPUT)
    new = saga(
        waits,
        plain("pay"),
        plain("f", on_error="pause", input={"t": "{{ steps.pay.output.token }}"}),
        input=PLAIN_INPUT,
        output={"card": "{{ input.card }}", "token": "{{ steps.pay.output.token }}"},
        version="2",
    )

    async def scenario() -> tuple[str, str, bool]:
        async with stage(server.address, {"do.pay": gives({"token": "hush-token"}), "do.f": no()}) as made:
            started = await made.start(old, {"card": CARD})
            await made.until_status(started, lambda found: "go" in found["waiting_for"])
            package = await sagas.packed(made.client, new, {}, MARKS)
            found = await migrating.migrate(made.client, started.id, package, by=CARD)
            assert found.outcome == "migrated"
            await signalling.signal(made.client, started.id, "go")
            await made.until_status(started, lambda found: bool(found["attention"]))
            why = f"{CARD} with hush-token"
            await sagas.operate(made.client, started.id, Verb.SKIP_STEP, Asked("f", "ann", why))
            await made.end(started)
            status = await runs.status(made.client, started.id)
            await replay(made.client, started.id)
            memo = (await describe(made.client, started.id)).memo
            return await _shown(made.client, started.id), status["actions"][-1]["why"], memo.get(SECRETS, False)

    shown, why, has = asyncio.run(scenario())
    assert "hush-token" not in shown
    assert f'"input": {{"card": "{CARD}"}}' not in shown
    assert f'"card": "{CARD}"' not in shown
    assert why == "*** with ***"
    assert has is True


def test_a_reply_to_a_signal_is_shown_without_secrets(server: Server) -> None:
    wait = {"id": "ask", "wait_for": {"signal": "go", "reply": {"for": "{{ input.card }}"}}}

    async def scenario() -> tuple[Any, Any]:
        async with stage(server.address, {}) as made:
            started = await made.start(saga(wait, input=INPUT), {"card": CARD})
            await made.until_status(started, lambda found: "go" in found["waiting_for"])
            sent = await signalling.signal(made.client, started.id, "go", request="r1")
            await made.end(started)
            return sent.reply, (await signalling.reply_shown(made.client, sent)).reply

    assert asyncio.run(scenario()) == ({"for": CARD}, {"for": "***"})


def test_an_activity_is_told_no_key_of_data(server: Server) -> None:
    """The header with the places of secrets is not encrypted. Names that the definition has itself may stand there."""
    steps = [plain("a", input={"by": "{{ input.by }}", "of": {"card": "{{ input.card }}"}})]
    properties = {"card": {"x-secret": True}, "by": {"additionalProperties": {"x-secret": True}}}
    definition = saga(*steps, input={"type": "object", "properties": properties})

    async def scenario() -> str:
        async with stage(server.address, {"do.a": no()}) as made:
            started = await made.start(definition, {"card": CARD, "by": {"ann@x.example": CARD, CARD: "hush-2"}})
            await made.end(started)
            history = await made.client.get_workflow_handle(started.id).fetch_history()
            (scheduled,) = [
                each.activity_task_scheduled_event_attributes
                for each in history.events
                if each.HasField("activity_task_scheduled_event_attributes")
            ]
            return scheduled.header.fields["sagadsl-hidden"].data.decode()

    assert sorted(json.loads(asyncio.run(scenario()))) == [["by", "*"], ["by", "*keys"], ["of", "card"]]


async def _delete(client: Client, id: str, run_id: str) -> None:
    """Have the server forget one run, as the end of the retention does."""
    run = WorkflowExecution(workflow_id=id, run_id=run_id)
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=run)
    await client.workflow_service.delete_workflow_execution(request)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await describe(client, id, run_id=run_id)
            except SagaNotFound:
                return
            await asyncio.sleep(0.05)


async def _taken_up(made: Stage, id: str) -> None:
    await sagas.terminate(made.client, id, "x")
    plan = await recovery.look(made.client, id, "recover", How.FORWARD, waits=True)
    made.script = {}
    await recovery.take_up(made.client, plan, by="ann", why=f"for {CARD}", waits=True)


STEPS = (plain("b", input={"x": "n {{ input.card }}"}), plain("c", input={"c": "{{ input.card }}"}))


def test_a_run_hides_what_a_run_hid_that_the_server_keeps_no_longer(server: Server) -> None:
    """What it has taken up tells of the secrets."""

    async def scenario() -> tuple[str, str]:
        async with stage(server.address, {"do.b": slow(PATIENCE)}) as made:
            started = await made.start(saga(*STEPS, input=INPUT, output="{{ input.card }}"), {"card": CARD})
            await made.until("b")
            first = (await describe(made.client, started.id)).run_id
            await _taken_up(made, started.id)
            await made.end(started)
            await _delete(made.client, started.id, first)
            open_ = await trace(made.client, started.id, secrets=True)
            return await _shown(made.client, started.id), json.dumps(open_.as_json())

    shown, open_ = asyncio.run(scenario())
    assert CARD not in shown
    assert CARD in open_


def test_all_is_hidden_of_a_run_that_nobody_knows_the_secrets_of(server: Server) -> None:
    """It was to take up the work of a run that is gone, and no worker has read that one."""

    async def scenario() -> str:
        async with stage(server.address, {"do.b": slow(PATIENCE)}) as made:
            started = await made.start(saga(*STEPS, input=INPUT), {"card": CARD})
            await made.until("b")
            first = (await describe(made.client, started.id)).run_id
            await sagas.terminate(made.client, started.id, "x")
            plan = await recovery.look(made.client, started.id, "recover", How.FORWARD, waits=True)
        async with stage(server.address, {}, queue=f"{made.queue}-other") as other:  # nobody serves the queue any more
            await recovery.take_up(other.client, plan, by="ann", why="w", waits=True)
            await _delete(other.client, started.id, first)
            await other.client.get_workflow_handle(started.id).signal("go", f"with {CARD}")
            traced = await trace(other.client, started.id)
            await sagas.terminate(other.client, started.id, "x")
            return json.dumps(traced.as_json())

    shown = asyncio.run(scenario())
    assert CARD not in shown
    assert '"data": "***"' in shown


def test_a_saga_whose_first_runs_are_gone_hides_what_its_state_holds(server: Server) -> None:
    loop = {"id": "rows", "for_each": {"items": "{{ [1, 2, 3, 4, 5, 6, 7, 8] }}"}, "steps": [plain("row")]}
    definition = saga(loop, plain("c", input={"c": "{{ input.card }}"}), input=INPUT, output="of {{ input.card }}")

    async def scenario() -> tuple[str, bool]:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, {"card": CARD}, continue_after_events=20)
            await made.end(started)
            assert (await describe(made.client, started.id)).run_id != started.run_id
            await _delete(made.client, started.id, started.run_id)
            traced = await trace(made.client, started.id)
            return await _shown(made.client, started.id), traced.lacks_beginning

    shown, lacks = asyncio.run(scenario())
    assert lacks
    assert CARD not in shown
    assert '"output": "of ***"' in shown
