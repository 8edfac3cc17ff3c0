"""R134: a workflow task that takes over from a lost one hears first what that one had heard.

The server refuses the end of a workflow task if something has come while its local calls ran. So every cancel and
every signal that comes then loses a task, without any crash. `tests/crash/test_local_overtaken.py` kills workers.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.client import Client
from temporalio.converter import PayloadConverter
from temporalio.worker import Replayer, Worker

from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.run.in_turn import ASK, FLAG, Turn
from sagadsl.temporal.wire.lost_tasks import LOST_ACTIVITY
from sagadsl.temporal.worker import SagaPlugin
from tests.conftest import Server
from tests.engine.scenes import act, saga, slow
from tests.patience import PATIENCE
from tests.temporal.play import Stage, play, replay, stage

pytestmark = pytest.mark.temporal

FAILED = "WORKFLOW_TASK_FAILED"


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_cancel_during_the_last_local_calls_leaves_none_of_them_out(server: Server, at: str) -> None:
    """All of them had been made when the cancel was heard; it came too late."""

    async def cancel(made: Stage, started: Started) -> None:
        await made.until(at)
        await made.client.get_workflow_handle(started.id).cancel()

    definition = saga(act("a", local=True), act("b", local=True))

    played = play(server.address, definition, {"do.a": slow(0.5), "do.b": slow(0.5)}, act=cancel)

    assert played.events.count(FAILED) == 1
    assert played.ended.status == "completed"
    assert [each for each in played.calls if "compensation" in each] == []


def test_a_signal_during_the_last_local_calls_makes_them_again_under_their_keys(server: Server) -> None:
    async def tell(made: Stage, started: Started) -> None:
        await made.until("a")
        await sagas.signal(made.client, started.id, "go")

    wait = {"id": "go", "wait_for": {"signal": "go", "timeout": "1h"}, "if": "false"}
    definition = saga(act("a", local=True), wait, act("b", local=True))

    played = play(server.address, definition, {"do.a": slow(0.5)}, act=tell)

    assert (played.ended.status, played.calls) == ("completed", ["a", "b"])
    assert all(len(set(keys)) == 1 and len(keys) == 2 for keys in played.stage.keys.values())


def test_a_cancel_before_the_first_attempt_begins_nothing(server: Server) -> None:
    """Nothing was lost, so nothing is kept back, and the history has no question."""

    async def main() -> tuple[str, list[str], int]:
        queue = f"q-{uuid.uuid4().hex[:12]}"
        client = await Client.connect(server.address)
        started = await sagas.start(client, saga(act("a", local=True)), {}, task_queue=queue)
        handle = client.get_workflow_handle(started.id)
        await handle.cancel()
        async with stage(server.address, queue=queue) as made:
            ended = await made.end(started)
        return ended.status, made.begun, await questions(client, started.id)

    status, begun, asked = asyncio.run(main())

    assert (status, asked) == ("cancelled", 0)
    assert "a" not in begun


def test_things_that_come_at_once_are_asked_about_and_heard_at_once_if_nothing_was_lost(server: Server) -> None:
    """The cancel that came with the signal is heard with it: the local call behind the wait does not begin."""

    async def main() -> tuple[str, list[str], int]:
        queue = f"q-{uuid.uuid4().hex[:12]}"
        wait = {"id": "go", "wait_for": {"signal": "go", "timeout": "1h"}}
        async with stage(server.address, queue=queue) as made:
            started = await made.start(saga(act("a", local=True), wait, act("b", local=True)))
            await made.until_status(started, lambda status: "go" in status["waiting_for"])
        await sagas.signal(made.client, started.id, "go")
        await made.client.get_workflow_handle(started.id).cancel()
        async with stage(server.address, queue=queue) as second:
            ended = await second.end(started)
            await replay(second.client, started.id)
        return ended.status, second.begun, await questions(second.client, started.id)

    status, begun, asked = asyncio.run(main())

    assert (status, asked) == ("cancelled", 1)
    assert "a.compensation" in begun
    assert "b" not in begun


async def questions(client: Client, saga: str) -> int:
    """Return how often a run has asked what a lost workflow task had heard."""
    history = await client.get_workflow_handle(saga).fetch_history()
    return sum(LOST_ACTIVITY.encode() in each.SerializeToString() for each in history.events)


@pytest.mark.parametrize("events", [6, 8, 10])
def test_what_is_kept_back_is_heard_before_a_run_continues_as_new(server: Server, events: int) -> None:
    """The second signal comes while a local call runs, and waits until it has been made again."""

    async def tell(made: Stage, started: Started) -> None:
        handle = made.client.get_workflow_handle(started.id)
        await made.until_status(started, lambda status: "go" in status["waiting_for"])
        await handle.signal("go", None)
        await made.until("a")
        await handle.signal("then", None)

    waits = [{"id": name, "wait_for": {"signal": name, "timeout": "1h"}} for name in ("go", "then")]
    definition = saga(waits[0], act("a", local=True), waits[1], act("b", local=True))

    played = play(server.address, definition, {"do.a": slow(0.5)}, act=tell, options={"continue_after_events": events})

    assert (played.ended.status, played.calls) == ("completed", ["a", "b"])


@workflow.defn(sandboxed=False)
class OfOthers:
    """A workflow of another team on the same worker, which makes a local call and takes a signal."""

    def __init__(self) -> None:
        self._told: list[str] = []

    @workflow.run
    async def run(self) -> list[str]:
        self._told.append("begun")
        await workflow.execute_local_activity("poke", start_to_close_timeout=timedelta(seconds=PATIENCE))
        return self._told

    @workflow.signal
    def tell(self) -> None:
        self._told.append("told")


def test_workflows_of_others_hear_everything_as_the_sdk_gives_it(server: Server) -> None:
    begun, told = asyncio.Event(), asyncio.Event()

    @activity.defn
    async def poke() -> None:
        begun.set()
        await told.wait()

    async def main() -> list[str]:
        client = await Client.connect(server.address)
        queue = f"q-{uuid.uuid4().hex[:12]}"
        async with Worker(client, task_queue=queue, workflows=[OfOthers], activities=[poke], plugins=[SagaPlugin()]):
            handle = await client.start_workflow("OfOthers", id=queue, task_queue=queue)
            await begun.wait()
            await handle.signal("tell")
            told.set()
            found: list[str] = await handle.result()
        history = await handle.fetch_history()
        await Replayer(workflows=[OfOthers], plugins=[SagaPlugin()]).replay_workflow(history)
        assert await questions(client, queue) == 0
        return found

    assert asyncio.run(main()) == ["told", "begun"]


class Recorder:
    """A run that begins a local activity for each signal, and one to ask when it is asked to."""

    def __init__(self) -> None:
        self.heard: list[list[str]] = []
        self._seq = 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        done = WorkflowActivationCompletion()
        done.successful.SetInParent()
        self.heard.append([_name(job) for job in act.jobs])
        for job in act.jobs:
            if job.HasField("signal_workflow"):
                self._seq += 1
                asks = job.signal_workflow.signal_name == ASK
                local = done.successful.commands.add().schedule_local_activity
                local.seq, local.activity_type = self._seq, LOST_ACTIVITY if asks else "work"
        return done


def _name(job: Any) -> str:
    match job.WhichOneof("variant"):
        case "signal_workflow":
            return str(job.signal_workflow.signal_name)
        case "fire_timer":
            return f"timer {job.fire_timer.seq}"
        case "resolve_activity":
            return f"end {job.resolve_activity.seq}"
        case other:
            return str(other).removesuffix("_workflow")


def activation(*jobs: str, length: int = 20) -> WorkflowActivation:
    """Return an activation: `cancel`, `timer 3`, `end 3` for a local activity, or a signal."""
    made = WorkflowActivation(history_length=length)
    for each in jobs:
        what, _, number = each.partition(" ")
        job = made.jobs.add()
        if each == "cancel":
            job.cancel_workflow.SetInParent()
        elif what == "timer":
            job.fire_timer.seq = int(number)
        elif what == "end":
            job.resolve_activity.seq, job.resolve_activity.is_local = int(number), True
        else:
            job.signal_workflow.signal_name = each
    return made


def answered(answer: Any) -> WorkflowActivation:
    """Return the activation with the answer to the question; ``None``: nobody has answered."""
    made = activation("end 1")
    if answer is None:
        made.jobs[0].resolve_activity.result.failed.SetInParent()
    else:
        payload = PayloadConverter.default.to_payload(answer)
        made.jobs[0].resolve_activity.result.completed.result.CopyFrom(payload)
    return made


ALL = ("one", "two", "timer 7", "cancel")


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        ([], [["end 1", "one", "two", "timer 7", "cancel"]]),
        (
            [{"signal": 1, "cancel": 1, "timer": 1}],
            [["end 1", "one"], ["end 2"], ["two", "timer 7", "cancel"]],
        ),
        (
            [{"signal": 2, "cancel": 1}, {"signal": 1}],
            [["end 1", "timer 7"], ["one", "cancel"], ["end 2"], ["two"]],
        ),
        (None, [["end 1", "timer 7"], ["one", "two", "cancel"]]),
        ("nonsense", [["end 1", "timer 7"], ["one", "two", "cancel"]]),
    ],
)
def test_what_each_lost_task_had_heard_comes_first(answer: Any, heard: list[list[str]]) -> None:
    """What nobody knows is heard in the order that asks least of luck: first what the run itself has begun."""
    run = Recorder()
    turn = Turn(run.activate, PayloadConverter.default)
    turn.calls_locally()

    turn.activate(activation(*ALL))
    assert run.heard == [[ASK]]
    turn.activate(answered(answer))
    for ended in range(2, 9):
        if len(run.heard) > len(heard):
            break
        turn.activate(activation(f"end {ended}"))

    assert run.heard[1:] == heard


def test_what_comes_while_a_run_keeps_something_back_is_kept_back_too() -> None:
    run = Recorder()
    turn = Turn(run.activate, PayloadConverter.default)
    turn.calls_locally()

    turn.activate(activation("one", "two"))
    turn.activate(answered([{"signal": 1}]))
    turn.activate(activation("cancel", length=25))
    turn.activate(activation("end 2", length=25))

    assert run.heard == [[ASK], ["end 1", "one"], [], ["end 2"], ["two", "cancel"]]


def test_a_run_that_began_before_is_replayed_as_it_was() -> None:
    run = Recorder()
    turn = Turn(run.activate, PayloadConverter.default)
    turn.calls_locally()
    old, new = activation(*ALL), activation(*ALL)
    old.is_replaying = new.is_replaying = True
    new.available_internal_flags.append(FLAG)

    turn.activate(old)
    turn.activate(new)

    assert run.heard == [list(ALL), [ASK]]
