"""A saga that waits and gets many signals: it goes on in new runs before the server refuses more of them (R50)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.histories import runs_of
from sagadsl.temporal.read.trace import Trace, trace
from sagadsl.temporal.worker import TASK_SECONDS, SagaPlugin, build_worker
from tests.conftest import serving
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

MOST = 100
"""Signals that this server takes of one run, in place of 10,000; it suggests a new run after 40 events, not 4,096."""

BATCH = 25
COUNTING: dict[str, Any] = {
    "sagadsl": 1,
    "name": "counting",
    "version": "1",
    "input": {"type": "integer"},
    "steps": [
        {
            "id": "all",
            "repeat": {"while": "state.n < input", "state": {"n": 0}, "next": {"n": "{{ state.n + 1 }}"}},
            "steps": [{"id": "one", "wait_for": {"signal": "tick", "timeout": "1h"}}],
            "output": "{{ state.n }}",
        }
    ],
    "output": "{{ steps.all.output }}",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    limits = (f"history.maximumSignalsPerExecution={MOST}", "limit.historyCount.suggestContinueAsNew=40")
    with serving(tmp_path_factory.mktemp("signals") / "server.log", *limits) as address:
        yield address


def test_a_saga_takes_more_signals_than_one_run_may_have(address: str) -> None:
    """More than twice as many, each taken once."""
    count = 2 * MOST + BATCH

    async def play() -> tuple[runs.Ended, bool]:
        client = await Client.connect(address)
        queue = f"signals-{uuid.uuid4()}"
        async with build_worker(client, task_queue=queue), asyncio.timeout(PATIENCE):
            started = await sagas.start(client, COUNTING, count, task_queue=queue)
            for sent in range(0, count, BATCH):
                for _ in range(BATCH):
                    await sagas.signal(client, started.id, "tick")
                if sent + BATCH < count:
                    while _taken(status := await runs.status(client, started.id)) < sent + BATCH:
                        await asyncio.sleep(0.05)
            return await runs.result(client, started.id), status["run_id"] != started.run_id

    ended, went_on = asyncio.run(play())

    assert (ended.status, ended.output, went_on) == ("completed", count, True)


def test_the_histories_and_the_trace_of_a_saga_are_what_the_server_still_has(address: str) -> None:
    """It deletes a run some days after it has ended, also when the saga goes on."""

    async def play() -> tuple[int, int, Trace, Trace]:
        client = await Client.connect(address)
        queue = f"deleted-{uuid.uuid4()}"
        async with build_worker(client, task_queue=queue), asyncio.timeout(PATIENCE):
            started = await sagas.start(client, COUNTING, BATCH, task_queue=queue)
            for _ in range(BATCH):
                await sagas.signal(client, started.id, "tick")
            await runs.result(client, started.id)
            before, whole = await _histories(client, started.id), await trace(client, started.id)
            first = WorkflowExecution(workflow_id=started.id, run_id=started.run_id)
            request = DeleteWorkflowExecutionRequest(namespace="default", workflow_execution=first)
            await client.workflow_service.delete_workflow_execution(request)
            while (after := await _histories(client, started.id)) == before:
                await asyncio.sleep(0.1)
            return before, after, whole, await trace(client, started.id)

    before, after, whole, left = asyncio.run(play())

    assert (before - after, after > 0) == (1, True)
    assert (whole.lacks_beginning, whole.input) == (False, BATCH)
    assert (left.lacks_beginning, left.input) == (True, None)
    assert 0 < len(left.outside) < len(whole.outside)


async def _histories(client: Client, id_: str) -> int:
    return len([each async for each in runs_of(client, id_)])


def _taken(status: Any) -> int:
    waits = [path for paths in status["waiting_for"].values() for path in paths]
    return int(waits[0].partition("[")[2].partition("]")[0]) if waits else 0


def test_a_saga_without_a_worker_takes_so_many_and_the_next_sender_is_told(address: str) -> None:
    """Nobody may believe that it came."""

    async def play() -> tuple[int, str]:
        client = await Client.connect(address)
        started = await sagas.start(client, COUNTING, MOST, task_queue=f"nobody-{uuid.uuid4()}")
        for sent in range(MOST + 1):
            try:
                await sagas.signal(client, started.id, "tick")
            except RPCError as error:
                return sent, str(error)
        return MOST + 1, ""

    sent, said = asyncio.run(play())

    assert sent == MOST
    assert "signal" in said


@pytest.mark.parametrize("how", ["ours", "of somebody's own"])
def test_a_worker_takes_no_long_task_for_a_deadlock(address: str, how: str) -> None:
    """2 seconds are the SDK's. 9,900 signals that came while no worker was there are 3 seconds of CPU in one task,
    which was given up and begun again for ever."""

    async def limit() -> float | None:
        client = await Client.connect(address)
        queue = f"long-{uuid.uuid4()}"
        made = (
            build_worker(client, task_queue=queue)
            if how == "ours"
            else Worker(client, task_queue=queue, plugins=[SagaPlugin()])
        )
        async with made, asyncio.timeout(PATIENCE):
            started = await sagas.start(client, COUNTING, 1, task_queue=queue)
            await sagas.signal(client, started.id, "tick")
            assert (await runs.result(client, started.id)).status == "completed"
            assert made._workflow_worker is not None
            return made._workflow_worker._deadlock_timeout_seconds

    assert asyncio.run(limit()) == TASK_SECONDS
