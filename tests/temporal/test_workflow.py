"""The saga workflow on a real server: what the engine decides, seen through Temporal.

Every scene ends with the status of the closed run and with a replay of its history (R53, R60).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import Client

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.refusals import NotPossible, SagaOver
from sagadsl.temporal.wire.requests import Asked
from tests.conftest import Server
from tests.engine.scenes import act, beats, flaky, gives, lost, no, plain, saga, slow
from tests.temporal.play import SDK_RACE, Stage, play, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

TRIP = saga(act("hotel"), act("flight"), act("car"), name="trip", output={"car": "{{ steps.car.output }}"})


def test_a_saga_that_succeeds_costs_as_many_events_as_one_written_by_hand(where: dict[str, Any]) -> None:
    """R51: three activities inline are 23 events."""
    played = play(definition=TRIP, script={"do.car": gives("red")}, **where)

    assert (played.ended.status, played.ended.output) == ("completed", {"car": "red"})
    assert played.calls == ["hotel", "flight", "car"]
    if where["max_cached_workflows"]:
        assert len(played.events) == 23


def test_what_succeeded_is_undone_newest_first(where: dict[str, Any]) -> None:
    """R1, R10, R23, R51: a failure with two compensations is at most 35 events, and its cause is the first error."""
    played = play(definition=TRIP, script={"do.car": no("NoCars")}, **where)

    assert played.ended.status == played.status["status"] == "compensated"
    assert played.calls == ["hotel", "flight", "car", "flight.compensation", "hotel.compensation"]
    assert played.ended.error == ("NoCars", "step `car` failed: NoCars: NoCars! (2 undone)")
    assert played.ended.causes == (("NoCars", "NoCars!"),)
    assert played.report["undone"] == ["flight", "hotel"]
    if where["max_cached_workflows"]:
        assert len(played.events) <= 35


def test_a_saga_is_found_by_its_name_in_the_workers_folder(server: Server) -> None:
    """One marker more than inline; the definition is pinned in history (R48)."""
    played = play(server.address, TRIP, definitions=[TRIP], options={"by_name": True})

    assert played.ended.status == "completed"
    assert len(played.events) == 24


def test_a_name_that_no_folder_has_fails_the_run_and_lists_those_there_are(server: Server) -> None:
    played = play(server.address, saga(act("a"), name="trap"), definitions=[TRIP], options={"by_name": True})

    assert played.ended.error == (
        "DefinitionNotFound",
        "no saga `trap` among this worker's definitions: it has `trip`; did you mean `trip`?",
    )
    assert played.status["status"] == "compensated"


def test_an_activity_that_is_not_installed_fails_at_once_with_the_names_of_those_that_are(server: Server) -> None:
    """R15, R54."""
    played = play(server.address, saga(plain("a", retry={"maximum_attempts": 5}), name="one"), activities=[])

    assert played.ended.error is not None
    assert [type_ for type_, _ in played.ended.causes] == ["ActivityNotFound"] * 2
    assert played.ended.causes[-1][1] == "activity `do.a` is not installed on this worker; installed: none"
    assert played.status["steps"][0]["outcome"] == "not_started"


def test_the_timeout_of_the_saga_is_a_timer_and_undoes(where: dict[str, Any]) -> None:
    """R32: no timeout of the server's, which would run no code."""
    definition = saga(act("a"), beats("b"), name="late", timeout="1s")
    played = play(definition=definition, script={"do.b": slow(60)}, **where)

    assert played.ended.status == "compensated"
    assert played.ended.error is not None
    assert played.ended.error[0] == "SagaTimeout"
    assert played.calls == ["a", "b", "b.compensation", "a.compensation"]


def test_a_silent_step_is_undone_since_nobody_knows_what_it_did(where: dict[str, Any]) -> None:
    """R5: one execution, and the kind of the timeout with its limit in the message."""
    step = act("a", timeouts={"start_to_close": "1s"})
    step["retry"] = {"maximum_attempts": 3, "initial_interval": "100ms", "non_retryable_error_types": ["timeout"]}
    played = play(definition=saga(step, name="silent"), script={"do.a": lost()}, **where)

    assert played.ended.status == "compensated"
    assert played.calls == ["a", "a.compensation"]
    assert played.begun.count("a@2") == 0
    assert played.ended.causes == (("timeout", "start_to_close timeout of 1s"),)


@pytest.mark.parametrize("name", ["timeout", "TemporalTimeout:StartToClose"])
@pytest.mark.parametrize("local", [False, True])
def test_a_timeout_that_stops_the_retries_does_so_by_both_names(server: Server, name: str, local: bool) -> None:
    """R55 (N5): also of a local activity, whose timeouts the SDK would retry."""
    step = act("a", timeouts={"start_to_close": "1s"}, local=local)
    step["retry"] = {"maximum_attempts": 3, "initial_interval": "100ms", "non_retryable_error_types": [name]}
    played = play(server.address, saga(step, name="silent"), {"do.a": lost()})

    assert played.begun == ["a", "a.compensation"]
    (line,) = played.status["steps"]
    message = "start_to_close timeout of 1s"
    assert (line["attempts"], line["outcome"], line["error"]["message"]) == (1, "unknown", message)


def test_an_error_after_a_clean_retry_has_nothing_to_undo(where: dict[str, Any]) -> None:
    """R5, R8: the attempts are counted, and both ended in a reported error."""
    step = act("a", retry={"maximum_attempts": 2, "initial_interval": "100ms"})
    played = play(definition=saga(step, name="twice"), script={"do.a": flaky("Busy")}, **where)

    assert played.begun == ["a", "a@2"]
    assert played.report["undone"] == []
    (line,) = played.status["steps"]
    assert (line["attempts"], line["outcome"], line["error"]["type"]) == (2, "failed", "Busy")


def test_the_last_real_error_stands_beside_the_timeout_that_ended_the_attempts(server: Server) -> None:
    step = act("a", timeouts={"schedule_to_close": "2s"})
    step["retry"] = {"maximum_attempts": 50, "initial_interval": "400ms", "backoff_coefficient": 1.0}
    played = play(server.address, saga(step, name="total"), {"do.a": [flaky("Busy"), slow(30)]})

    type_, message = played.ended.causes[0]
    assert type_ == "timeout"
    assert message.startswith("schedule_to_close timeout of 2s")
    assert message.endswith("; the last error was Busy: Busy!")
    assert played.ended.causes[1] == ("Busy", "Busy!")


def test_an_operator_retries_a_compensation_that_failed(where: dict[str, Any]) -> None:
    """R20, R22: paused and open, then repeated under a new call id; who and why are recorded."""

    async def repair(made: Stage, started: Started) -> None:
        found = await made.until_status(started, lambda found: found["status"] == "paused")
        assert [each["path"] for each in found["attention"]] == ["a.compensation"]
        with pytest.raises(NotPossible, match="does not wait for an operator"):
            await sagas.operate(made.client, started.id, Verb.SKIP_STEP, Asked("b"))
        await sagas.operate(made.client, started.id, Verb.RETRY_STEP, Asked("a.compensation", by="ann", why="fixed"))

    script = {"do.b": no(), "a.compensation": no("Down"), "a.compensation#2": gives(None)}
    played = play(definition=saga(act("a"), act("b"), name="two"), script=script, act=repair, **where)

    assert played.ended.status == "compensated"
    assert played.calls == ["a", "b", "a.compensation", "a.compensation#2"]
    (action,) = played.status["actions"]
    assert (action["verb"], action["path"], action["by"], action["why"]) == (
        "retry_step",
        "a.compensation",
        "ann",
        "fixed",
    )


def test_an_operator_gives_up_and_the_report_says_what_is_left(server: Server) -> None:
    """R20, R22."""

    async def abort(made: Stage, started: Started) -> None:
        await made.until_status(started, lambda found: found["status"] == "paused")
        assert await sagas.operate(made.client, started.id, Verb.ABORT, Asked(by="ann")) == "failed"

    script = {"do.c": no(), "undo.b": no("Down")}
    played = play(server.address, saga(act("a"), act("b"), act("c"), name="three"), script, act=abort)

    assert played.ended.status == "failed"
    assert [each["path"] for each in played.report["not_undone"]] == ["b"]
    assert played.report["not_attempted"] == ["a"]


def test_pause_and_resume(server: Server) -> None:
    """R22: nothing is started while it is paused."""

    async def hold(made: Stage, started: Started) -> None:
        await made.until("a")
        assert await sagas.operate(made.client, started.id, Verb.PAUSE) == "paused"
        with pytest.raises(NotPossible, match="already paused"):
            await sagas.operate(made.client, started.id, Verb.PAUSE)
        await made.until_status(started, lambda found: found["steps"][0]["status"] == "completed")
        assert made.begun == ["a"]
        await sagas.operate(made.client, started.id, Verb.RESUME)

    played = play(server.address, saga(act("a"), act("b"), name="two"), {"do.a": slow(0.5)}, act=hold)
    assert played.ended.status == "completed"


WAITS = saga(
    act("a"),
    {"id": "wait", "wait_for": {"signal": "approved", "payload": {"type": "object", "required": ["by"]}}},
    name="waits",
    output="{{ steps.wait.output.by }}",
)


def test_a_signal_before_its_wait_is_kept_and_a_wrong_one_is_named_in_the_status(where: dict[str, Any]) -> None:
    """R59: refused ones change nothing, and nobody has to look for them in a log."""

    async def approve(made: Stage, started: Started) -> None:
        await made.until("a")
        await sagas.signal(made.client, started.id, "approved", "yes")
        await sagas.signal(made.client, started.id, "aproved", {"by": "ann"})
        await sagas.signal(made.client, started.id, "approved", {"by": "bob"})

    played = play(definition=WAITS, script={"do.a": slow(0.5)}, act=approve, **where)

    assert played.ended.output == "bob"
    assert [(each["signal"], each["reason"]) for each in played.status["refused_signals"]] == [
        ("approved", '`approved`: must be an object, got `"yes"`'),
        ("aproved", "the saga does not wait for it"),
    ]


def test_a_closed_saga_takes_no_signal_and_no_cancel(server: Server) -> None:
    """R59."""

    async def scenario() -> None:
        async with stage(server.address) as made:
            started = await made.start(saga(act("a"), name="one"))
            await made.end(started)
            with pytest.raises(SagaOver):
                await sagas.signal(made.client, started.id, "late")
            with pytest.raises(SagaOver):
                await sagas.cancel(made.client, started.id)
            with pytest.raises(SagaOver):
                await sagas.operate(made.client, started.id, Verb.PAUSE)

    asyncio.run(scenario())


def test_an_input_that_no_message_holds_fails_its_step_and_what_was_done_is_undone(server: Server) -> None:
    """R52: refused before it is scheduled; the server would fail the workflow task for ever."""
    big = plain("b", input={"one": "{{ steps.a.output }}", "two": "{{ steps.a.output }}"})
    played = play(server.address, saga(act("a"), big, name="big"), {"do.a": gives("x" * 1_100_000)})

    assert played.ended.status == "compensated"
    (type_, message), *_ = played.ended.causes
    assert type_ == "PayloadTooLarge"
    assert message.startswith("the input of `b` has 2,200,0")
    assert played.calls == ["a", "a.compensation"]


def test_branches_whose_inputs_together_are_too_large_for_one_message_are_sent_in_turn(where: dict[str, Any]) -> None:
    """R52: 4 MiB a message; measured, the server ends the run beyond."""
    branches = [plain(f"b{number}", input={"text": "{{ steps.a.output }}"}) for number in range(6)]
    definition = saga(plain("a"), {"id": "all", "parallel": branches}, name="wide")
    played = play(definition=definition, script={"do.a": gives("x" * 900_000)}, **where)

    assert played.ended.status == "completed"
    assert sorted(played.calls) == ["a", *(f"all/b{number}" for number in range(6))]


def test_a_result_that_no_message_holds_is_null_and_every_view_says_completed_and_why(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B8, R52, R56: also without a worker, from the memo."""
    definition = saga(act("a"), name="big", output=["{{ steps.a.output }}", "{{ steps.a.output }}"])
    played = play(server.address, definition, {"do.a": gives("x" * 1_100_000)})

    assert (played.ended.status, played.ended.output, played.ended.error) == ("completed", None, None)
    (warning,) = played.ended.warnings
    assert warning["type"] == "PayloadTooLarge"
    assert "it has 2,200,0" in warning["message"]
    assert played.status["status"] == played.status["close_status"] == "completed"
    assert played.status["warnings"] == [warning]
    assert played.calls == ["a"]
    monkeypatch.setattr(runs, "ANSWER_SECONDS", 0.5)
    assert asyncio.run(_without_worker(server.address, played.started.id)) == ("completed", [warning])


async def _without_worker(address: str, id_: str) -> tuple[str, list[Any]]:
    found = await runs.status(await Client.connect(address), id_)
    assert found["source"] == "history"
    return found["status"], found["warnings"]


def test_local_activities_leave_no_events_but_markers(where: dict[str, Any]) -> None:
    played = play(definition=saga(act("a", local=True), act("b", local=True), name="local"), **where)

    assert played.ended.status == "completed"
    assert played.events.count("MARKER_RECORDED") == 2
    assert "ACTIVITY_TASK_SCHEDULED" not in played.events


def test_a_queue_that_nobody_serves_ends_with_a_limit(server: Server) -> None:
    """R2, R5, R54: it was never started, so nothing of it is undone."""
    step = act("b", task_queue="nobody-is-there", timeouts={"start_to_close": "5s", "schedule_to_start": "1s"})
    played = play(server.address, saga(act("a"), step, name="lonely"))

    assert played.ended.causes[0] == (
        "timeout",
        "schedule_to_start timeout of 1s: no worker took `do.b` from task queue `nobody-is-there`",
    )
    assert played.calls == ["a", "a.compensation"]


def test_the_status_of_trouble_is_a_search_attribute_where_it_is_registered(server: Server) -> None:
    """An unregistered one would block the run for ever, so it is set only where the start says so."""

    async def scenario() -> tuple[Any, Any, dict[str, Any]]:
        async with stage(server.address, {"do.b": no(), "undo.a": no()}) as made:
            policy = {"on_failure": "continue"}
            definition = saga(act("a"), act("b"), name="two", labels={"team": "travel"}, compensation=policy)
            started = await made.start(definition)
            await made.end(started)
            described = await made.client.get_workflow_handle(started.id).describe()
            return (
                described.search_attributes.get("SagaStatus"),
                described.search_attributes.get("SagaName"),
                dict(await described.memo()),
            )

    status, name, memo = asyncio.run(scenario())
    assert (status, name) == (["failed"], ["two"])
    assert (memo["saga"], memo["version"], memo["labels"]) == ("two", "1", {"team": "travel"})


def test_the_details_pane_shows_the_saga_when_somebody_looks(server: Server) -> None:
    async def scenario() -> str:
        async with stage(server.address, {"do.b": no("NoCars")}) as made:
            started = await made.start(saga(act("a"), act("b"), name="two"))
            await made.end(started)
            handle = made.client.get_workflow_handle(started.id)
            return str((await handle.query("__temporal_workflow_metadata")).current_details)

    shown = asyncio.run(scenario())
    assert shown.startswith("**compensated**")
    assert "`a`" in shown


def test_a_history_reads_as_the_saga_does(server: Server) -> None:
    """Activity ids are step paths, types the activities' names; what the definition says reaches the server.

    R54: a queue of somebody else's has a limit, also when the definition gives none.
    """
    retry = {"maximum_attempts": "unlimited", "initial_interval": "2s", "non_retryable_error_types": ["timeout", "No"]}
    times = {"start_to_close": "7s", "schedule_to_close": "1h", "heartbeat": "3s"}
    first = plain(
        "a", priority=2, fairness_key="{{ saga.name }}", fairness_weight="{{ 1 + 1 }}", retry=retry, timeouts=times
    )
    definition = saga({"id": "g", "steps": [first]}, plain("b", task_queue="elsewhere"), name="seen")

    async def scenario() -> list[Any]:
        async with stage(server.address) as made:
            started = await made.start(definition)
            await made.until_status(started, lambda found: found["steps"][-1]["status"] == "running")
            await sagas.terminate(made.client, started.id, "seen enough")
            history = await made.client.get_workflow_handle(started.id).fetch_history()
            return [event for event in history.events if event.HasField("activity_task_scheduled_event_attributes")]

    one, two = asyncio.run(scenario())
    a, b = one.activity_task_scheduled_event_attributes, two.activity_task_scheduled_event_attributes
    assert (a.activity_id, a.activity_type.name, a.priority.priority_key) == ("g/a", "do.a", 2)
    assert (a.priority.fairness_key, a.priority.fairness_weight) == ("seen", 2)
    assert one.user_metadata.summary.data
    assert [a.start_to_close_timeout.seconds, a.heartbeat_timeout.seconds, a.retry_policy.initial_interval.seconds] == [
        7,
        3,
        2,
    ]
    assert a.retry_policy.maximum_attempts == 0
    assert list(a.retry_policy.non_retryable_error_types) == [
        "timeout",
        "No",
        "TemporalTimeout:StartToClose",
        "TemporalTimeout:Heartbeat",
    ]
    assert (b.task_queue.name, b.schedule_to_start_timeout.seconds) == ("elsewhere", 600)


def test_a_saga_that_computes_for_long_lets_its_worker_breathe(where: dict[str, Any]) -> None:
    """N15, R56: as in virtual time it comes to its end, though each of its rounds adds up all rows.

    Done in one part a thousand rounds never end: the SDK breaks them off. Without a cache each part begins with all
    that went before, so fewer rounds do.
    """
    rows = 1000 if where["max_cached_workflows"] else 500
    total = {"id": "total", "set": {"n": "{{ input.rows | map(attribute='n') | sum }}"}}
    loop = {"id": "l", "for_each": {"items": "input.rows"}, "steps": [total]}
    definition = saga(act("a"), loop, name="sums", output="{{ steps.l.output | length }}")

    played = play(definition=definition, input_={"rows": [{"n": 1}] * rows}, **where)

    assert (played.ended.status, played.ended.output) == ("completed", rows)
    assert played.events.count("WORKFLOW_TASK_COMPLETED") > 2  # those of the activity are two
