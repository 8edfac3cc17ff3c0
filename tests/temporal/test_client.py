"""Starting, watching and operating from outside."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from temporalio.client import Client

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import start
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.history import watch
from sagadsl.temporal.read.runs import result, status
from sagadsl.temporal.read.watching import StepEvent
from sagadsl.temporal.refusals import AlreadyStarted, InputRefused, NoAnswer, SagaNotFound, SagaOver, TooLong
from sagadsl.temporal.wire.definitions import InvalidDefinition
from tests.conftest import Server
from tests.engine.scenes import act, beats, flaky, gives, no, plain, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Script, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


def _id() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"


def test_the_same_id_does_not_run_twice_unless_the_first_run_failed(server: Server) -> None:
    """Refused while it runs and after it ended well; taken after a failure, or when it is asked for."""
    definition, id_ = saga(act("a"), name="one"), _id()

    async def scenario() -> list[Any]:
        seen: list[Any] = []
        async with stage(server.address, {"do.a": [no()]}) as made:
            first = await made.start(definition, id=id_)
            with pytest.raises(AlreadyStarted) as caught:
                await made.start(definition, id=id_)
            seen.append((caught.value.status, caught.value.run_id == first.run_id))
            seen.append((await made.end(first)).status)
            made.script = {"do.a": gives(1)}
            second = await made.start(definition, id=id_)
            seen.append((await made.end(second)).status)
            with pytest.raises(AlreadyStarted) as caught:
                await made.start(definition, id=id_)
            seen.append((caught.value.status, caught.value.run_id == second.run_id))
            third = await made.start(definition, id=id_, again=True)
            seen.append((await made.end(third)).status)
            return seen

    assert asyncio.run(scenario()) == [
        ("running", True),
        "compensated",
        "completed",
        ("completed", True),
        "completed",
    ]


def test_nothing_is_started_when_the_input_does_not_fit(server: Server) -> None:
    definition = saga(act("a"), name="one", input={"type": "object", "required": ["x"]})

    async def scenario() -> None:
        client, id_ = await Client.connect(server.address), _id()
        with pytest.raises(InputRefused, match="`x` is missing"):
            await start(client, definition, {}, id=id_)
        with pytest.raises(InputRefused, match="not JSON"):
            await start(client, definition, {"x": object()}, id=id_)
        with pytest.raises(InputRefused, match="at most 2,000,000 fit"):
            await start(client, definition, {"x": "y" * 3_000_000}, id=id_)
        with pytest.raises(InvalidDefinition):
            await start(client, {**definition, "steps": []}, {"x": 1}, id=id_)
        with pytest.raises(SagaNotFound):
            await status(client, id_)

    asyncio.run(scenario())


def test_an_id_or_a_queue_that_some_databases_would_not_find_again_is_refused(server: Server) -> None:
    """B1: PostgreSQL keeps 255 characters, and answers a longer id as if it were not there."""
    definition = saga(act("a"), name="one")

    async def scenario() -> None:
        client = await Client.connect(server.address)
        with pytest.raises(TooLong, match=r"the id `x{40}…` has 300 characters, at most 255 fit"):
            await start(client, definition, {}, id="x" * 300)
        with pytest.raises(TooLong, match=r"the name `n{40}…` has 256 characters, at most 255 fit"):
            await start(client, "n" * 256, {})
        with pytest.raises(TooLong, match=r"the task queue `q{40}…` has 256 characters, at most 255 fit"):
            await start(client, definition, {}, id=_id(), task_queue="q" * 256)

    asyncio.run(scenario())


def test_an_id_of_a_request_that_would_count_as_none_is_refused(server: Server) -> None:
    """One of 200 characters makes it count once; a longer one made it count each time, without a word."""
    definition = saga({"id": "w", "wait_for": {"signal": "go"}}, {"id": "v", "wait_for": {"signal": "go"}}, name="two")

    async def scenario() -> list[str]:
        async with stage(server.address) as made:
            started = await made.start(definition)
            message = r"the request `r{40}…` has 201 characters, at most 200 fit"
            with pytest.raises(TooLong, match=message):
                await sagas.signal(made.client, started.id, "go", request="r" * 201)
            with pytest.raises(TooLong, match=message):
                await sagas.operate(made.client, started.id, Verb.PAUSE, request="r" * 201)
            for _ in range(2):
                await sagas.signal(made.client, started.id, "go", request="r" * 200)
            found = await made.until_status(started, lambda found: list(found["waiting_for"].values()) == [["v"]])
            await sagas.terminate(made.client, started.id, "the test is over")
            return list(found["kept_signals"])

    assert asyncio.run(scenario()) == []


def test_a_child_whose_id_would_be_too_long_runs_and_is_known_by_its_path(server: Server) -> None:
    """B1: under a shorter one, which no history of its parent mistakes for another step."""
    id_ = f"{_id()}{'x' * 239}"

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address, {}) as made:
            child = saga(plain("l"), name="child")
            started = await made.start(
                saga({"id": "kid", "saga": "child"}, name="top"), children={"child": child}, id=id_
            )
            ended = await made.end(started)
            return ended.status, [event.path async for event in watch(made.client, id_) if event.what == "started"]

    assert asyncio.run(scenario()) == ("completed", ["kid"])


def test_what_does_not_exist_is_said_in_one_sentence(server: Server) -> None:
    async def scenario() -> None:
        client, id_ = await Client.connect(server.address), _id()
        for request in (
            status(client, id_),
            result(client, id_),
            sagas.signal(client, id_, "go"),
            sagas.cancel(client, id_),
            sagas.terminate(client, id_, "no"),
            sagas.operate(client, id_, Verb.ABORT),
        ):
            with pytest.raises(SagaNotFound, match=f"no saga `{id_}` in namespace `default`"):
                await request
        with pytest.raises(SagaNotFound):
            _ = [event async for event in watch(client, id_)]

    asyncio.run(scenario())


def test_terminate_undoes_nothing_and_says_so(server: Server) -> None:
    """R31."""

    async def scenario() -> tuple[Any, Any]:
        async with stage(server.address, {"do.a": slow(60)}) as made:
            started = await made.start(saga(act("a"), name="one"))
            await made.until("a")
            await sagas.terminate(made.client, started.id, "it hangs")
            with pytest.raises(SagaOver):
                await sagas.terminate(made.client, started.id, "again")
            ended = await made.end(started)
            return (ended.status, ended.error), await status(made.client, started.id)

    ended, found = asyncio.run(scenario())
    assert ended == ("terminated", ("terminated", "it hangs"))
    assert (found["status"], found["close_status"]) == ("terminated", "terminated")


def test_without_a_worker_the_history_tells_how_it_stands(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """R60: a run that nobody serves can still be looked at; only an operator has to wait."""
    monkeypatch.setattr(runs, "ANSWER_SECONDS", 0.5)

    async def scenario() -> tuple[dict[str, Any], str]:
        async with stage(server.address, {"do.b": no("NoWay")}) as made:
            ended = await made.start(saga(act("a"), act("b"), name="two"))
            await made.end(ended)
            waits = await made.start(saga(act("a"), {"id": "w", "wait_for": {"signal": "go"}}, name="waits"))
            await made.until_status(waits, lambda found: bool(found.get("waiting_for")))
        with pytest.raises(NoAnswer, match=f"no worker answers for saga `{waits.id}` on task queue `{made.queue}`"):
            await runs.definition(made.client, waits.id)
        return await status(made.client, ended.id), (await status(made.client, waits.id))["status"]

    found, waiting = asyncio.run(scenario())
    assert waiting == "running"
    assert found["source"] == "history"
    assert (found["name"], found["status"], found["failure"]["type"]) == ("two", "compensated", "NoWay")
    assert [(step["path"], step["status"]) for step in found["steps"]] == [
        ("a", "completed"),
        ("b", "failed"),
        ("a.compensation", "completed"),
    ]


def _line(event: StepEvent) -> tuple[str, str]:
    return event.what, event.path


def test_watching_shows_every_step_and_every_attempt_as_it_happens(server: Server) -> None:
    """From the beginning to the end, over continue-as-new, retries included."""
    retry = {"maximum_attempts": 3, "initial_interval": "2s"}
    steps = [plain("a"), plain("b", retry=retry), plain("c"), {"id": "z", "sleep": "10ms"}, act("d"), beats("e")]

    async def scenario() -> list[StepEvent]:
        script: Script = {"do.b": [flaky("Busy"), gives(7)], "do.e": slow(60)}
        async with stage(server.address, script) as made:
            started = await made.start(saga(*steps, name="seen"), continue_after_events=20)
            seen = []
            async with asyncio.timeout(PATIENCE):
                async for event in watch(made.client, started.id, run_id=started.run_id):
                    seen.append(event)
                    if _line(event) == ("started", "e"):
                        await made.until("e")
                        await sagas.cancel(made.client, started.id)
            return seen

    seen = asyncio.run(scenario())
    lines = [_line(event) for event in seen]
    assert lines[:4] == [("began", ""), ("started", "a"), ("completed", "a"), ("started", "b")]
    retried = next(event for event in seen if event.what == "retrying")
    assert (retried.path, retried.attempt, retried.error) == ("b", 1, ("Busy", "Busy!"))
    done = next(event for event in seen if _line(event) == ("completed", "b"))
    assert (done.attempt, done.name, done.output and done.output.data) == (2, "do.b", b"7")
    assert list(dict.fromkeys(event.what for event in seen if event.what in ("continued", "cancel_requested"))) == [
        "continued",
        "cancel_requested",
    ]
    assert [event.path for event in seen if event.undoes and event.what == "completed"] == [
        "e.compensation",
        "d.compensation",
    ]
    assert (seen[-1].what, seen[-1].name) == ("ended", "cancelled")


def test_watching_a_saga_that_is_over_shows_it_again(server: Server) -> None:
    child = saga(plain("x"), name="child")

    async def scenario() -> list[StepEvent]:
        async with stage(server.address, {"do.x": gives(1), "do.l": gives(2)}) as made:
            definition = saga({"id": "kid", "saga": "child"}, plain("l", local=True), name="top")
            started = await made.start(definition, children={"child": child})
            await made.end(started)
            return [event async for event in watch(made.client, started.id)]

    seen = asyncio.run(scenario())
    assert [_line(event) for event in seen] == [
        ("began", ""),
        ("started", "kid"),
        ("completed", "kid"),
        ("completed", "l"),
        ("ended", ""),
    ]
    assert seen[-1].name == "completed"
