"""Sagas that answer before their end (R103)."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import pytest
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask.answers import EarlyAnswer, early_answer
from sagadsl.temporal.read import runs
from sagadsl.temporal.wire.arguments import RunOptions
from tests.cli.shell import sagadsl
from tests.conftest import Server
from tests.engine.scenes import act, no, plain, saga
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

WAIT = {"id": "rest", "wait_for": {"signal": "go", "timeout": "1h"}}


def test_whoever_has_started_a_saga_gets_its_answer_and_the_saga_goes_on(server: Server) -> None:
    """The answer stays: in the status of the open saga, and when the saga has failed after it."""
    definition = saga(act("a"), {"id": "yes", "answer": {"order": "{{ saga.id }}"}}, WAIT, plain("b"), name="answering")

    async def scenario() -> None:
        async with stage(server.address, {"do.b": no()}, definitions=[definition]) as made:
            started = await made.start(definition)
            answered = EarlyAnswer(started.id, {"order": started.id})
            assert await early_answer(made.client, started.id) == answered
            status = await runs.status(made.client, started.id)
            assert (status["status"], status["answer"]) == ("running", answered.value)
            await sagas.signal(made.client, started.id, "go")
            assert (await made.end(started)).status == "compensated"
            assert await early_answer(made.client, started.id) == answered

    asyncio.run(scenario())


def test_any_client_may_start_a_saga_and_wait_for_its_answer_in_one_request(server: Server) -> None:
    definition = saga({"id": "yes", "answer": 7}, name="answering")

    async def scenario() -> None:
        async with stage(server.address, definitions=[definition]) as made:
            start = WithStartWorkflowOperation(
                "answering",
                None,
                id=f"t-{uuid.uuid4().hex[:12]}",
                task_queue=made.queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            )
            said = await made.client.execute_update_with_start_workflow("early_answer", start_workflow_operation=start)
            assert said == {"answer": 7}

    asyncio.run(scenario())


def test_whoever_waits_for_an_answer_that_never_comes_is_told_of_the_end(server: Server) -> None:
    definition = saga(WAIT, name="silent")

    async def scenario() -> None:
        async with stage(server.address, definitions=[definition]) as made:
            started = await made.start(definition)
            waiting = asyncio.ensure_future(early_answer(made.client, started.id))
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            await sagas.signal(made.client, started.id, "go")
            assert await waiting is None
            assert await early_answer(made.client, started.id) is None

    asyncio.run(scenario())


def test_run_prints_the_early_answer_and_leaves_the_saga_running(server: Server, tmp_path: Path) -> None:
    queue = f"q-{uuid.uuid4().hex[:12]}"
    definition = saga({"id": "yes", "answer": {"n": "{{ input.n }}"}}, WAIT, name="answering", task_queue=queue)
    (tmp_path / "answering.saga.yaml").write_text(json.dumps(definition), encoding="utf-8")
    order = ("run", "answering.saga.yaml", "--input", '{"n": 5}', "--until-answer", "--json")

    ran = sagadsl(*order, "--worker", "--address", server.address, cwd=tmp_path)

    assert (ran.code, json.loads(ran.out)["answer"]) == (0, {"n": 5})


LONG = saga(
    *(plain(f"s{n}") for n in range(8)),
    {"id": "yes", "answer": {"n": "{{ input.n }}"}},
    *(plain(f"t{n}") for n in range(8)),
    WAIT,
    name="long",
)
"""It goes on in a new run before it answers, and after it has answered."""


def test_whoever_waits_while_a_saga_goes_on_in_new_runs_gets_its_answer_and_so_does_who_asks_later(
    server: Server,
) -> None:
    """R103."""

    async def scenario() -> None:
        async with stage(server.address, definitions=[LONG]) as made:
            started = await made.start(LONG, {"n": 5}, continue_after_events=12)
            waiting = [asyncio.ensure_future(early_answer(made.client, started.id)) for _ in range(3)]
            said = EarlyAnswer(started.id, {"n": 5})
            assert await asyncio.gather(*waiting) == [said] * 3
            answered = (await made.client.get_workflow_handle(started.id).describe()).run_id
            status = await made.until_status(started, lambda found: bool(found.get("waiting_for")))
            assert status["run_id"] not in (started.run_id, answered)
            assert status["answer"] == said.value
            assert await early_answer(made.client, started.id) == said
            await sagas.signal(made.client, started.id, "go")
            assert (await made.end(started)).status == "completed"
            assert await early_answer(made.client, started.id) == said

    asyncio.run(scenario())


def test_run_until_answer_goes_along_with_a_saga_that_goes_on_in_new_runs(server: Server, tmp_path: Path) -> None:
    """R103: the command follows the saga, not the run that it has started."""

    async def scenario() -> None:
        short = RunOptions(continue_after_events=12)
        async with stage(server.address, definitions=[LONG], options=short) as made:
            id_ = f"t-{uuid.uuid4().hex[:12]}"
            order = ("run", "long", "--input", '{"n": 5}', "--id", id_, "--task-queue", made.queue)
            ran = await asyncio.to_thread(
                sagadsl, *order, "--until-answer", "--json", "--address", server.address, cwd=tmp_path
            )
            assert (ran.code, json.loads(ran.out)["answer"]) == (0, {"n": 5}), ran
            described = await made.client.get_workflow_handle(id_).describe()
            began = described.raw_description.workflow_execution_info
            assert began.first_run_id != began.execution.run_id
            await sagas.cancel(made.client, id_)
            assert (await runs.result(made.client, id_)).status == "cancelled"

    asyncio.run(scenario())
