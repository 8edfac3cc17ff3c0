"""A saga is never retried as a whole: its own rules say what is tried again and what is undone."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from tests.conftest import Server
from tests.engine.scenes import act, no, saga
from tests.temporal.play import stage

CHILD = saga(act("x"), name="child")
PARENT = saga(act("a"), {"id": "c", "saga": "child", "compensation": "auto"}, act("b"), name="parent")


async def _policies(address: str) -> dict[str, bool]:
    """Return for each run of a saga that fails, and of its child, whether a retry policy stands in its history."""
    async with stage(address, {"b": no("Broke")}) as made:
        started = await made.start(PARENT, children={"child": CHILD})
        await made.end(started)
        client: Client = made.client
        found = {}
        for id_ in (started.id, f"{started.id}/c"):
            history = await client.get_workflow_handle(id_).fetch_history()
            found[id_] = history.events[0].workflow_execution_started_event_attributes.HasField("retry_policy")
        return found


def test_neither_a_saga_nor_its_child_has_a_retry_policy(server: Server) -> None:
    """R57: a second run would do everything again, beside what the first has undone."""
    policies = asyncio.run(_policies(server.address))

    assert list(policies.values()) == [False, False]
