"""What is asked of a run comes after what the server had recorded before it, whether a worker holds the run or not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import Replayer

from sagadsl.engine.verbs import Verb
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import signalling
from sagadsl.temporal.client import Started
from sagadsl.temporal.refusals import SagaOver, known
from sagadsl.temporal.wire.requests import Asked
from sagadsl.temporal.worker import SagaPlugin, build_worker
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, saga
from tests.patience import PATIENCE
from tests.temporal.play import Stage, play, stage

pytestmark = pytest.mark.temporal

HELD = pytest.mark.parametrize("cached", [1000, 0], ids=["held", "not held"])
WAIT = {"id": "go", "wait_for": {"signal": "go", "since": "now"}}


async def until_heard(made: Stage, started: Started, kind: EventType.ValueType, times: int = 1) -> None:
    """Wait until the run has handled that many events of a kind."""
    handle = made.client.get_workflow_handle(started.id)
    async with asyncio.timeout(PATIENCE):
        while True:
            types = [each.event_type async for each in handle.fetch_history_events()]
            places = [place for place, each in enumerate(types) if each == kind]
            if len(places) >= times and EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED in types[places[times - 1] :]:
                return
            await asyncio.sleep(0.05)


@HELD
@pytest.mark.parametrize("before", ["a child saga", "nothing"])
def test_a_signal_comes_after_what_has_opened_its_wait(server: Server, cached: int, before: str) -> None:
    """The wait is open, and no command tells of it: the next worker finds it open too."""
    child = {"id": "k", "saga": "kid", "compensation": "none"}
    kind = (
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
        if before == "nothing"
        else EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED
    )
    said: list[signalling.Sent] = []

    async def send(made: Stage, started: Started) -> None:
        await until_heard(made, started, kind)
        said.append(await signalling.signal(made.client, started.id, "go"))

    definition = saga(*([] if before == "nothing" else [child]), WAIT, act("b"))
    kid = saga(act("c"), name="kid")
    played = play(server.address, definition, act=send, children=[kid], max_cached_workflows=cached)
    asyncio.run(_replay_by_plugin(server, played.started.id))

    assert [(each.state, each.step) for each in said] == [("taken", "go")]
    assert (played.ended.status, played.calls[-1]) == ("completed", "b")


async def _replay_by_plugin(server: Server, saga: str) -> None:
    client = await Client.connect(server.address)
    replayer = Replayer(workflows=[], plugins=[SagaPlugin()])
    await replayer.replay_workflow(await client.get_workflow_handle(saga).fetch_history())


@HELD
def test_a_request_comes_after_the_failure_of_which_it_speaks(server: Server, cached: int) -> None:
    """R22: two branches have failed and wait for somebody; no command tells of it."""
    paused: dict[str, Any] = {"on_error": "pause", "compensation": "none"}
    definition = saga({"id": "p", "parallel": [act("a", **paused), act("b", **paused)]})
    script: Mapping[str, Any] = {"p/a": no(), "p/b": no(takes=1)}

    async def decide(made: Stage, started: Started) -> None:
        await until_heard(made, started, EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED, 2)
        made.script = {"p/b#2": gives(1)}
        await sagas.operate(made.client, started.id, Verb.RETRY_STEP, Asked("p/b"))
        await made.until("p/b#2")
        await sagas.operate(made.client, started.id, Verb.SKIP_STEP, Asked("p/a"))

    played = play(server.address, definition, script, act=decide, max_cached_workflows=cached)

    assert (played.ended.status, sorted(played.begun)) == ("completed", ["p/a", "p/b", "p/b#2"])


def test_a_request_that_comes_with_the_end_of_a_saga_is_told_that_it_is_over(server: Server) -> None:
    """The last step has ended while no worker was there: the run hears of that first, and is over."""

    async def scenario() -> str:
        async with stage(server.address, only="activities") as made:
            started = await made.start(saga(act("a")))
            forgetful: dict[str, Any] = {"task_queue": made.queue, "only": "workflows", "max_cached_workflows": 0}
            async with build_worker(made.client, **forgetful):
                await made.until("a")
            handle = made.client.get_workflow_handle(started.id)
            while (await handle.describe()).raw_description.pending_activities:
                await asyncio.sleep(0.05)
            asking = asyncio.create_task(handle.execute_update(Verb.ABORT.value, {}))
            async with build_worker(made.client, **forgetful):
                with pytest.raises(SagaOver), known(made.client, started.id):
                    await asking
                return (await made.end(started)).status

    assert asyncio.run(scenario()) == "completed"
