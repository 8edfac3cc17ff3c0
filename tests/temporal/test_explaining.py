"""Runs told in sentences, as far as that needs their histories."""

from __future__ import annotations

import asyncio
import re

import pytest

from sagadsl.engine.facts import NOTHING_GIVEN, Given
from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask.decisions import operate
from sagadsl.temporal.read.explaining import explain
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, saga, slow
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


def test_what_a_person_decided_about_is_told_with_its_error(server: Server) -> None:
    """R61 to R63, R22: the state forgets an error with the decision about it, and the history has it."""
    participants = {
        "do.train": no("NoSeat"),
        "hotel": no("Full"),
        "hotel#2": no("Closed"),
        "hotel#3": gives(1),
        "do.meal": no("Burnt"),
        "do.end": no("Refused"),
        "undo.hotel": no("BankDown"),
    }
    trip = saga(*(act(each, on_error="pause") for each in ("train", "hotel", "meal")), act("end"), name="trip")

    async def scenario() -> list[str]:
        async with stage(server.address, participants) as made:
            started = await made.start(trip, {})

            async def decide(verb: Verb, path: str, occurrence: int = 1, given: Given = NOTHING_GIVEN) -> None:
                waits = {"path": path, "occurrence": occurrence}
                await made.until_status(
                    started, lambda found: any(waits.items() <= each.items() for each in found["attention"])
                )
                await operate(made.client, started.id, verb, Asked(path, "ann", "by phone", occurrence, given))

            await decide(Verb.COMPLETE_STEP, "train", given=Given(output=({"seat": 1},)))
            await decide(Verb.RETRY_STEP, "hotel")
            await decide(Verb.RETRY_STEP, "hotel", 2)
            await decide(Verb.SKIP_STEP, "meal")
            await decide(Verb.SKIP_STEP, "hotel.compensation")
            await made.end(started)
            _, sentences = await explain(made.client, started.id)
            return [re.sub(r" at 20\S+Z", "", each) for each in sentences]

    sentences = asyncio.run(scenario())
    assert sentences[1:] == [
        "`hotel` succeeded.",
        "Then `end` failed: Refused: Refused!.",
        "`train` was undone.",
        "`hotel` was left as it is, since it could not be undone: BankDown: BankDown!.",
        '`train` failed: NoSeat: NoSeat!; ann completed it by hand (with output {"seat": 1}): by phone.',
        "`hotel` failed: Full: Full!; ann retried it: by phone.",
        "`hotel` failed: Closed: Closed!; ann retried it: by phone.",
        "`meal` failed: Burnt: Burnt!; ann skipped it: by phone.",
        "ann skipped `hotel.compensation`: by phone.",
        "Still to undo by hand: `hotel`.",
    ]
