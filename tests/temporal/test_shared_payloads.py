"""Stored payloads to which several sagas refer: who forgets one of them leaves the others readable, and is told so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.ask import forgetting
from sagadsl.temporal.ask.forgetting import forget
from sagadsl.temporal.ask.replaying import HistoryReplayer
from sagadsl.temporal.link.storage import with_storage
from sagadsl.temporal.link.storage_setting import StorageSetting
from sagadsl.temporal.read import runs, sharers
from sagadsl.temporal.read.histories import runs_of
from sagadsl.temporal.read.payloads_of import payloads_of
from sagadsl.temporal.read.trace import trace
from tests.conftest import SEALED, Server
from tests.engine.scenes import gives, plain, saga
from tests.patience import PATIENCE
from tests.temporal.nexus_handler import Desk, create_endpoint, serving
from tests.temporal.nightly import at_rest, scheduled, triggered
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
            schedule = await scheduled(made, name, "large", LARGE)
            first = await triggered(schedule, 1)
            ends = [await runs.result(made.client, first)]
            found = [await forget(made.client, first, patience=PATIENCE)]
            second = await triggered(schedule, 2)
            ends += [await runs.result(made.client, second)]
            await schedule.delete()
            found += [await forget(made.client, second, patience=PATIENCE)]
            return name, ends, found

    name, ends, found = asyncio.run(scenario())
    assert [each.status for each in ends] == ["completed", "completed"]
    assert (found[0].shared, found[0].shared_with) == (1, (name,))
    assert (found[1].shared, _files(tmp_path)) == (0, set())


@pytest.mark.parametrize("has_begun", [True, False])
def test_the_next_run_of_a_schedule_has_the_result_of_a_run_that_was_forgotten(
    has_begun: bool, tmp_path: Path, server: Server
) -> None:
    """The server hands it on: it stands in what the next run begins with, or waits with the schedule for that one."""
    storing = _storing(tmp_path)
    waits = saga({"id": "ask", "wait_for": {"signal": "go"}}, plain("a"), output="{{ steps.a.output }}", name="large")
    script = {"do.a": gives(LARGE)}

    async def scenario() -> tuple[str, list[str], list[Any], list[Any]]:
        async with stage(server.address, script, codec=storing, definitions=[waits]) as made:
            name = f"nightly-{uuid4().hex}"
            schedule = await scheduled(made, name, "large", "small")
            ids = [await triggered(schedule, 1)]
            await made.client.get_workflow_handle(ids[0]).signal("go")
            ends = [await runs.result(made.client, ids[0])]
            await at_rest(schedule)
            ids += [await triggered(schedule, 2)] if has_begun else []
            found = [await forget(made.client, ids[0], patience=PATIENCE)]
            ids += [] if has_begun else [await triggered(schedule, 2)]
        async with stage(server.address, script, codec=storing, queue=made.queue, definitions=[waits]) as later:
            await later.client.get_workflow_handle(ids[1]).signal("go")  # it has to replay
            async with asyncio.timeout(PATIENCE):
                ends += [await runs.result(later.client, ids[1])]
            await schedule.delete()
            found += [await forget(later.client, ids[1], patience=PATIENCE)]
            return name, ids, ends, found

    name, ids, ends, found = asyncio.run(scenario())
    assert [(each.status, each.output) for each in ends] == [("completed", LARGE)] * 2
    assert found[0].shared == 1
    assert found[0].shared_with == ((ids[1],) if has_begun else (name,))
    assert found[0].as_json()["forgotten"] is False
    assert (found[1].shared, _files(tmp_path)) == (0, set())


@pytest.mark.parametrize("namespace", ["default", SEALED])
def test_both_sides_of_a_nexus_operation_keep_what_one_gave_the_other(
    namespace: str, tmp_path: Path, server: Server
) -> None:
    """The server writes the result into the caller's history, too. Both histories name the other side."""
    storing = _storing(tmp_path)

    async def scenario() -> tuple[Any, list[str], Any, Any, Any]:
        handling = await Client.connect(server.address, namespace=namespace, data_converter=storing)
        async with stage(server.address, codec=storing) as made:
            name = f"e-{uuid4().hex[:12]}"
            await create_endpoint(handling, name, f"q-{name}")
            called = {"endpoint": name, "service": "Payments", "operation": "transfer"}
            step = {"id": "n", "nexus": called, "input": "{{ input }}"}
            calls = saga(step, name="calls", output="{{ steps.n.output }}")
            async with serving(handling, Desk(), f"q-{name}"):
                ended = await made.end(caller := await made.start(calls, LARGE))
            of_caller = await payloads_of(made.client, caller.id, await _run_id(made.client, caller.id))
            (callee,) = (id for of, id in of_caller.workflows if of == namespace and id.startswith("transfer-"))
            of_callee = await payloads_of(handling, callee, await _run_id(handling, callee))
            looked = sharers.Sharers(handling)  # as if it were a saga that is forgotten
            await looked.look([of_callee], [])
            beside = looked.of(of_callee.claims, [await _run_id(handling, callee)])
            found = await forget(made.client, caller.id, patience=PATIENCE)
            return ended, [caller.id, callee], beside, found, await handling.get_workflow_handle(callee).result()

    ended, (caller, callee), beside, found, kept = asyncio.run(scenario())
    assert ended.output == {"transferred": LARGE}
    assert {each.id for named in beside.values() for each in named} == {caller}
    assert (found.left, found.shared, found.shared_with) == ((), 1, (callee,))
    assert kept == {"transferred": LARGE}


async def _run_id(client: Client, id: str) -> str:
    return (await client.get_workflow_handle(id).describe()).run_id


def test_an_error_while_others_are_looked_for_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    """What a run that is gone has stored, nobody finds any more; so `forget` can be repeated."""
    storing = _storing(tmp_path)
    script = {"do.k": gives(LARGE + "k"), "do.a": gives(LARGE + "a")}

    async def scenario() -> tuple[set[str], set[str], int, Any, Any]:
        async with stage(server.address, script, codec=storing) as made:
            started = await made.start(PARENT, LARGE, children={"kid": KID})
            await made.end(started)
            (child,) = [each.id for each in await forgetting.kept_runs(made.client, started.id) if each.child]
            before = _files(tmp_path)

            async def fails(client: Client, id: str, run_id: str) -> Any:
                if id == started.id:
                    raise RPCError("no answer", RPCStatusCode.UNAVAILABLE, b"")
                return await payloads_of(client, id, run_id)

            with monkeypatch.context() as patch:
                patch.setattr(sharers, "payloads_of", fails)
                with pytest.raises(RPCError):
                    await forget(made.client, child, patience=PATIENCE)
            during, kept = _files(tmp_path), len(await forgetting.kept_runs(made.client, child))
            found = await forget(made.client, child, patience=PATIENCE)
            rest = await forget(made.client, started.id, patience=PATIENCE)
            return before, during, kept, found, rest

    before, during, kept, found, rest = asyncio.run(scenario())
    assert (during, kept) == (before, 1)
    assert (found.left, found.stored >= 1, found.shared >= 2) == ((), True, True)
    assert (rest.as_json()["forgotten"], _files(tmp_path)) == (True, set())


def test_an_error_when_runs_are_gone_already_leaves_what_others_may_have_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    storing = _storing(tmp_path)
    asks = [{"id": each, "wait_for": {"signal": each}} for each in ("go", "on")]
    receiver = saga(*asks, output="ok", name="receiver")
    until_gone = forgetting._until_gone

    async def fails(*_: Any) -> Any:
        raise RPCError("no answer", RPCStatusCode.UNAVAILABLE, b"")

    async def scenario() -> tuple[str, set[str], Any]:
        async with stage(server.address, {"do.a": gives(LARGE + "a")}, codec=storing) as made:
            waits = await made.start(receiver)
            send = {"id": "send", "send": {"signal": "go", "to": waits.id, "payload": "{{ input }}"}}
            sends = await made.start(saga(plain("a"), send, name="sender", output="sent"), LARGE)
            await made.end(sends)
            await made.until_status(waits, lambda found: "on" in found["waiting_for"])

            async def then(*of: Any) -> Any:
                left = await until_gone(*of)
                monkeypatch.setattr(sharers, "payloads_of", fails)
                return left

            monkeypatch.setattr(forgetting, "_until_gone", then)
            return waits.id, _files(tmp_path), await forget(made.client, sends.id, patience=PATIENCE)

    id_, before, found = asyncio.run(scenario())
    assert (found.left, found.stored, found.shared >= 2, found.shared_with) == ((), 0, True, (id_,))
    assert found.as_json()["forgotten"] is False
    assert _files(tmp_path) == before
