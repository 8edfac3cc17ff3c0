"""Sagas that send signals to other workflows (R105, R106, R107)."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import pytest
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sagadsl.engine.facts import How
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.trace import trace
from sagadsl.temporal.refusals import CannotTakeUp
from tests.conftest import Server
from tests.engine.scenes import act, no, plain, saga
from tests.temporal.codecs import base64_codec
from tests.temporal.play import SDK_RACE, replay, reset, stage
from tests.temporal.test_recovery import kill_at, recover

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

ASK = {"id": "ask", "send": {"signal": "asked", "to": "{{ input.to }}", "payload": {"by": "{{ saga.id }}"}}}
WAIT = {
    "id": "asked",
    "wait_for": {"signal": "asked", "timeout": "1h", "payload": {"type": "object", "required": ["by"]}},
}


def test_a_signal_says_who_has_sent_it_and_is_checked_by_its_receiver(server: Server) -> None:
    """R105: what the receiver refuses, the sender does not hear of."""
    sender = saga({"id": "wrong", "send": {"signal": "asked", "to": "{{ input.to }}"}}, ASK, name="sender")
    receiver = saga(WAIT, name="receiver")

    async def scenario() -> None:
        async with stage(server.address, definitions=[sender, receiver]) as made:
            there = await made.start(receiver)
            here = await made.start(sender, {"to": there.id})
            assert (await made.end(here)).output == {"wrong": None, "ask": None}
            assert (await made.end(there)).output == {"asked": {"by": here.id}}
            status = await runs.status(made.client, there.id)
            assert status["steps"][0]["sender"]["by"] == here.id
            (refused,) = status["refused_signals"]
            assert (refused["signal"], refused["by"], refused["request"]) == ("asked", here.id, f"{here.id}/wrong/do")
            sent = (await runs.status(made.client, here.id))["steps"][1]
            assert (sent["kind"], sent["to"], sent["outcome"]) == ("send", there.id, "succeeded")

    asyncio.run(scenario())


@pytest.mark.parametrize("has_ended", [False, True], ids=["never was", "has ended"])
def test_where_nobody_is_the_step_fails_and_nothing_has_happened(server: Server, has_ended: bool) -> None:
    """R105."""
    sender = saga(act("a"), {**ASK, "compensation": {"activity": "do.never"}}, name="sender")

    async def scenario() -> None:
        async with stage(server.address, definitions=[sender]) as made:
            receiver = f"t-{uuid.uuid4().hex[:12]}"
            if has_ended:
                await made.end(await made.start(saga(plain("x"), name="receiver"), id=receiver))
            ended = await made.end(await made.start(sender, {"to": receiver}))
            assert ended.report is not None
            assert (ended.status, ended.report["undone"]) == ("compensated", ["a"])
            assert ended.report["failure"] == {
                "type": "SignalNotDelivered",
                "message": f"signal `asked` was not delivered to `{receiver}`: no workflow of this id is running",
                "step": "ask",
            }
            assert "ask.compensation" not in made.begun

    asyncio.run(scenario())


def test_a_receiver_that_begins_late_is_waited_for(server: Server) -> None:
    """The policy waits in the saga; each try is a call of its own in the history."""
    sender = saga({**ASK, "retry": {"maximum_attempts": "unlimited", "initial_interval": "100ms"}}, name="sender")
    receiver = saga(WAIT, name="receiver")

    async def scenario() -> None:
        async with stage(server.address, definitions=[sender, receiver]) as made:
            id_ = f"t-{uuid.uuid4().hex[:12]}"
            here = await made.start(sender, {"to": id_})
            await made.until_status(here, lambda found: found["steps"][0].get("tries", 1) > 2)
            there = await made.start(receiver, id=id_)
            assert (await made.end(here)).status == "completed"
            assert (await made.end(there)).output == {"asked": {"by": here.id}}
            calls = (await trace(made.client, here.id)).calls
            assert {each.name for each in calls} == {f"signal asked to {id_}"}
            assert (calls[0].path, calls[0].status, calls[1].path) == ("ask", "failed", "ask#2")
            assert (calls[-1].status, calls[-1].input) == ("completed", {"by": here.id})

    asyncio.run(scenario())


def test_what_a_step_sends_twice_counts_once(server: Server) -> None:
    """R106: after a reset the step sends once more, in a new run, and the receiver still waits for another one."""
    sender = saga(ASK, {"id": "wait", "wait_for": {"signal": "go"}}, name="sender")
    receiver = saga({"id": "both", "for_each": {"items": [1, 2]}, "steps": [WAIT]}, name="receiver")

    async def scenario() -> None:
        async with stage(server.address, definitions=[sender, receiver]) as made:
            there = await made.start(receiver)
            here = await made.start(sender, {"to": there.id})
            await made.until_status(here, lambda found: bool(found["waiting_for"]))
            await reset(made.client, here.id)
            again = await made.until_status(here, lambda found: bool(found["waiting_for"]))
            assert again["run_id"] != here.run_id
            signals = [each for each in (await trace(made.client, there.id)).outside if each.what == "signalled"]
            assert [each.data for each in signals] == [{"by": here.id}] * 2
            status = await runs.status(made.client, there.id)
            assert (status["waiting_for"], status["kept_signals"]) == ({"asked": ["both[1]/asked"]}, {})
            await sagas.signal(made.client, there.id, "asked", {"by": "another"})
            output = [{"asked": {"by": here.id}}, {"asked": {"by": "another"}}]
            assert (await made.end(there)).output == {"both": output}
            await sagas.signal(made.client, here.id, "go")
            assert (await made.end(here)).status == "completed"
            await replay(made.client, here.id)

    asyncio.run(scenario())


def test_a_saga_that_failed_later_takes_its_word_back_by_another_signal(server: Server) -> None:
    sender = saga({**ASK, "compensation": {"send": {**ASK["send"], "signal": "withdrawn"}}}, plain("b"), name="sender")
    receiver = saga(WAIT, {"id": "withdrawn", "wait_for": {"signal": "withdrawn"}}, name="receiver")

    async def scenario() -> None:
        async with stage(server.address, {"do.b": no()}, definitions=[sender, receiver]) as made:
            there = await made.start(receiver)
            ended = await made.end(await made.start(sender, {"to": there.id}))
            assert ended.report is not None
            assert (ended.status, ended.report["undone"]) == ("compensated", ["ask"])
            assert (await made.end(there)).status == "completed"

    asyncio.run(scenario())


@pytest.mark.parametrize("event", [3, 4, 5, 6, 7, 9])
def test_a_run_that_the_server_ends_around_a_send_goes_on_and_has_sent_once(server: Server, event: int) -> None:
    """R105, R106: the history tells whether the signal has left, and a second one counts as the same."""
    sender = saga(ASK, plain("b", timeouts={"start_to_close": "1s"}), name="sender")
    receiver = saga({"id": "both", "for_each": {"items": [1, 2]}, "steps": [WAIT]}, name="receiver")

    async def scenario() -> None:
        async with stage(server.address, definitions=[sender, receiver]) as made:
            there = await made.start(receiver)
            here = await made.start(sender, {"to": there.id})
            if await kill_at(made, here, event):
                with contextlib.suppress(CannotTakeUp):  # it was killed before it had begun
                    again = await recover(made, here, How.FORWARD)
                    assert (await made.end(again)).status == "completed"
            status = await runs.status(made.client, there.id)
            counted = [each["path"] for each in status["steps"] if each.get("sender")]
            assert counted in ([], ["both[0]/asked"])
            if (await runs.status(made.client, here.id))["status"] == "completed":
                assert counted == ["both[0]/asked"]
                assert (status["waiting_for"], status["kept_signals"]) == ({"asked": ["both[1]/asked"]}, {})

    asyncio.run(scenario())


@workflow.defn(name="ledger")
class Ledger:
    """A workflow that is no saga, and declares its signals with one argument, and with none."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    @workflow.run
    async def run(self) -> list[Any]:
        await workflow.wait_condition(lambda: len(self.heard) == 2)
        return self.heard

    @workflow.signal
    def note(self, payload: dict[str, Any]) -> None:
        self.heard.append(payload)

    @workflow.signal
    def done(self) -> None:
        self.heard.append("done")


def test_a_workflow_of_ones_own_gets_the_payload_alone(server: Server) -> None:
    to = {"to": "{{ input.to }}", "plain": True}
    sender = saga(
        {"id": "note", "send": {**to, "signal": "note", "payload": {"key": "{{ idempotency_key }}"}}},
        {"id": "done", "send": {**to, "signal": "done"}},
        name="sender",
    )

    async def scenario() -> None:
        async with stage(server.address, definitions=[sender]) as made:
            queue, id_ = f"q-{uuid.uuid4().hex[:12]}", f"t-{uuid.uuid4().hex[:12]}"
            runner = UnsandboxedWorkflowRunner()
            async with Worker(made.client, task_queue=queue, workflows=[Ledger], workflow_runner=runner):
                ledger = await made.client.start_workflow(Ledger.run, id=id_, task_queue=queue)
                here = await made.start(sender, {"to": id_})
                assert (await made.end(here)).status == "completed"
                assert await ledger.result() == [{"key": f"{here.id}/note/do"}, "done"]

    asyncio.run(scenario())


def test_a_codec_encodes_what_is_sent_and_the_history_still_tells_which_step_has_sent_it(server: Server) -> None:
    sender, receiver = saga(ASK, name="sender"), saga(WAIT, name="receiver")

    async def scenario() -> None:
        async with stage(server.address, definitions=[sender, receiver], codec=base64_codec()) as made:
            there = await made.start(receiver)
            here = await made.start(sender, {"to": there.id})
            assert (await made.end(there)).output == {"asked": {"by": here.id}}
            assert (await made.end(here)).status == "completed"
            (call,) = (await trace(made.client, here.id)).calls
            assert (call.path, call.input) == ("ask", {"by": here.id})

    asyncio.run(scenario())
