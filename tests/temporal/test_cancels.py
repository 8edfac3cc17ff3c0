"""A cancel of a saga, on a real server: what runs settles first, and then everything is undone (R25 to R29)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from tests.conftest import Server
from tests.engine.scenes import act, beats, flaky, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Stage, cancelling, events, play, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


def test_a_cancel_lets_the_running_step_settle_before_anything_is_undone(where: dict[str, Any]) -> None:
    """R12, R25: closes Canceled, and no handler takes it for an error."""
    definition = saga(act("hotel"), beats("flight", on_error="continue"), act("car"), name="trip")
    played = play(definition=definition, script={"do.flight": slow(60)}, act=cancelling("flight"), **where)

    assert played.ended.status == played.status["status"] == "cancelled"
    assert played.calls == ["hotel", "flight", "flight.compensation", "hotel.compensation"]
    assert played.stage.cancelled == ["flight"]
    assert played.events[-1] == "WORKFLOW_EXECUTION_CANCELED"


def test_a_step_that_completes_although_it_was_cancelled_is_undone_with_its_real_output(where: dict[str, Any]) -> None:
    """R29, R37: nobody can stop it, so it is waited for."""
    undo = {"activity": "undo.a", "input": {"seat": "{{ step.output }}"}}
    played = play(
        definition=saga(act("a", compensation=undo), act("b"), name="one"),
        script={"do.a": slow(1.0, "12F")},
        act=cancelling("a"),
        **where,
    )

    assert played.ended.status == "cancelled"
    assert played.calls == ["a", "a.compensation"]
    assert played.stage.sent["a.compensation"] == {"seat": "12F"}


def test_a_completion_and_a_cancel_in_one_activation_lose_nothing(server: Server) -> None:
    """R29: both wait for the next workflow task, since no worker takes it meanwhile."""
    undo = {"activity": "undo.a", "input": {"seat": "{{ step.output }}"}}
    definition = saga(act("a", compensation=undo), act("b"), name="one")

    async def scenario() -> tuple[str, list[str], Any]:
        script = {"do.a": slow(2.0, "12F")}
        async with stage(server.address, script, only="workflows", activities=[]) as first:
            started = await first.start(definition)
            await first.until_status(started, lambda found: bool(found["steps"]))
        async with stage(server.address, script, only="activities", queue=first.queue) as second:
            await second.until("a")
            async with asyncio.timeout(PATIENCE):
                while "ACTIVITY_TASK_COMPLETED" not in await events(first.client.get_workflow_handle(started.id)):
                    await asyncio.sleep(0.05)
        await sagas.cancel(first.client, started.id)
        async with stage(server.address, script, queue=first.queue) as third:
            ended = await third.end(started)
            return ended.status, third.begun, third.sent["a.compensation"]

    assert asyncio.run(scenario()) == ("cancelled", ["a.compensation"], {"seat": "12F"})


def test_a_second_cancel_changes_nothing(where: dict[str, Any]) -> None:
    """R27, R28: not even while the compensations run."""

    async def twice(made: Stage, started: Started) -> None:
        await made.until("b")
        await sagas.cancel(made.client, started.id)
        await made.until("a.compensation")
        await sagas.cancel(made.client, started.id)

    script = {"do.b": slow(60), "undo.a": slow(0.5)}
    played = play(definition=saga(act("a"), beats("b"), name="two"), script=script, act=twice, **where)

    assert played.ended.status == "cancelled"
    assert played.calls == ["a", "b", "b.compensation", "a.compensation"]


def test_a_cancel_before_the_first_step_runs_nothing(server: Server) -> None:
    """R26: the workflow task that begins the run finds the cancel already there."""

    async def scenario() -> tuple[str, list[str], tuple[str, ...]]:
        async with stage(server.address, only="activities") as away:
            started = await away.start(saga(act("hotel"), act("flight"), act("car"), name="trip"))
            await sagas.cancel(away.client, started.id)
        async with stage(server.address, queue=away.queue) as made:
            ended = await made.end(started)
            found = await runs.status(made.client, started.id)
            return ended.status, made.begun, tuple(step["status"] for step in found["steps"])

    status, begun, steps = asyncio.run(scenario())
    assert (status, begun) == ("cancelled", [])
    assert steps == ("cancelled", "not_started", "not_started")


def test_three_branches_get_the_cancel_and_are_awaited(where: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """And nobody is alarmed by a log line."""
    branches = [beats("a"), beats("b"), beats("c")]
    definition = saga({"id": "all", "parallel": branches}, name="three")
    script = {"do.a": slow(60), "do.b": slow(60), "do.c": slow(60)}
    played = play(definition=definition, script=script, act=cancelling("all/a", "all/b", "all/c"), **where)

    assert played.ended.status == "cancelled"
    assert sorted(played.stage.cancelled) == ["all/a", "all/b", "all/c"]
    assert [each for each in played.calls if "compensation" in each] == [
        "all/c.compensation",
        "all/b.compensation",
        "all/a.compensation",
    ]
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("local", [False, True])
def test_a_call_that_is_stopped_before_it_has_left_its_worker_is_not_undone(server: Server, local: bool) -> None:
    """R2: the branch beside it fails in the same moment; nobody has begun anything."""
    bad = {"id": "bad", "fail": {"type": "Bad", "message": "no"}}

    played = play(server.address, saga({"id": "both", "parallel": [act("a", local=local), bad]}, name="at-once"))

    assert played.calls == []
    assert (played.ended.status, played.report["undone"], played.report["other_errors"]) == ("compensated", [], [])
    step = next(each for each in played.status["steps"] if each["path"] == "both/a")
    assert (step["status"], step["outcome"]) == ("cancelled", "not_started")


def test_a_local_activity_that_is_cancelled_between_two_attempts_is_cancelled_and_undone(server: Server) -> None:
    """R3, R25: nobody knows what its attempts did; that it stops is no error of its own."""
    retry = {"maximum_attempts": 5, "initial_interval": "1h", "maximum_interval": "1h"}
    definition = saga(act("a", local=True, retry=retry), name="between")

    async def cancel(made: Stage, started: Started) -> None:
        handle = made.client.get_workflow_handle(started.id)
        async with asyncio.timeout(PATIENCE):
            while "TIMER_STARTED" not in await events(handle):
                await asyncio.sleep(0.05)
        await sagas.cancel(made.client, started.id)

    played = play(server.address, definition, {"do.a": flaky()}, act=cancel)

    assert (played.ended.status, played.calls) == ("cancelled", ["a", "a.compensation"])
    (step,) = played.status["steps"]
    assert (step["status"], step["outcome"]) == ("cancelled", "unknown")
    assert played.status["other_errors"] == []


def test_a_cancel_that_comes_while_a_saga_computes_is_heard(server: Server) -> None:
    """R25, R26: between two parts of the work."""
    total = {"id": "total", "set": {"n": "{{ input.rows | map(attribute='n') | sum }}"}}
    loop = {"id": "l", "for_each": {"items": "input.rows"}, "steps": [total]}
    definition = saga(act("a"), loop, beats("b"), name="sums")

    played = play(
        server.address,
        definition,
        {"b": slow(60)},
        act=cancelling("a"),
        input_={"rows": [{"n": 1}] * 1000},
    )

    assert played.ended.status == "cancelled"
    assert "b" not in played.calls or "b.compensation" in played.calls
