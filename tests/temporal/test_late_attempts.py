"""Attempts that end after the server has timed them out: who tells the saga, on the real server. R96, R97."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from temporalio import activity
from temporalio.common import RawValue

from sagadsl import Permanent
from sagadsl.temporal.client import Started
from sagadsl.temporal.wire.late_ends import LATE_END
from sagadsl.virtual.calls import Attempt
from tests.conftest import Server
from tests.engine.scenes import act, no, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import Played, Stage, play

pytestmark = pytest.mark.temporal

UNDO = {"activity": "undo.b", "input": {"outcome": "{{ step.outcome }}", "output": "{{ step.output }}"}}


def _step(settle: str = "20s", **timeouts: str) -> dict[str, Any]:
    return act("b", timeouts={"start_to_close": "1s", "settle": settle, **timeouts}, compensation=UNDO)


def _outcome(ran: Played) -> str:
    return str(ran.status["steps"][0]["outcome"])


def _has_failed(status: Mapping[str, Any]) -> bool:
    return "b" in str(status["failure"])


def _signals(ran: Played) -> int:
    return ran.events.count("WORKFLOW_EXECUTION_SIGNALED")


def test_a_worker_tells_of_a_success_that_comes_late(server: Server) -> None:
    """R97: the server refuses it, and the undo gets it all the same."""
    ran = play(server.address, saga(_step()), {"b": slow(2, {"receipt": 7})})

    assert (ran.report["status"], _outcome(ran)) == ("compensated", "succeeded")
    assert ran.stage.sent["b.compensation"] == {"outcome": "succeeded", "output": {"receipt": 7}}
    assert _signals(ran) == 1
    assert "refused_signals" not in ran.status


def test_a_worker_tells_of_a_clear_no_that_comes_late(server: Server) -> None:
    """R97."""
    ran = play(server.address, saga(_step()), {"b": no("Declined", takes=2)})

    assert (ran.report["status"], ran.report["undone"], _outcome(ran)) == ("compensated", [], "failed")
    assert ran.calls == ["b"]


def test_an_error_that_leaves_open_what_was_done_does_not_end_the_wait(server: Server) -> None:
    """R96, R97."""
    ran = play(server.address, saga(_step("2s")), {"b": no("Broken", takes=1.5, clean=False)})

    assert (_outcome(ran), _signals(ran)) == ("unknown", 0)
    assert ran.calls == ["b", "b.compensation"]


def test_a_worker_tells_nothing_to_a_saga_that_does_not_ask(server: Server) -> None:
    """R96: who does not ask for it pays nothing."""
    step = act("b", timeouts={"start_to_close": "1s"}, compensation=UNDO)

    ran = play(server.address, saga(step, act("c")), {"b": slow(1.5)})

    assert (_outcome(ran), _signals(ran), ran.events.count("TIMER_STARTED")) == ("unknown", 0, 0)


def test_an_attempt_that_ends_in_time_tells_nothing(server: Server) -> None:
    """R96: it only asks the server, when it has taken nearly as long as it may."""
    ran = play(server.address, saga(act("b", timeouts={"start_to_close": "3s", "settle": "9s"})), {"b": slow(2.2, 7)})

    assert (ran.report.get("status", "completed"), _outcome(ran), _signals(ran)) == ("completed", "succeeded", 0)
    assert ran.ended.output == {"b": 7}


def test_a_late_success_of_an_earlier_attempt_is_not_that_of_the_last(server: Server) -> None:
    """R97: the last one may still run."""
    step = _step("3s") | {"retry": {"maximum_attempts": 2, "initial_interval": "100ms"}}

    ran = play(server.address, saga(step), {"b": [slow(2, "first"), Attempt(takes=60)]})

    assert (_outcome(ran), _signals(ran)) == ("unknown", 1)
    assert ran.stage.sent["b.compensation"] == {"outcome": "unknown", "output": None}


def test_a_success_after_a_heartbeat_timeout_comes_late_too(server: Server) -> None:
    """R96, R97."""
    timed_out = asyncio.Event()

    @activity.defn(dynamic=True)
    async def silent(args: Sequence[RawValue]) -> Any:
        if activity.info().activity_id == "b":
            await timed_out.wait()
        return activity.info().activity_id

    async def end(stage: Stage, started: Started) -> None:
        await stage.until_status(started, _has_failed)
        timed_out.set()

    step = _step(start_to_close="1m", heartbeat="1s") | {"compensation": {"activity": "undo.b", "on": "completed"}}

    ran = play(server.address, saga(step), activities=[silent], act=end)

    assert (_outcome(ran), ran.report["undone"]) == ("succeeded", ["b"])


@pytest.mark.parametrize("started_at", ["as text", "left out"])
def test_a_plain_worker_of_any_sdk_tells_the_same(server: Server, started_at: str) -> None:
    """R97: by the signal that the documentation describes."""

    async def told(stage: Stage, started: Started) -> None:
        await stage.until_status(started, _has_failed)
        handle = stage.client.get_workflow_handle(started.id)
        pending = [
            e async for e in handle.fetch_history_events() if e.HasField("activity_task_started_event_attributes")
        ]
        moment = pending[0].event_time.ToJsonString()
        report = {"activity": "b", "attempt": 1, "outcome": "succeeded"}
        said = report if started_at == "left out" else {**report, "started_at": moment}
        await handle.signal(LATE_END, args=[said, {"receipt": 7}])

    ran = play(server.address, saga(_step("60s")), {"b": Attempt(takes=PATIENCE)}, act=told)

    assert ran.stage.sent["b.compensation"] == {"outcome": "succeeded", "output": {"receipt": 7}}


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "it is no object"),
        ({"attempt": 1, "outcome": "failed"}, "`activity` must be the id of an activity"),
        ({"activity": "b", "attempt": True, "outcome": "failed"}, "and `attempt` a whole number"),
        ({"activity": "b", "attempt": 1, "outcome": "unknown"}, "must be `succeeded` or `failed`, found `unknown`"),
    ],
)
def test_a_signal_that_tells_of_no_end_is_listed_as_refused(server: Server, said: Any, why: str) -> None:
    async def told(stage: Stage, started: Started) -> None:
        await stage.until("b")
        await stage.client.get_workflow_handle(started.id).signal(LATE_END, args=[said])

    ran = play(server.address, saga(_step("1s")), {"b": no(takes=0.5)}, act=told)

    (refused,) = ran.status["refused_signals"]
    assert refused["signal"] == LATE_END
    assert why in refused["reason"]


def test_a_report_that_comes_before_the_saga_hears_of_the_timeout_counts(server: Server) -> None:
    """R97: a saga sees signals first, whatever their order in its history, and looks up each timeout."""

    async def told(stage: Stage, started: Started) -> None:
        await stage.until("b")
        report = {"activity": "b", "attempt": 1, "outcome": "succeeded"}
        await stage.client.get_workflow_handle(started.id).signal(LATE_END, args=[report, 8])

    ran = play(server.address, saga(_step("20s")), {"b": Attempt(takes=PATIENCE)}, act=told)

    assert ran.stage.sent["b.compensation"] == {"outcome": "succeeded", "output": 8}


def test_a_thread_tells_too(server: Server) -> None:
    """R97: a plain function is not stopped at its timeout."""
    timed_out = threading.Event()

    @activity.defn(name="do.b")
    def work(_: Any = None) -> str:
        assert timed_out.wait(PATIENCE)
        raise Permanent("no", type="Declined")

    async def end(stage: Stage, started: Started) -> None:
        await stage.until_status(started, _has_failed)
        timed_out.set()

    ran = play(server.address, saga(_step()), activities=[work], act=end)

    assert (_outcome(ran), ran.report["undone"]) == ("failed", [])
