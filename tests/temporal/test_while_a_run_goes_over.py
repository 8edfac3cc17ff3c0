"""What is asked of a saga in the moment in which it continues as new: the new run answers it, and it counts once."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from temporalio import workflow

from sagadsl.engine.facts import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import signalling
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from tests.conftest import Server
from tests.engine.scenes import plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, Stage, events, replay, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

LONG = saga(
    *(plain(f"s{n}") for n in range(8)),
    {"id": "ask", "wait_for": {"signal": "approve", "timeout": "1h"}},
    {"id": "ask_again", "wait_for": {"signal": "approve", "timeout": "1h"}},
    name="goes-over",
)
MANY = 24
PAIRS = saga(
    {
        "id": "all",
        "repeat": {"until": f"item_index == {MANY // 2 - 1}"},
        "steps": [
            {"id": "one", "wait_for": {"signal": "approve", "timeout": "1h"}},
            {"id": "two", "wait_for": {"signal": "approve", "timeout": "1h"}},
            plain("note", input="{{ [steps.one.output, steps.two.output] }}"),
        ],
    },
    name="asked-all-the-time",
)
_HELD = 1.0
"""Seconds for which the workflow task is held at most: the SDK takes one for dead after two."""


@pytest.fixture(autouse=True)
def _a_busy_machine_answers_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "ANSWER_SECONDS", PATIENCE)
    monkeypatch.setattr(runs, "ANSWER_SECONDS", PATIENCE)


Ask = Callable[[Stage, Started], Awaitable[Any]]


async def _while_it_goes_over(server: Server, monkeypatch: pytest.MonkeyPatch, ask: Ask) -> tuple[Any, dict[str, Any]]:
    """Ask a saga while the workflow task is under way that ends its first run; return the answer and the status."""
    going, asked = threading.Event(), threading.Event()
    really = workflow.continue_as_new

    def held(*args: Any, **more: Any) -> Any:
        if not going.is_set():
            going.set()
            asked.wait(_HELD)
        really(*args, **more)

    async with stage(server.address) as made:
        monkeypatch.setattr(workflow, "continue_as_new", held)
        started = await made.start(LONG, continue_after_events=12)
        assert await asyncio.to_thread(going.wait, PATIENCE)
        asking = asyncio.ensure_future(ask(made, started))
        await asyncio.wait([asking], timeout=0.3)  # whether or not it has arrived by now, it has to be answered
        asked.set()
        answer = await asyncio.wait_for(asking, PATIENCE)
        await made.until("s7")
        found = await made.until_status(started, lambda found: bool(found.get("waiting_for") or found.get("actions")))
        described = await made.client.get_workflow_handle(started.id).describe()
        assert described.run_id != started.run_id
        assert not any("UPDATE" in each for each in await _events_of_first(made, started))
        await sagas.terminate(made.client, started.id, "done")
        await replay(made.client, started.id)
        return answer, found


async def _events_of_first(made: Stage, started: Started) -> list[str]:
    return list(await events(made.client.get_workflow_handle(started.id, run_id=started.run_id)))


def test_a_signal_that_wants_an_answer_gets_it_from_the_new_run(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R50, R59: the run that ends has not accepted it, so the client delivers it to the next one."""

    async def ask(made: Stage, started: Started) -> Any:
        return await signalling.signal(made.client, started.id, "approve", 1, request="k1", by="ann")

    answer, found = asyncio.run(_while_it_goes_over(server, monkeypatch, ask))

    assert (answer.state, answer.is_repeated) in (("kept", False), ("taken", False))
    assert (found["waiting_for"], found["kept_signals"]) == ({"approve": ["ask_again"]}, {})


def test_a_plain_signal_goes_along_into_the_new_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """R50, R59: the server has it, so the run may not end before it has heard of it."""

    async def ask(made: Stage, started: Started) -> Any:
        await sagas.signal(made.client, started.id, "approve", 1, request="k1", by="ann")

    _, found = asyncio.run(_while_it_goes_over(server, monkeypatch, ask))

    assert (found["waiting_for"], found["kept_signals"]) == ({"approve": ["ask_again"]}, {})


def test_an_operators_request_gets_its_answer_from_the_new_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """R22, R50: a pause is no less a pause because it came between two runs."""

    async def ask(made: Stage, started: Started) -> Any:
        paused = await sagas.operate(made.client, started.id, Verb.PAUSE)
        stood = await runs.status(made.client, started.id)
        await sagas.operate(made.client, started.id, Verb.RESUME)
        return paused, stood["status"]

    answer, found = asyncio.run(_while_it_goes_over(server, monkeypatch, ask))

    assert answer == ("paused", "paused")
    assert [each["verb"] for each in found["actions"]] == ["pause", "resume"]


def test_of_many_signals_to_a_saga_that_goes_over_all_the_time_each_gets_its_answer_and_counts_once(
    server: Server,
) -> None:
    """R50, R59: no run waits for the answer to a signal that it does not take in any more."""

    async def scenario() -> tuple[list[str], list[int], int]:
        async with stage(server.address) as made:
            started = await made.start(PAIRS, continue_after_events=12)
            turn = asyncio.Semaphore(6)

            async def send(number: int) -> str:
                async with turn:
                    return (await signalling.signal(made.client, started.id, "approve", number)).state

            states = await asyncio.gather(*(send(number) for number in range(MANY)))
            assert (await made.end(started)).status == "completed"
            return states, [number for pair in made.sent.values() for number in pair], await _runs_of(made, started)

    states, counted, run_count = asyncio.run(scenario())

    assert set(states) <= {"taken", "kept"}
    assert sorted(counted) == list(range(MANY))
    assert run_count > 2


def test_of_two_signals_in_one_task_the_second_is_answered_although_the_first_lets_the_run_go_over(
    server: Server,
) -> None:
    """R50, R59: the run does not wait for an answer that it gives only when it takes the signal in."""
    queue = f"q-{uuid.uuid4().hex[:8]}"
    definition = saga(*PAIRS["steps"][0]["steps"], name="two-in-one-task")

    async def scenario() -> None:
        async with stage(server.address, queue=queue) as made:
            started = await made.start(definition, continue_after_events=6)
            await made.until_status(started, lambda found: bool(found.get("waiting_for")))
        sending = [asyncio.ensure_future(signalling.signal(made.client, started.id, "approve", n)) for n in range(2)]
        async with stage(server.address, queue=queue) as again:
            states = [sent.state for sent in await asyncio.wait_for(asyncio.gather(*sending), PATIENCE)]
            assert (await again.end(started)).status == "completed"
            assert (states, await _runs_of(again, started) > 1) == (["taken", "taken"], True)
            assert sorted(again.sent["note"]) == [0, 1]
            await replay(again.client, started.id)

    asyncio.run(scenario())


async def _runs_of(made: Stage, started: Started) -> int:
    """Return how many runs the saga had, by the chain of its histories."""
    run_id, count = started.run_id, 1
    while True:
        history = await made.client.get_workflow_handle(started.id, run_id=run_id).fetch_history()
        run_id = history.events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
        if not run_id:
            return count
        count += 1
