"""R134 with a codec that encrypts everything, and while workers of the release before it serve the same queue."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from sagadsl.temporal import client as sagas
from sagadsl.temporal import worker as building
from sagadsl.temporal.client import Started
from sagadsl.temporal.link.encryption import encrypting
from sagadsl.temporal.link.keys import EncryptionKey
from sagadsl.temporal.run.in_order import InOrder
from tests.conftest import Server
from tests.engine.scenes import act, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import Stage, play, replay, stage
from tests.temporal.test_in_turn import FAILED, questions

pytestmark = pytest.mark.temporal

KEY = EncryptionKey("one", b"1" * 32)
STEPS = [
    {"id": "go", "wait_for": {"signal": "go", "timeout": "1h"}},
    act("a", local=True),
    {"id": "then", "wait_for": {"signal": "then", "timeout": "1h"}},
    act("b", local=True),
    {"id": "last", "wait_for": {"signal": "last", "timeout": "1h"}},
    act("c", local=True),
]


class Before(InOrder):
    """Runs sagas as the release before R134 did: everything is heard as the SDK gives it."""

    def create_instance(self, det: Any) -> Any:
        made: Any = super().create_instance(det)
        made._turn = None
        return made


@contextlib.asynccontextmanager
async def of_before(address: str, queue: str, patch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """Open a stage with a worker of the release before."""
    with patch.context() as patched:
        patched.setattr(building, "_in_order", lambda *_: Before())
        opening = stage(address, queue=queue, codec=encrypting([KEY]))
        made = await opening.__aenter__()
    try:
        yield made
    finally:
        await opening.__aexit__(None, None, None)


def of_now(address: str, queue: str) -> contextlib.AbstractAsyncContextManager[Stage]:
    return stage(address, queue=queue, codec=encrypting([KEY]))


def test_what_an_encrypted_saga_has_lost_is_heard_first(server: Server) -> None:
    """A cancel during its last call loses the workflow task. The answer about it is encrypted like all data."""

    async def cancel(made: Stage, started: Started) -> None:
        await made.until("a")
        await sagas.signal(made.client, started.id, "go")
        await made.client.get_workflow_handle(started.id).cancel()

    never = {"id": "go", "if": "false", "wait_for": {"signal": "go", "timeout": "1h"}}
    definition = saga(act("a", local=True), never, act("b", local=True))

    played = play(server.address, definition, {"do.a": slow(0.5)}, act=cancel, codec=encrypting([KEY]))

    assert played.events.count(FAILED) == 1
    assert (played.ended.status, played.calls) == ("completed", ["a", "b"])
    assert asyncio.run(_asked(server.address, played.started.id)) == 1


async def _asked(address: str, saga: str) -> int:
    return await questions(await Client.connect(address), saga)


async def _with_two_signals(made: Any, other: Any) -> tuple[Started, list[str]]:
    """Bring a saga to its first wait by one worker; have another one hear two signals at once, as far as ``last``."""
    async with made as first:
        started = await first.start(saga(*STEPS))
        await first.until_status(started, lambda status: "go" in status["waiting_for"])
    for name in ("go", "then"):
        await sagas.signal(first.client, started.id, name)
    async with other as second:
        await second.until_status(started, lambda status: "last" in status["waiting_for"])
        return started, second.begun


async def _until_failed(made: Stage, saga: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            history = await made.client.get_workflow_handle(saga).fetch_history()
            if any(each.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED for each in history.events):
                return
            await asyncio.sleep(0.1)


def test_a_worker_of_before_leaves_a_saga_that_was_asked_to_those_of_now(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot replay the question. Its task fails before it has called anything, and comes to another worker."""

    async def main() -> tuple[int, list[str], list[str], str]:
        queue = f"q-{uuid.uuid4().hex[:12]}"
        started, _ = await _with_two_signals(of_now(server.address, queue), of_now(server.address, queue))
        async with of_before(server.address, queue, monkeypatch) as old:
            asked = await questions(old.client, started.id)
            await sagas.signal(old.client, started.id, "last")
            await _until_failed(old, started.id)
            async with of_now(server.address, queue) as new:
                ended = await new.end(started)
                await replay(new.client, started.id)
            return asked, old.begun, new.begun, ended.status

    assert asyncio.run(main()) == (1, [], ["c"], "completed")


def test_a_worker_of_now_goes_on_with_a_saga_that_nobody_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> tuple[list[str], list[str], int, str]:
        queue = f"q-{uuid.uuid4().hex[:12]}"
        started, begun = await _with_two_signals(
            of_now(server.address, queue), of_before(server.address, queue, monkeypatch)
        )
        asked = 0
        async with of_now(server.address, queue) as new:
            asked += await questions(new.client, started.id)
            await sagas.signal(new.client, started.id, "last")
            ended = await new.end(started)
            await replay(new.client, started.id)
            return begun, new.begun, asked, ended.status

    assert asyncio.run(main()) == (["a", "b"], ["c"], 0, "completed")
