"""Queries that a definition declares (R104)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read.questions import ask
from sagadsl.temporal.refusals import QueryRefused
from sagadsl.virtual.calls import Attempt
from tests.cli.shell import sagadsl
from tests.conftest import Server
from tests.engine.scenes import plain, saga
from tests.temporal.play import SDK_RACE, events, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

QUERIES = {
    "progress": {"paid": "{{ steps.a.status == 'completed' }}", "number": "{{ steps.b.output.number }}"},
    "share": "{{ 1 / input.parts }}",
}
WAIT = {"id": "rest", "wait_for": {"signal": "go", "timeout": "1h"}}


def test_a_run_answers_the_queries_of_its_definition_before_and_after_its_end(server: Server, tmp_path: Path) -> None:
    """R104: what has not run reads as null; a query that cannot be computed fails alone, and none is in the history."""
    definition = saga(plain("a"), WAIT, plain("b"), name="asked", queries=QUERIES)

    async def scenario() -> None:
        async with stage(server.address, {"do.b": Attempt(output={"number": 7})}, definitions=[definition]) as made:
            started = await made.start(definition, {"parts": 0})
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            before = len(await events(made.client.get_workflow_handle(started.id)))
            assert await ask(made.client, started.id, "progress") == {"paid": True, "number": None}
            with pytest.raises(QueryRefused, match="cannot be computed now: "):
                await ask(made.client, started.id, "share")
            with pytest.raises(QueryRefused, match="not found; its queries are `progress`, `share`"):
                await ask(made.client, started.id, "progres")
            assert len(await events(made.client.get_workflow_handle(started.id))) == before
            await sagas.signal(made.client, started.id, "go")
            assert (await made.end(started)).status == "completed"
            told = {"paid": True, "number": 7}
            assert await made.client.get_workflow_handle(started.id).query("progress") == told
            ran = await asyncio.to_thread(
                sagadsl, "query", started.id, "progress", "--json", "--address", server.address, cwd=tmp_path
            )
            assert ran.code == 0, ran
            assert json.loads(ran.out)["answer"] == told

    asyncio.run(scenario())
