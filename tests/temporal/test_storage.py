"""External storage of a user's converter: it carries what is large, and sizes are held to the server's all the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.client import Client

from sagadsl.temporal.link.codec import CodecMissing, reading
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import memo_at_once
from sagadsl.temporal.refusals import InputRefused
from tests.conftest import Server
from tests.engine.scenes import act, gives, no, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, play, replay, stage
from tests.temporal.storage import THRESHOLD, Dictionary, stored

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]


def test_large_data_lies_in_the_storage_and_the_saga_is_the_same(server: Server) -> None:
    """Input, results, output, and what an undo is sent; the histories replay."""
    driver = Dictionary()
    undo = {"activity": "undo.a", "input": "{{ step.output }}"}
    definition = saga(act("a", input="{{ input }}", compensation=undo), act("b"), output="done", name="stored")
    large = "x" * 5 * THRESHOLD

    played = play(
        server.address,
        definition,
        {"do.a": gives(large + "a"), "do.b": no()},
        input_=large,
        codec=stored(driver),
    )

    assert (played.ended.status, played.begun) == ("compensated", ["a", "b", "a.compensation"])
    assert (played.stage.sent["a"], played.stage.sent["a.compensation"]) == (large, large + "a")
    assert len(driver.kept) >= 3


def test_what_is_larger_than_the_server_takes_is_refused_though_the_storage_would_carry_it(server: Server) -> None:
    """A saga does not depend on its storage: decision 14. Nothing is started, or the step is undone, as without one."""
    driver = Dictionary()

    async def scenario() -> tuple[int, Any]:
        async with stage(server.address, {"do.a": gives("x" * 2_100_000)}, codec=stored(driver)) as made:
            with pytest.raises(InputRefused, match="at most 2,000,000 fit"):
                await made.start(saga(plain("a"), name="large"), "x" * 2_100_000)
            kept = len(driver.kept)
            started = await made.start(saga(act("a"), name="large"))
            ended = await made.end(started)
            await replay(made.client, started.id)
            return kept, ended

    kept, ended = asyncio.run(scenario())
    assert kept == 0
    assert ended.status == "compensated"
    assert ended.report["failure"]["type"] == "PayloadTooLarge"


def test_who_lacks_the_storage_is_told_so_and_a_worker_without_it_leaves_the_saga_to_others(server: Server) -> None:
    driver, large = Dictionary(), "x" * 5 * THRESHOLD
    definition = saga(plain("a"), output="{{ input }}", name="stored")

    async def scenario() -> Any:
        async with stage(server.address, codec=stored(driver)) as able:
            queue, client = able.queue, able.client
        bare = await Client.connect(server.address)
        async with stage(server.address, queue=queue) as unable:
            unable.client = client
            started = await unable.start(definition, large)
            async with asyncio.timeout(PATIENCE):
                while not [
                    event
                    async for event in client.get_workflow_handle(started.id).fetch_history_events()
                    if event.HasField("workflow_task_failed_event_attributes")
                ]:
                    await asyncio.sleep(0.1)
        async with stage(server.address, {"do.a": gives("A")}, codec=stored(driver), queue=queue) as able:
            ended = await able.end(started)
            with pytest.raises(CodecMissing, match="lies in an external storage"), reading():
                await runs.result(bare, started.id)
            described = await client.get_workflow_handle(started.id).describe()
            assert (await memo_at_once(bare, started.id, described.raw_description.workflow_execution_info.memo))[
                "saga"
            ]
            return ended

    ended = asyncio.run(scenario())
    assert (ended.status, ended.output) == ("completed", large)
