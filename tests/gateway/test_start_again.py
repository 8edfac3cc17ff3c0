"""A start over HTTP that no worker has begun: the same request begins it anew, under the same key or id."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client

from sagadsl.language.document import parse
from sagadsl.temporal.worker import build_worker
from tests.conftest import Server
from tests.gateway.house import House, fresh, serve, shop

pytestmark = pytest.mark.temporal


@activity.defn(name="charge")
async def charge(_: Any = None) -> dict[str, str]:
    return {"charge_id": "c"}


@activity.defn(name="ship")
async def ship(_: Any = None) -> dict[str, str]:
    return {"tracking": "t"}


@asynccontextmanager
async def working(address: str, queue: str, **how: Any) -> AsyncIterator[None]:
    """Run a worker that waits for no other."""
    client = await Client.connect(address)
    how = {"activities": [charge, ship], "patience": timedelta(0), "drain": timedelta(0)} | how
    async with build_worker(client, task_queue=queue, **how):
        yield


async def _post(house: House, **headers: str) -> Any:
    answer = await asyncio.to_thread(house.ask, "POST", "/sagas/order", {"order": "1"}, **headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def _end(house: House, saga: str) -> Any:
    return (await asyncio.to_thread(house.ask, "GET", f"/sagas/{saga}/result?wait=30s")).json()


@pytest.mark.parametrize("chosen", ["Idempotency_Key", "Workflow_Id"])
@pytest.mark.parametrize(
    ("options", "why"),
    [((), "InlineDefinitionRefused"), (("--by-name",), "DefinitionNotFound")],
    ids=["refused", "unknown"],
)
def test_a_repeat_of_a_start_that_was_not_begun_begins_it(
    server: Server, tmp_path: Path, chosen: str, options: tuple[str, ...], why: str
) -> None:
    """By a worker that refuses it, or that does not know it; the next one does. Then the key is that run's for good."""
    folder, queue = shop(tmp_path), f"anew-{uuid.uuid4()}"
    definition = parse((folder / "order.saga.yaml").read_bytes())[0].data
    headers = {chosen: fresh()}

    async def scenario(house: House) -> list[Any]:
        async with working(server.address, queue, inline=False):
            refused = await _post(house, **headers)
            ended = await _end(house, refused["id"])
        assert (ended["status"], ended["report"]["failure"]["type"], ended["report"]["begun"]) == (
            "compensated",
            why,
            False,
        )
        async with working(server.address, queue, definitions={"order": definition}):
            begun = await _post(house, **headers)
            again = await _post(house, **headers)
            ended = await _end(house, begun["id"])
            after = await _post(house, **headers)
        assert (ended["status"], ended["output"]) == ("completed", {"tracking": "t"})
        return [refused, begun, again, after]

    with serve(folder, server.address, "--task-queue", queue, *options) as house:
        refused, begun, again, after = asyncio.run(scenario(house))

    assert len({each["id"] for each in (refused, begun, again, after)}) == 1
    assert [each["repeated"] for each in (refused, begun, again, after)] == [False, False, True, True]
    assert refused["run_id"] != begun["run_id"]
    assert begun["run_id"] == again["run_id"] == after["run_id"]
