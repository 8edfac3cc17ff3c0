"""Secrets of a saga that another run takes up, and in what a saga answers early: nobody sees them without asking."""

from __future__ import annotations

import asyncio
import json

import pytest

from sagadsl.engine.facts import How
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import recovery
from sagadsl.temporal.ask.answers import answer_shown, early_answer
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.secrets import end_shown
from sagadsl.temporal.read.trace import trace
from tests.conftest import Server
from tests.engine.scenes import plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

CARD = "4111_hush_9999"
INPUT = {"type": "object", "properties": {"card": {"type": "string", "x-secret": True}}, "required": ["card"]}


def test_a_run_that_takes_up_the_work_of_another_one_hides_what_that_one_hid(server: Server) -> None:
    steps = (plain("b", input={"x": "n {{ input.card }}"}), plain("c", input={"c": "{{ input.card }}"}))

    async def scenario() -> tuple[str, str, str]:
        async with stage(server.address, {"do.b": slow(PATIENCE)}) as made:
            started = await made.start(saga(*steps, input=INPUT, output="{{ input.card }}"), {"card": CARD})
            await made.until("b")
            await sagas.terminate(made.client, started.id, "x")
            plan = await recovery.look(made.client, started.id, "recover", How.FORWARD, waits=True)
            made.script = {}
            taken_up = await recovery.take_up(made.client, plan, by="ann", why="w", waits=True)
            await made.end(taken_up)
            told = await trace(made.client, started.id)
            open_ = await trace(made.client, started.id, secrets=True)
            end = await end_shown(made.client, await runs.result(made.client, started.id))
            return json.dumps(told.as_json()), json.dumps(open_.as_json()), json.dumps(end.as_json())

    told, shown, end = asyncio.run(scenario())
    assert CARD not in told
    assert CARD not in end
    assert CARD in shown


def test_an_early_answer_and_the_page_of_temporals_web_ui_hide_them(server: Server) -> None:
    """A sign of Markdown in the value is escaped only after the value was looked for."""
    fails = {"id": "f", "fail": {"type": "Bad", "message": "no {{ input.card }} here"}}
    definition = saga(plain("a"), {"id": "says", "answer": "for {{ input.card }}"}, fails, input=INPUT)

    async def scenario() -> tuple[str, str]:
        async with stage(server.address, {}) as made:
            started = await made.start(definition, {"card": CARD})
            answer = await early_answer(made.client, started.id)
            assert answer is not None
            await made.end(started)
            handle = made.client.get_workflow_handle(started.id)
            page = str(await handle.query("__temporal_workflow_metadata"))
            return (await answer_shown(made.client, answer)).value, page

    answer, page = asyncio.run(scenario())
    assert answer == "for ***"
    assert "no \\\\*\\\\*\\\\* here" in page or "no *** here" in page
    assert "hush" not in page
