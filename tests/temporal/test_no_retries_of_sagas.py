"""A saga is never retried or ended as a whole by the server: its own rules say what is tried again and undone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio.api.history.v1 import WorkflowExecutionStartedEventAttributes
from temporalio.client import Client

from tests.conftest import Server
from tests.engine.scenes import act, no, saga
from tests.temporal.play import stage

CHILD = saga(act("x"), name="child", timeout="1h")
PARENT = saga(act("a"), {"id": "c", "saga": "child", "compensation": "auto"}, act("b"), name="parent", timeout="1h")


async def _begun(address: str) -> list[WorkflowExecutionStartedEventAttributes]:
    """Return how each run begins of a saga that fails, and of its child."""
    async with stage(address, {"b": no("Broke")}) as made:
        started = await made.start(PARENT, children={"child": CHILD})
        await made.end(started)
        client: Client = made.client
        histories = [await client.get_workflow_handle(id_).fetch_history() for id_ in (started.id, f"{started.id}/c")]
        return [each.events[0].workflow_execution_started_event_attributes for each in histories]


def test_neither_a_saga_nor_its_child_has_a_retry_policy(server: Server) -> None:
    """R57: a second run would do everything again, beside what the first has undone."""
    assert [each.HasField("retry_policy") for each in asyncio.run(_begun(server.address))] == [False, False]


def test_the_timeout_of_a_saga_is_a_timer_of_its_own_and_no_limit_of_the_server(server: Server) -> None:
    """R32: the server would end the run, and nothing would be undone. It writes 0 for no limit."""
    limits = [
        (each.workflow_execution_timeout.ToTimedelta(), each.workflow_run_timeout.ToTimedelta())
        for each in asyncio.run(_begun(server.address))
    ]

    assert limits == [(timedelta(0), timedelta(0))] * 2
