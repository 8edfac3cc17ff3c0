"""Which ids and keys a worker without anything of sagadsl receives: the table of ``docs/other-languages.md``."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from sagadsl.engine.facts import NOTHING_GIVEN, Given
from sagadsl.engine.verbs import Verb
from sagadsl.language.paths import key_of_activity_id
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Asked, Started
from tests.conftest import Server
from tests.temporal.play import Stage, stage

PAGE = Path(__file__).parents[2] / "docs" / "other-languages.md"
PART = PAGE.read_text("utf-8").split("## Ids and keys")[1].split("\n## ")[0]
ROWS: list[tuple[str, str]] = re.findall(r"^\| `([^`]+)` \| `(order-7[^`]+)` \|", PART, re.M)
KEY = "{{ idempotency_key }}"


def _definition(queue: str) -> dict[str, Any]:
    undo = [
        {"activity": "stock.note", "task_queue": queue, "input": KEY},
        {"activity": "stock.release", "task_queue": queue, "input": KEY},
    ]
    reserve = {"id": "reserve", "activity": "stock.reserve", "task_queue": queue, "input": KEY, "compensation": undo}
    pay = {
        "id": "pay",
        "activity": "bank.pay",
        "task_queue": queue,
        "input": KEY,
        "on_error": "pause",
        "compensation": {"activity": "bank.pay_back", "task_queue": queue, "input": KEY},
    }
    return {
        "sagadsl": 1,
        "name": "ids",
        "defaults": {"retry": "none", "compensation": {"retry": "none"}},
        "steps": [
            {"id": "lines", "for_each": {"items": "[1]"}, "steps": [reserve]},
            pay,
            {"id": "end", "fail": {"type": "Over", "message": "all is undone"}},
        ],
        "on_pause": [{"id": "tell", "activity": "mail.send", "task_queue": queue, "input": KEY}],
    }


async def _received(address: str) -> list[tuple[str, str]]:
    """Play both runs of the saga of the table; return each call that its worker received, with the key in its input."""
    seen: dict[str, str] = {}

    @activity.defn(dynamic=True)
    async def anything(args: Sequence[RawValue]) -> None:
        call = activity.info().activity_id
        seen[call] = activity.payload_converter().from_payload(args[0].payload)
        if call in ("pay", "pay#2", "pay@3.compensation"):
            raise ApplicationError("no", type="Refused", non_retryable=True)

    client, queue = await Client.connect(address), f"q-{uuid.uuid4().hex[:12]}"
    async with stage(address) as made, Worker(client, task_queue=queue, activities=[anything]):
        started = await made.start(_definition(queue))
        await _decide(made, started, "pay", 1)
        await _decide(made, started, "pay", 2, Given(new_key=True))
        await _decide(made, started, "pay.compensation", 1)
        assert (await made.end(started)).status == "compensated"
        again = await made.start(_definition(queue), id=started.id)
        assert (await made.end(again)).status == "compensated"
    return [(call, key.replace(started.id, "order-7")) for call, key in seen.items()]


async def _decide(made: Stage, started: Started, path: str, occurrence: int, given: Given = NOTHING_GIVEN) -> None:
    def waits(status: Any) -> bool:
        return [(each["path"], each["occurrence"]) for each in status["attention"]] == [(path, occurrence)]

    await made.until_status(started, waits)
    await sagas.operate(made.client, started.id, Verb.RETRY_STEP, Asked(path, "ann", "because", occurrence, given))


@pytest.mark.temporal
def test_a_foreign_worker_receives_the_ids_and_keys_of_the_table(server: Server) -> None:
    """R49. The token is another one at each start."""
    received = asyncio.run(_received(server.address))
    token = next(call.partition("~")[2] for call, _ in received if "~" in call)

    assert len(ROWS) == 9
    shown = [(call.replace("4f1c09a2be", token), key.replace("4f1c09a2be", token)) for call, key in ROWS]
    assert [row for row in shown if row not in received] == []


@pytest.mark.parametrize(
    ("call", "key"), [*ROWS, ("pay.probe", "order-7/pay/do"), ("a.on_error/b#2", "order-7/a.on_error/b/do")]
)
def test_a_worker_can_make_the_key_of_the_two_ids(call: str, key: str) -> None:
    """By the function that the page shows."""
    (text,) = re.findall(r"^```python\n(.*?)^```", PART, re.M | re.S)
    shown: dict[str, Any] = {}
    exec(text, shown)  # it is our own page

    assert shown["key"]("order-7", call) == key_of_activity_id("order-7", call) == key
