"""Calls of `on_pause` on a real server: when the saga goes on, when it ends, when it goes over into a new run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from itertools import count
from typing import Any

import pytest

from sagadsl.engine.facts import How
from sagadsl.engine.verbs import Verb
from sagadsl.status.narrative import sentences
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import recovery
from sagadsl.temporal.client import Asked, Started
from sagadsl.temporal.link.shown import SettingsUnusable
from sagadsl.temporal.read import runs
from tests.conftest import Server
from tests.engine.scenes import act, flaky, no, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import Stage, play, replay, stage
from tests.temporal.test_recovery import kill, recover

pytestmark = pytest.mark.temporal

TELL = {"id": "tell", "activity": "mail.send", "input": "{{ pause.link }}"}
ASKS = saga(act("a"), act("b", on_error="pause"), name="asks", on_pause=[TELL])
TOLD = "on_pause[0]/tell"


def _waits(times: int, status: Mapping[str, Any]) -> bool:
    return [each["occurrence"] for each in status["attention"]] == [times]


async def _decide(made: Stage, started: Started, verb: Verb) -> None:
    await sagas.operate(made.client, started.id, verb, Asked("b", "ann", "because"))


def test_a_call_outlives_the_saga_and_the_status_says_that_nobody_has_heard_of_its_end(server: Server) -> None:
    """R64: the saga does not wait for it, and does not cancel it."""

    async def scene() -> None:
        async with stage(server.address, {"b": no(), TOLD: slow(2)}) as made:
            started = await made.start(ASKS)
            await made.until(TOLD)
            await _decide(made, started, Verb.SKIP_STEP)
            ended = await made.end(started)

            assert ended.status == "completed"
            assert TOLD not in made.ended
            status = await made.until_status(started, lambda found: found["status"] == "completed")
            assert [each["status"] for each in status["notices"]] == ["unknown"]
            async with asyncio.timeout(PATIENCE):
                while TOLD not in made.ended:
                    await asyncio.sleep(0.05)
            assert made.cancelled == []
            await replay(made.client, started.id)

    asyncio.run(scene())


def test_a_call_that_fails_for_good_is_told_and_the_saga_goes_on(server: Server) -> None:
    """R64: its attempts are used up, as its policy says."""
    tell = {**TELL, "retry": {"maximum_attempts": 2, "initial_interval": "10ms"}}

    async def skip(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: found.get("notices", [{}])[0].get("status") == "failed")
        await _decide(made, started, Verb.SKIP_STEP)

    played = play(server.address, {**ASKS, "on_pause": [tell]}, {"b": no(), TOLD: flaky("Mute")}, act=skip)

    assert played.ended.status == "completed"
    (notice,) = played.status["notices"]
    assert (notice["path"], notice["attempts"], notice["error"]["type"]) == ("b", 2, "Mute")
    assert played.status["other_errors"] == []
    assert played.begun == ["a", "b", TOLD, f"{TOLD}@2"]


def test_a_new_run_begins_an_open_call_again_with_its_key(server: Server) -> None:
    """R50, R64: continue-as-new does not wait for it."""
    definition = {**ASKS, "on_pause": [{**TELL, "timeouts": {"start_to_close": "10m"}}]}

    async def until_the_next_run(made: Stage, started: Started) -> None:
        await made.until(TOLD)
        for times in count(1):
            found = await made.until_status(started, partial(_waits, times))
            if found["run_id"] != started.run_id:
                break
            await _decide(made, started, Verb.RETRY_STEP)
        async with asyncio.timeout(PATIENCE):
            while len(made.keys[TOLD]) < 2:
                await asyncio.sleep(0.05)
        await _decide(made, started, Verb.ABORT)

    played = play(
        server.address,
        definition,
        {"do.b": no(), "mail.send": slow(500)},
        act=until_the_next_run,
        options={"continue_after_events": 30},
    )

    assert played.ended.status == "compensated"
    key = f"{played.started.id}/{TOLD}/do"
    assert played.stage.keys[TOLD] == [key, key]
    assert {each["status"] for each in played.status["notices"]} == {"unknown"}


def test_a_killed_saga_counts_no_such_call_among_its_effects(server: Server) -> None:
    """R31, R64: neither what the server tells nor the new run says that it would have to be undone, or looked after."""

    async def scene() -> None:
        async with stage(server.address, {"b": no(), TOLD: slow(500)}) as made:
            started = await made.start(ASKS)
            await made.until(TOLD)
            await made.until_status(started, lambda found: bool(found["attention"]))
            await kill(made, started)
            killed = await runs.status(made.client, started.id)
            assert [each["status"] for each in killed["notices"]] == ["unknown"]
            assert list(sentences(killed))[-3:-1] == [
                "Not undone: `a`.",
                "Nobody knows whether it stands: `b`.",
            ]
            prospect = await recovery.look(made.client, started.id, "recover", How.UNDO)
            assert ([each.call for each in prospect.plan.calls], prospect.plan.unknown) == (["a.compensation"], ())
            ended = await made.end(await recover(made, started))
            assert ended.status == "compensated"
            assert made.begun == ["a", "b", TOLD, "a.compensation"]

    asyncio.run(scene())


def test_a_call_knows_where_the_page_is_as_the_run_has_pinned_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R48: a child saga has the address too; another address of the worker changes nothing."""
    parent = saga({"id": "kid", "saga": "asks"}, name="parent")
    monkeypatch.setenv("SAGADSL_PAGE", "https://sagas.example.com/")

    async def elsewhere(made: Stage, started: Started) -> None:
        monkeypatch.setenv("SAGADSL_PAGE", "https://other.example.com")
        await made.until(TOLD)
        await sagas.cancel(made.client, started.id)

    played = play(server.address, parent, {"b": no()}, act=elsewhere, children=[ASKS])

    assert played.stage.sent[TOLD] == f"https://sagas.example.com/#/sagas/{played.started.id}%2Fkid"


@pytest.mark.parametrize(
    "page", ["sagas.example.com", "https://sagas example.com", "https://sagas.example.com/#/sagas"]
)
def test_an_address_that_is_none_starts_nothing(server: Server, monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setenv("SAGADSL_PAGE", page)

    with pytest.raises(SettingsUnusable, match="which is no address of a page"):
        play(server.address, saga(plain("a")))
