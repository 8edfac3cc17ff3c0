"""`forget` names who still keeps what the forgotten saga got or gave: its parent, another saga, a schedule."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from sagadsl.temporal.read import runs
from tests.cli.shell import Ran, inside
from tests.conftest import Server
from tests.engine.scenes import act, gives, plain, saga
from tests.temporal.nightly import at_rest, scheduled, triggered
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

KID = saga(plain("toy", input="{{ input }}"), name="kid", output="{{ steps.toy.output }}")
PARENT = saga({"id": "kid", "saga": "kid", "input": "{{ input }}"}, name="parent")


async def _forgotten(server: Server, id: str, *more: str) -> Ran:
    words = ("forget", id, "--why", "asked", "--yes", "--address", server.address, *more)
    ran = await asyncio.to_thread(inside, *words)
    assert ran.code == 0, ran.err
    return ran


def _kept_by(ran: Ran) -> Any:
    return json.loads(ran.out)["kept_by"]


def test_the_parent_of_a_child_keeps_what_that_got_and_gave(server: Server) -> None:
    async def scenario() -> tuple[str, Ran, Ran]:
        async with stage(server.address, {"do.toy": gives("bear")}) as made:
            started = await made.start(PARENT, "for ann", children={"kid": KID})
            await made.end(started)
            kid = await _forgotten(server, f"{started.id}/kid")
            return started.id, kid, await _forgotten(server, started.id, "--json")

    id_, kid, parent = asyncio.run(scenario())
    assert kid.out == f"forgotten: {id_}/kid, 1 run\n"
    assert f"`{id_}` got or gave the same data, and keeps it in its history: forget that, too" in kid.err
    assert _kept_by(parent) == []


def test_a_saga_that_was_sent_data_keeps_it(server: Server) -> None:
    """And so does the one that sent it."""
    waits = saga({"id": "ask", "wait_for": {"signal": "go"}}, name="waits")
    tells = saga({"id": "tell", "send": {"signal": "go", "to": "{{ input.to }}", "payload": {"card": "7"}}})

    async def scenario() -> tuple[list[str], list[Ran]]:
        async with stage(server.address, {}) as made:
            pairs = [(await made.start(waits), made) for _ in range(2)]
            sent = [await made.start(tells, {"to": got.id}) for got, _ in pairs]
            for each in (*sent, *(got for got, _ in pairs)):
                await made.end(each)
            ids = [sent[0].id, pairs[0][0].id, sent[1].id, pairs[1][0].id]
            found = [await _forgotten(server, ids[0], "--json"), await _forgotten(server, ids[3], "--json")]
            return ids, found

    ids, found = asyncio.run(scenario())
    assert [_kept_by(each) for each in found] == [[ids[1]], [ids[2]]]


def test_a_schedule_keeps_the_result_until_its_next_run_and_that_one_keeps_it_then(server: Server) -> None:
    definition = saga(act("a"), output="of ann", name="nightly")

    async def scenario() -> tuple[str, list[str], list[Ran]]:
        async with stage(server.address, {}, definitions=[definition]) as made:
            name = f"nightly-{uuid4().hex}"
            schedule = await scheduled(made, name, "nightly", None)
            ids = []
            found = []
            for number in (1, 2):
                ids.append(await triggered(schedule, number))
                await runs.result(made.client, ids[-1])
                await at_rest(schedule)
            found.append(await _forgotten(server, ids[0], "--json"))
            found.append(await _forgotten(server, ids[1]))
            await schedule.delete()
            return name, ids, found

    name, ids, (first, second) = asyncio.run(scenario())
    assert _kept_by(first) == [ids[1]]
    assert f"schedule `{name}` keeps the result for its next run" in second.err
