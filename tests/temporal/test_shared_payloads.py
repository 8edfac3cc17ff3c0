"""Stored payloads to which several sagas refer: who forgets one of them leaves the others readable, and is told so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import (
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.converter import DataConverter

from sagadsl.temporal.ask import forgetting
from sagadsl.temporal.ask.forgetting import forget
from sagadsl.temporal.ask.replaying import HistoryReplayer
from sagadsl.temporal.link.storage import with_storage
from sagadsl.temporal.link.storage_setting import StorageSetting
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.histories import runs_of
from sagadsl.temporal.read.trace import trace
from tests.conftest import Server
from tests.engine.scenes import gives, plain, saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, stage

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

LARGE = "hush-" * 10_000
DEFINITION = saga(plain("a", input="{{ input }}"), output="done", name="large")


def _storing(tmp_path: Path) -> DataConverter:
    setting = StorageSetting("file:x", "test", "folder", str(tmp_path / "kept"), 10_000)
    return with_storage(DataConverter.default, setting)


def _files(tmp_path: Path) -> set[str]:
    return {str(each) for each in (tmp_path / "kept").rglob("*") if each.is_file()}


KID = saga(plain("k", input="{{ input }}"), name="kid", output="{{ steps.k.output }}")
PARENT = saga(
    {"id": "kid", "saga": "kid", "input": "{{ input }}"},
    plain("a", input="{{ steps.kid.output }}"),
    name="parent",
    output="{{ steps.kid.output }}",
)


def test_a_saga_can_be_read_after_its_child_was_forgotten_and_forgetting_it_deletes_the_rest(
    tmp_path: Path, server: Server
) -> None:
    """What the child got and gave stands in the parent's history too: it stays, and that is said."""
    storing = _storing(tmp_path)
    script = {"do.k": gives(LARGE + "k"), "do.a": gives(LARGE + "a")}

    async def scenario() -> tuple[Any, Any, Any, Any, set[str]]:
        async with stage(server.address, script, codec=storing) as made:
            started = await made.start(PARENT, LARGE, children={"kid": KID})
            await made.end(started)
            (child,) = [each.id for each in await forgetting.kept_runs(made.client, started.id) if each.child]
            before = _files(tmp_path)
            found = await forget(made.client, child, patience=PATIENCE)
            during = _files(tmp_path)
            assert during < before  # what the child's own step gave is gone
        async with stage(server.address, {}, codec=storing, queue=made.queue) as later:  # it has to replay
            ended = await later.end(started)
            assert (await trace(later.client, started.id)).as_json()
            status = await runs.status(later.client, started.id)
            player = HistoryReplayer(later.client.data_converter, later.client.namespace)
            async for recorded in runs_of(later.client, started.id):
                assert not (await player.replay(recorded)).problem
            assert status["status"] == "completed"
            rest = await forget(later.client, started.id, patience=PATIENCE)
            return started.id, found, ended, rest, _files(tmp_path)

    id_, found, ended, rest, after = asyncio.run(scenario())
    assert (found.left, found.shared_with) == ((), (id_,))
    assert found.shared >= 2
    assert found.stored >= 1
    assert found.as_json()["forgotten"] is False
    assert (ended.status, ended.output) == ("completed", LARGE + "k")
    assert (rest.shared, rest.as_json()["forgotten"], after) == (0, True, set())


def test_the_receiver_of_a_signal_can_be_read_after_its_sender_was_forgotten(tmp_path: Path, server: Server) -> None:
    storing = _storing(tmp_path)
    receiver = saga(
        {"id": "ask", "wait_for": {"signal": "go"}},
        {"id": "more", "wait_for": {"signal": "on"}},
        output="{{ steps.ask.output }}",
        name="receiver",
    )

    async def scenario() -> tuple[str, Any, Any]:
        async with stage(server.address, {"do.a": gives(1)}, codec=storing) as made:
            waits = await made.start(receiver)
            send = {"id": "send", "send": {"signal": "go", "to": waits.id, "payload": "{{ input }}"}}
            sends = await made.start(saga(send, name="sender", output="sent"), LARGE)
            assert (await made.end(sends)).status == "completed"
            await made.until_status(waits, lambda found: "on" in found["waiting_for"])
            found = await forget(made.client, sends.id, patience=PATIENCE)
        async with stage(server.address, {}, codec=storing, queue=made.queue) as later:  # it has to replay
            await later.client.get_workflow_handle(waits.id).signal("on")
            return waits.id, found, await later.end(waits)

    id_, found, ended = asyncio.run(scenario())
    assert (found.shared, found.shared_with) == (1, (id_,))
    assert (ended.status, ended.output) == ("completed", LARGE)


def test_a_schedule_goes_on_after_one_of_its_runs_was_forgotten(tmp_path: Path, server: Server) -> None:
    """All of its runs have the one input that the schedule was given."""
    storing = _storing(tmp_path)

    async def scenario() -> tuple[str, list[Any], list[Any]]:
        async with stage(server.address, {"do.a": gives("a")}, codec=storing, definitions=[DEFINITION]) as made:
            name = f"nightly-{uuid4().hex}"
            action = ScheduleActionStartWorkflow("large", args=[LARGE], id=name, task_queue=made.queue)
            schedule = await made.client.create_schedule(
                name, Schedule(action, ScheduleSpec(), state=ScheduleState(paused=True))
            )
            ids, ends = [], []
            for number in (1, 2):
                await schedule.trigger()
                async with asyncio.timeout(PATIENCE):
                    while len(actions := (await schedule.describe()).info.recent_actions) < number:
                        await asyncio.sleep(0.1)
                begun = actions[-1].action
                assert isinstance(begun, ScheduleActionExecutionStartWorkflow)
                ids.append(begun.workflow_id)
                ends.append(await runs.result(made.client, begun.workflow_id))
                if number == 1:
                    found = [await forget(made.client, begun.workflow_id, patience=PATIENCE)]
            await schedule.delete()
            found += [await forget(made.client, ids[1], patience=PATIENCE)]
            return name, ends, found

    name, ends, found = asyncio.run(scenario())
    assert [each.status for each in ends] == ["completed", "completed"]
    assert (found[0].shared, found[0].shared_with) == (1, (name,))
    assert (found[1].shared, _files(tmp_path)) == (0, set())
