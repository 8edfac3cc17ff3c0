"""A change of the encryption key under sagas that go over into another run: what is written anew has the new key."""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import Any

import pytest
from temporalio.client import Client

from sagadsl.temporal.ask import recovery
from sagadsl.temporal.link.encryption import encrypting
from sagadsl.temporal.link.keys import EncryptionKey
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

ONE, TWO = EncryptionKey("one", b"1" * 32), EncryptionKey("two", b"2" * 32)
USED = re.compile(rb"encryption-key-id\x12\x03(one|two)")


async def _used(client: Client, id_: str, run_id: str, *, memo: bool = True) -> set[bytes]:
    """Return the keys that a run's history names, or without the memo that its start has."""
    history = await client.get_workflow_handle(id_, run_id=run_id).fetch_history()
    if not memo:
        history.events[0].workflow_execution_started_event_attributes.ClearField("memo")
    return set(USED.findall(b"".join(event.SerializeToString() for event in history.events)))


def test_a_redrive_writes_with_the_new_key_what_the_old_one_has_left(server: Server) -> None:
    script: dict[str, Any] = {"a": gives(1), "bad": no()}
    steps = (act("a"), plain("bad", on_error=[{"then": "stop"}]), act("c"))
    definition = saga(*steps, output="{{ steps.a.output }}", name="again")
    queue = f"q-{uuid.uuid4()}"

    async def scenario() -> None:
        async with stage(server.address, script, codec=encrypting([ONE]), queue=queue) as made:
            started = await made.start(definition)
            assert (await made.end(started)).status == "failed"
        async with stage(server.address, codec=encrypting([TWO, ONE]), queue=queue) as made:
            prospect = await recovery.look(made.client, started.id, "redrive")
            new = await recovery.take_up(made.client, prospect, by="ann")
            ended = await made.end(new)
            assert (ended.status, ended.output, made.begun) == ("completed", 1, ["bad#2", "c"])
            assert await _used(made.client, started.id, started.run_id) == {b"one"}
            assert await _used(made.client, new.id, new.run_id) == {b"two"}

    asyncio.run(scenario())


def test_continue_as_new_writes_with_the_new_key_except_for_the_memo_that_the_server_keeps(server: Server) -> None:
    wait = {"id": "w", "wait_for": {"signal": "go", "timeout": "1h"}}
    steps = [act("s0"), wait, *(act(f"s{number}") for number in range(1, 7))]
    definition = saga(*steps, output="{{ steps.s0.output }}", name="over")
    queue = f"q-{uuid.uuid4()}"

    async def scenario() -> None:
        async with stage(server.address, {"s0": gives("kept")}, codec=encrypting([ONE]), queue=queue) as made:
            started = await made.start(definition, continue_after_events=20)
            await made.until_status(started, lambda status: bool(status["waiting_for"]))
        async with stage(server.address, codec=encrypting([TWO, ONE]), queue=queue) as made:
            handle = made.client.get_workflow_handle(started.id)
            await handle.signal("go", 1)
            ended = await made.end(started)
            last = (await handle.describe()).run_id
            assert (ended.status, ended.output) == ("completed", "kept")
            assert last != started.run_id
            assert await _used(made.client, started.id, started.run_id) == {b"one", b"two"}
            assert await _used(made.client, started.id, last, memo=False) == {b"two"}
            assert await _used(made.client, started.id, last) == {b"one", b"two"}

    asyncio.run(scenario())
