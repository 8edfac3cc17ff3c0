"""Runs told in sentences, as far as that needs their histories."""

from __future__ import annotations

import asyncio

import pytest

from sagadsl.temporal import client as sagas
from sagadsl.temporal.read.explaining import explain
from tests.conftest import Server
from tests.engine.scenes import act, saga, slow
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

FOUR_EYES = saga(
    {"id": "clerk", "wait_for": {"signal": "approve", "timeout": "100ms"}, "on_error": "continue"},
    act("prepare"),
    {"id": "boss", "wait_for": {"signal": "approve", "timeout": "1m"}},
    name="four_eyes",
)


def test_a_late_answer_that_the_next_wait_takes_is_told_with_its_time_and_its_sender(server: Server) -> None:
    """B12: the clerk's answer came too late, and was taken for the boss's."""

    async def scenario() -> list[str]:
        async with stage(server.address, {"do.prepare": slow(1)}) as made:
            started = await made.start(FOUR_EYES, {})
            await made.until("prepare")
            await sagas.signal(made.client, started.id, "approve", {"by": "clerk"})
            await made.end(started)
            _, sentences = await explain(made.client, started.id)
            return sentences

    sentences = asyncio.run(scenario())
    assert any(each.startswith("`clerk` waited in vain: SignalTimeout") for each in sentences)
    (taken,) = (each for each in sentences if each.startswith("`boss` took"))
    beginning = "`boss` took a signal `approve` that had come before it began to wait: at 20"
    assert taken.startswith(beginning)
    assert " from " in taken
