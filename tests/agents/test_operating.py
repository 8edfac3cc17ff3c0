"""What a language model may do to sagas when somebody has allowed it, on a real server; and who has done it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.model import Model, with_model
from tests.cli.test_operate import QUEUE, Shop, serving_shop
from tests.conftest import Server

pytestmark = pytest.mark.temporal


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield from serving_shop(server, tmp_path_factory.mktemp("shop"))


def test_a_model_starts_a_saga_and_decides_about_it(shop: Shop, tmp_path: Path) -> None:
    """The history keeps its name and its reason; what is not allowed stays refused."""
    broken, log, saga = tmp_path / "broken", tmp_path / "log", f"by-model-{uuid.uuid4()}"
    broken.touch()
    given = {"order": "7", "how": "fail", "broken": str(broken)}

    async def work(model: Model) -> None:
        offered = {each.name for each in (await model.client.list_tools()).tools}
        assert {"start", "retry", "signal"} <= offered
        assert not {"cancel", "abort", "recover"} & offered
        started = await model.ask(
            "start", saga="order.saga.yaml", id=saga, task_queue=QUEUE, input=given, why="order 7 is due"
        )
        assert started["id"] == saga
        waiting = await model.until(lambda found: found["status"] == "paused", "status", id=saga)
        assert waiting["id"] == saga
        assert "`why` is missing" in await model.refused("retry", id=saga)
        broken.unlink()
        retried = await model.ask("retry", id=saga, step="charge.compensation", why="the bank is back")
        assert retried["verb"] == "retry_step"
        await model.until(lambda found: found["status"] == "compensated", "status", id=saga)
        told = await model.ask("explain_run", id=saga)
        assert any("ann's agent" in each and "the bank is back" in each for each in told["sentences"]), told
        assert "is over" in (text := await model.refused("retry", id=saga, why="again")), text
        listed = await model.until(lambda found: len(found["sagas"]) == 1, "list", query=f"WorkflowId = '{saga}'")
        assert listed["sagas"][0]["id"] == saga
        traced = await model.ask("trace", id=saga)
        assert traced["input"]["order"] == "7"

    allowed = ("--allow", "start,retry", "--allow=signal", "--as", "ann's agent", "--address", shop.address)
    with_model(work, shop.folder, *allowed, log=log)

    assert f"ann's agent: retry {saga}: exit code 0" in log.read_text()


def test_a_model_signals_and_cancels(shop: Shop) -> None:
    saga, other = (f"signalled-{uuid.uuid4()}" for _ in range(2))
    given = {"order": "1", "wait": True}

    async def work(model: Model) -> None:
        for each in (saga, other):
            await model.ask("start", saga="order.saga.yaml", id=each, task_queue=QUEUE, input=given, why="due")
        awaited = await model.until(lambda found: bool(found["signals"][0]["waits"]), "awaited_signals", id=saga)
        assert awaited["signals"][0]["signal"] == "approve"
        sent = await model.ask("signal", id=saga, name="approve", payload={"ok": True}, why="looks fine", request="one")
        assert sent["id"] == saga
        await model.until(lambda found: found["status"] == "completed", "status", id=saga)
        planned = json.loads(await model.refused("redrive", id=saga, dry_run=True, why="look"))
        assert planned["error"]["code"] == "SD974"
        asked = await model.ask("cancel", id=other, why="the customer has changed her mind")
        assert asked["requested"] == "cancel"
        await model.until(lambda found: found["status"] == "cancelled", "status", id=other)

    with_model(work, shop.folder, "--operate", "--address", shop.address)
