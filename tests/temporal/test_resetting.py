"""An open saga goes back to a step, on a real server: the histories replay. R80, R81."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import decisions, resetting
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import NotPossible
from sagadsl.temporal.wire.requests import Asked
from sagadsl.virtual.calls import Attempt
from tests.conftest import Server
from tests.engine.scenes import act, beats, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import Stage, play

pytestmark = pytest.mark.temporal

WAIT = {"id": "approval", "wait_for": {"signal": "approved"}}


async def _back(made: Stage, started: Started, to: str) -> None:
    await decisions.operate(made.client, started.id, Verb.RESET, Asked(to, "ann", "again"))


def test_a_saga_that_waits_goes_back_and_on_with_new_keys(server: Server) -> None:
    """R81: a loop and a parallel block are gone back over as a whole."""
    loop = {"id": "each", "for_each": {"items": "[1, 2]"}, "steps": [act("x")]}
    definition = saga(act("a"), {"id": "both", "parallel": [act("b"), act("c")]}, loop, WAIT, act("d"))

    async def act_out(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda status: bool(status["waiting_for"]))
        plan = await resetting.preview(made.client, started.id, "both")
        assert plan.undo == ("each[1]/x", "each[0]/x", "both/c", "both/b")
        with pytest.raises(NotPossible, match="go back to `both`"):
            await resetting.preview(made.client, started.id, "both/c")
        await _back(made, started, "both")
        await made.until("each[1]/x@2#2")
        await made.until_status(started, lambda status: bool(status["waiting_for"]))
        await sagas.signal(made.client, started.id, "approved")

    played = play(server.address, definition, act=act_out)
    assert played.ended.status == "completed"
    assert played.stage.keys["each[0]/x@2#2"] == [f"{played.started.id}/each[0]/x@2/do"]
    assert played.stage.sent["each[0]/x.compensation"] == {"key": f"{played.started.id}/each[0]/x/do"}


def test_a_call_in_flight_is_told_to_stop_and_a_cancel_on_the_way_back_undoes_all(server: Server) -> None:
    """R12, R25, R81."""
    definition = saga(act("a"), act("b"), beats("c"), act("d"))

    async def act_out(made: Stage, started: Started) -> None:
        await made.until("c")
        await _back(made, started, "b")
        await made.until("c.compensation")
        status = await runs.status(made.client, started.id)
        assert (status["status"], status["returning_to"]) == ("compensating", "b")
        with pytest.raises(NotPossible, match="it goes back to `b` already"):
            await _back(made, started, "a")
        await sagas.cancel(made.client, started.id)

    script = {"c": Attempt(takes=60), "c.compensation": Attempt(takes=2)}
    played = play(server.address, definition, script, act=act_out)
    assert played.ended.status == "cancelled"
    undone = [step["path"] for step in played.status["steps"] if step.get("compensation", {}).get("status") == "done"]
    assert undone == ["a", "b", "c"]


def test_a_saga_that_continues_as_new_on_the_way_back_goes_on_from_the_step(server: Server) -> None:
    """R50, R81."""
    definition = saga(act("a"), act("b"), act("c"), WAIT, plain("d"))

    async def act_out(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda status: bool(status["waiting_for"]))
        await _back(made, started, "a")
        await made.until("c@2#2")
        await made.until_status(started, lambda status: bool(status["waiting_for"]))
        await sagas.signal(made.client, started.id, "approved")

    played = play(server.address, definition, act=act_out, options={"continue_after_events": 12})
    assert played.ended.status == "completed"
    undone = [f"{each}.compensation" for each in "cba"]
    assert played.begun == ["a", "b", "c", *undone, *(f"{each}@2#2" for each in "abc"), "d"]


def test_a_reset_may_lead_into_a_child_saga(server: Server) -> None:
    """R81: the path of the child itself is a step of its parent."""
    child = saga(act("x"), WAIT, name="child")

    async def act_out(made: Stage, started: Started) -> None:
        trip = f"{started.id}/trip"
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(Exception):
                    if (await runs.status(made.client, trip))["waiting_for"]:
                        break
                await asyncio.sleep(0.05)
        inside = await resetting.preview(made.client, started.id, "trip/x")
        assert (inside.to, inside.undo) == ("trip/x", ("trip/x",))
        whole = await resetting.preview(made.client, started.id, "trip")
        assert (whole.to, whole.stops) == ("trip", ("trip",))
        await _back(made, started, "trip/x")
        await made.until("x@2#2")
        async with asyncio.timeout(PATIENCE):
            while not (await runs.status(made.client, trip)).get("waiting_for"):
                await asyncio.sleep(0.05)
        await sagas.signal(made.client, trip, "approved")

    definition = saga(act("a"), {"id": "trip", "saga": "child", "compensation": "auto"}, name="parent")
    played = play(server.address, definition, act=act_out, children=[child])
    assert played.ended.status == "completed"
