"""Local calls on a real server: what is known of their errors, what is recorded before they begin (R130 to R133)."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask.decisions import operate
from sagadsl.temporal.client import Started
from sagadsl.temporal.run.held import HeldRun
from sagadsl.temporal.work import local_ends
from sagadsl.temporal.work.local_ends import LocalEnds
from tests.conftest import Server
from tests.engine.scenes import act, flaky, lost, no, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import Played, Stage, play, replay, stage

pytestmark = pytest.mark.temporal

LOCAL = {"local": True, "compensation": {"local": True, "retry": "none"}}


def _outcome(played: Played, path: str) -> Any:
    return next(each["outcome"] for each in played.status["steps"] if each["path"] == path)


def test_three_local_steps_cost_eight_events(server: Server) -> None:
    """R51: the page and the figures say so."""
    played = play(server.address, saga(act("a"), act("b"), plain("c"), defaults=LOCAL))

    assert played.ended.status == "completed"
    assert len(played.events) == 8


def test_two_local_compensations_follow_a_no_at_once(server: Server) -> None:
    """R133: what said no for good says it again, and what is undone is not done again."""
    played = play(server.address, saga(act("a"), act("b"), plain("c"), defaults=LOCAL), {"do.c": no("Refused")})

    assert (played.ended.status, played.report["undone"]) == ("compensated", ["b", "a"])
    assert _outcome(played, "c") == "failed"
    assert len(played.events) == 10


def _pause(pause: str = "10ms") -> dict[str, Any]:
    return {"id": "pause", "sleep": pause}


_WAITING = {
    "the error may go away": (saga(act("a"), plain("c"), defaults=LOCAL), {"do.c": flaky()}),
    "nobody knows what was done": (saga(act("a"), act("c"), defaults=LOCAL), {"do.c": lost()}),
    "what is undone was recorded before": (saga(act("a"), _pause(), plain("c"), defaults=LOCAL), {"do.c": no()}),
}


@pytest.mark.parametrize("why", _WAITING)
def test_a_local_compensation_waits_until_the_failure_is_recorded(why: str, server: Server) -> None:
    """R133: a timer brings the next workflow task, and all compensations follow in it."""
    definition, script = _WAITING[why]

    played = play(server.address, definition, script)

    assert played.ended.status == "compensated"
    undone = _told(played)[-2 if len(played.report["undone"]) == 1 else -3 :]
    assert undone == ["TIMER_FIRED", *["MARKER_RECORDED"] * len(played.report["undone"])]


def test_a_local_compensation_of_an_earlier_task_follows_one_of_this_task_at_once(server: Server) -> None:
    """R133: whoever does `b` again is refused, so that `a` is never undone without a reason."""
    definition = saga(act("a"), _pause(), act("b"), plain("c"), defaults=LOCAL)

    played = play(server.address, definition, {"do.c": no()})

    assert played.report["undone"] == ["b", "a"]
    assert played.events.count("TIMER_STARTED") == 1


def test_what_is_undone_on_the_way_on_waits_until_its_reason_is_recorded(server: Server) -> None:
    """R40, R133: the next worker may be refused at what was undone, and would know nothing of what came after it."""
    wait = {"id": "wait", "wait_for": {"signal": "go", "timeout": "1h"}}
    branches = [act("a"), {"id": "b", "steps": [act("b1"), wait]}]
    first = {"id": "first", "parallel": branches, "complete_when": "completed >= 1"}

    played = play(server.address, saga(first, plain("d"), defaults=LOCAL), {"do.a": slow(0.5)})

    assert (played.ended.status, sorted(played.calls)[-1]) == ("completed", "first/b/b1.compensation")
    assert _told(played)[-3:] == ["TIMER_FIRED", "MARKER_RECORDED", "MARKER_RECORDED"]


def _told(played: Played) -> list[str]:
    return [each for each in played.events if each in ("TIMER_STARTED", "TIMER_FIRED", "MARKER_RECORDED")]


def test_a_local_compensation_waits_for_no_record_of_what_is_there_already(server: Server) -> None:
    """R133: what failed is a remote call, which the history has."""
    played = play(
        server.address, saga(act("a", local=False), plain("b", local=False), defaults=LOCAL), {"do.b": no("No")}
    )

    assert played.report["undone"] == ["a"]
    assert "TIMER_STARTED" not in played.events


@pytest.mark.parametrize("cached", [0, 100])
def test_an_error_is_believed_with_and_without_a_cache(server: Server, cached: int) -> None:
    """R130: whoever replays the run has held it since then, and nobody has lost a task."""
    step = act("b", local=True, retry={"maximum_attempts": 3, "initial_interval": "10ms"})
    script = {"do.b": [flaky(), flaky(), no("Refused")]}

    played = play(server.address, saga(act("a"), step), script, max_cached_workflows=cached)

    assert played.calls == ["a", "b", "a.compensation"]
    assert _outcome(played, "b") == "failed"


def test_an_error_is_believed_in_a_run_that_goes_on(server: Server) -> None:
    """R50, R130: the runs before are read, too."""
    steps = [plain("a"), {"id": "s", "sleep": "10ms"}, plain("c"), act("b", local=True)]

    played = play(server.address, saga(*steps), {"do.b": no("Refused")}, options={"continue_after_events": 5})

    assert _outcome(played, "b") == "failed"
    assert played.status["run_id"] != played.started.run_id


def test_an_error_after_a_pause_that_is_a_timer_is_believed_in_the_same_worker(server: Server) -> None:
    """R130: the worker remembers the attempt before the timer."""
    step = act("a", local=True, retry={"maximum_attempts": 2, "initial_interval": "6s", "maximum_interval": "6s"})

    played = play(server.address, saga(step), {"do.a": [flaky(), no("Refused")]})

    assert played.events.count("TIMER_STARTED") == 1
    assert _outcome(played, "a") == "failed"


def test_an_error_proves_nothing_when_the_history_cannot_be_read(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R130."""

    async def broken(*_: Any, **__: Any) -> Any:
        raise RPCError("not now", RPCStatusCode.UNAVAILABLE, b"")
        yield

    monkeypatch.setattr(local_ends, "newest_first", broken)

    played = play(server.address, saga(_pause(), act("a", local=True)), {"do.a": no("Refused")})

    assert _outcome(played, "a") == "unknown"
    assert played.calls == ["a", "a.compensation"]


def test_an_error_in_the_first_workflow_task_is_believed_without_a_look(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R130: the history would be longer if somebody had begun the task before."""
    monkeypatch.setattr(local_ends, "newest_first", None)

    played = play(server.address, saga(act("a", local=True)), {"do.a": no("Refused")})

    assert _outcome(played, "a") == "failed"


def test_a_local_call_that_follows_from_a_request_begins_when_the_request_is_recorded(server: Server) -> None:
    """R133: the server keeps a workflow task that only an update has caused nowhere but in memory."""

    async def decide(made: Stage, started: Started) -> None:
        for verb in (Verb.RETRY_STEP, Verb.ABORT):
            await made.until_status(started, lambda status: bool(status["attention"]))
            await operate(made.client, started.id, verb)

    step = act("a", local=True, on_error="pause")

    played = play(server.address, saga(step), {"do.a": no("Refused")}, act=decide)

    assert _outcome(played, "a") == "failed"
    after = played.events[played.events.index("WORKFLOW_EXECUTION_UPDATE_ACCEPTED") :]
    told = [each for each in after if each in ("TIMER_FIRED", "MARKER_RECORDED")]
    assert told[:2] == ["TIMER_FIRED", "MARKER_RECORDED"]


@pytest.mark.parametrize("signalled", [False, True])
def test_whoever_takes_over_after_a_long_local_call_believes_no_error(server: Server, signalled: bool) -> None:
    """R130: the worker that has held the run all the time believes it; another one cannot know what the first did.

    What another call has given, or a signal that has come, may stand between the two workflow tasks.
    """
    both = [plain("long", local=True, timeouts={"start_to_close": "30s"}), plain("short", local=True)]
    wait = {"id": "wait", "wait_for": {"signal": "go", "timeout": "1s"}, "on_error": "continue"}
    definition = saga({"id": "both", "parallel": both}, wait, act("b", local=True, compensation="none"))

    async def tell(made: Stage, started: Started) -> None:
        await made.until("both/long")
        if signalled:
            await sagas.signal(made.client, started.id, "go")

    played = play(server.address, definition, {"do.long": slow(9), "do.b": no("Refused")}, act=tell)

    assert _outcome(played, "b") == "failed"
    long = played.events.index("WORKFLOW_TASK_COMPLETED")
    assert played.events[long + 1 : long + 3].count("MARKER_RECORDED") == 1
    assert played.events.count("WORKFLOW_EXECUTION_SIGNALED") == signalled
    beginning = played.events.index("WORKFLOW_TASK_STARTED", long) + 1

    async def judged(since: int) -> bool:
        client = await Client.connect(server.address)
        info: Any = SimpleNamespace(workflow_id=played.started.id, workflow_run_id=played.started.run_id)
        return await LocalEnds().is_first(client, info, HeldRun(since, beginning))

    assert [asyncio.run(judged(since)) for since in (3, beginning)] == [True, False]


def test_a_local_call_that_never_began_is_undone_when_its_saga_is_cancelled(server: Server) -> None:
    """R5: the SDK says the same of one that waits between two attempts, so nobody can tell."""
    limits = {"start_to_close": "60s"}
    both = [act("runs", local=True, timeouts=limits), act("waits", local=True, timeouts=limits)]
    definition = saga({"id": "both", "parallel": both})

    async def scenario() -> tuple[list[str], list[str]]:
        async with stage(server.address, {"do.runs": slow(PATIENCE)}, max_concurrent_local_activities=1) as made:
            started = await made.start(definition)
            await made.until("both/runs")
            await made.client.get_workflow_handle(started.id).cancel()
            assert (await made.end(started)).status == "cancelled"
            await replay(made.client, started.id)
            history = await made.client.get_workflow_handle(started.id).fetch_history()
            markers = [event.marker_recorded_event_attributes for event in history.events]
            said = [each.failure.message for each in markers if each.HasField("failure")]
            return made.begun, said

    begun, said = asyncio.run(scenario())
    assert "both/waits" not in begun
    assert begun[0] == "both/runs"
    assert sorted(begun[1:]) == ["both/runs.compensation", "both/waits.compensation"]
    assert said == ["Activity cancelled", "Cancelled"]
