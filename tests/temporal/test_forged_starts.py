"""Whoever may start workflows may send anything. What only a run hands on is not taken from a client.

The client here forges: states to go on from, journals to undo, definitions past `--no-inline-definitions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, RespondWorkflowTaskCompletedRequest
from temporalio.client import WorkflowContinuedAsNewError, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ChildWorkflowError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sagadsl.engine.facts import How
from sagadsl.engine.squeeze import packed
from sagadsl.temporal.read import runs
from sagadsl.temporal.run.workflow import CANCEL_ACTIVITY
from sagadsl.temporal.wire.arguments import RunOptions, envelope
from sagadsl.temporal.wire.carry import Carry, is_compressed
from sagadsl.temporal.wire.inheritance import TakeUpRequest
from sagadsl.virtual.calls import Attempt
from tests.conftest import Server
from tests.engine.scenes import act, saga
from tests.patience import PATIENCE
from tests.temporal.play import Stage, replay, stage


@workflow.defn(name="foreign")
class Foreign:
    """Somebody's own workflow that has a saga as its child."""

    @workflow.run
    async def run(self, queue: str, carry: Any) -> str:
        try:
            await workflow.execute_child_workflow("known", args=[None, None, carry], task_queue=queue)
        except ChildWorkflowError as error:
            return getattr(error.cause, "type", None) or repr(error.cause)
        return "completed"


@workflow.defn(name="canceller")
class Canceller:
    """Somebody's own workflow that calls an activity of the worker's own."""

    @workflow.run
    async def run(self, queue: str, workflow_id: str, run_id: str) -> str:
        limit = timedelta(seconds=20)
        try:
            await workflow.execute_activity(
                CANCEL_ACTIVITY, args=[workflow_id, run_id], task_queue=queue, start_to_close_timeout=limit
            )
        except ActivityError as error:
            return getattr(error.cause, "type", None) or repr(error.cause)
        return "cancelled"


KNOWN = saga(act("take", compensation={"activity": "give_back"}), name="known", output="{{ input.amount }}")
WAITING = saga(act("take"), {"id": "w", "wait_for": {"signal": "go"}}, name="waiting")
BROUGHT = saga(act("steal"), name="known")


async def _handle(made: Stage, *args: Any, name: str = "known", **more: Any) -> WorkflowHandle[Any, Any]:
    return await made.client.start_workflow(
        name, args=list(args), id=f"f-{uuid.uuid4()}", task_queue=made.queue, **more
    )


async def _end(made: Stage, handle: WorkflowHandle[Any, Any], run: str | None = None) -> HistoryEvent:
    """Wait for the end of one run, whether the server begins another one or not, and return its last event."""
    one = made.client.get_workflow_handle(handle.id, run_id=run)
    with contextlib.suppress(WorkflowFailureError, WorkflowContinuedAsNewError):
        async with asyncio.timeout(PATIENCE):
            await one.result(follow_runs=False)
    return (await one.fetch_history()).events[-1]


def _error(event: HistoryEvent) -> tuple[str, str]:
    failure = event.workflow_execution_failed_event_attributes.failure
    return failure.application_failure_info.type, failure.message


STATE: dict[str, Any] = {
    "saga_id": "f",
    "run_id": "r",
    "input": {"amount": 1000},
    "records": [{"path": "take", "step": "take", "frame": "", "began": 1, "started_at": 0.0, "progress": "completed",
                 "ended": 2, "outcome": "succeeded", "undo": {}}],
    "undoable": [["take", True]],
}  # fmt: skip


def _compressed(state: dict[str, Any]) -> Payload:
    payload = Carry(state=state).to_payload(10**7)
    assert payload is not None
    assert is_compressed(payload)
    return payload


@pytest.mark.parametrize(
    "carry",
    [
        {"state": STATE},
        {"journal": STATE},
        {"state": packed(STATE | {"input": {"amount": "1" * 300_000}})},
        {"wants_journal": True},
        {"from_folder": True},
        {"refused": [{"signal": "go"}]},
        RawValue(_compressed(STATE | {"input": {"amount": "1" * 300_000}})),
    ],
    ids=["state", "journal", "packed", "wants_journal", "from_folder", "refused", "payload"],
)
@pytest.mark.parametrize("inline", [False, True])
def test_what_a_run_hands_on_is_not_taken_from_a_client(server: Server, carry: Any, inline: bool) -> None:
    """Nothing is done and nothing is undone that no run before has done."""

    async def scenario() -> tuple[tuple[str, str], list[str], str]:
        async with stage(server.address, definitions=[KNOWN], inline=inline) as made:
            handle = await _handle(made, {"amount": 1}, envelope(KNOWN, {}) if inline else None, carry)
            refused = _error(await _end(made, handle))
            await replay(made.client, handle.id)
            return refused, made.begun, (await runs.status(made.client, handle.id))["status"]

    (type_, message), begun, status = asyncio.run(scenario())
    assert (type_, begun, status) == ("CarryRefused", [], "compensated")
    assert "takes only from the run before it or from its parent" in message


@pytest.mark.parametrize("carry", [None, {"state": STATE}], ids=["definition", "state"])
def test_a_run_of_a_cron_schedule_is_no_continued_one(server: Server, carry: Any) -> None:
    """The server repeats the client's own arguments in a run that says from which one it continues."""

    async def scenario() -> list[tuple[str, list[str]]]:
        async with stage(server.address, definitions=[KNOWN], inline=False) as made:
            brought = None if carry else envelope(BROUGHT, {})
            handle = await _handle(made, {"amount": 1}, brought, carry, cron_schedule="@every 1s")
            run, refused = handle.first_execution_run_id, []
            for _ in range(2):
                closed = await _end(made, handle, run)
                refused.append((_error(closed)[0], list(made.begun)))
                run = closed.workflow_execution_failed_event_attributes.new_execution_run_id
            await made.client.get_workflow_handle(handle.id).terminate()
            return refused

    type_ = "CarryRefused" if carry else "InlineDefinitionRefused"
    assert asyncio.run(scenario()) == [(type_, [])] * 2


@pytest.mark.parametrize("carry", [None, {"state": STATE}], ids=["definition", "state"])
def test_a_run_of_a_retry_policy_is_no_continued_one(server: Server, carry: Any) -> None:
    """The same, when the first run has ended before any worker has looked at it."""
    queue = f"q-{uuid.uuid4()}"

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address, definitions=[KNOWN], inline=False) as made:
            made.queue = queue  # which nobody polls
            brought = None if carry else envelope(BROUGHT, {})
            policy = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=100)
            limit = timedelta(seconds=1)
            handle = await _handle(made, {"amount": 1}, brought, carry, retry_policy=policy, run_timeout=limit)
            ended = await _end(made, handle, handle.first_execution_run_id)
        async with stage(server.address, definitions=[KNOWN], inline=False, queue=queue) as made:
            while run := ended.workflow_execution_timed_out_event_attributes.new_execution_run_id:
                ended = await _end(made, handle, run)
            return _error(ended)[0], made.begun

    assert asyncio.run(scenario()) == ("CarryRefused" if carry else "InlineDefinitionRefused", [])


async def _taking_up(made: Stage, queue: str, args: list[Any], *, served: bool) -> WorkflowHandle[Any, Any]:
    """Have a worker take up a run that a client has started where no worker of sagas is, and has killed.

    Args:
        served: The client itself has completed the run's first workflow task.
    """
    id_, service = f"forged-{uuid.uuid4().hex[:12]}", made.client.workflow_service
    first = await made.client.start_workflow("known", args=args, id=id_, task_queue=queue)
    if served:
        task = await service.poll_workflow_task_queue(
            PollWorkflowTaskQueueRequest(namespace="default", task_queue=TaskQueue(name=queue), identity="forger")
        )
        await service.respond_workflow_task_completed(
            RespondWorkflowTaskCompletedRequest(namespace="default", task_token=task.task_token, identity="forger")
        )
    await first.terminate()
    asked = TakeUpRequest(first.first_execution_run_id or "", How.FORWARD, "recover").to_json()
    return await made.client.start_workflow(
        "known", args=[None, None, {"inherit": asked}], id=id_, task_queue=made.queue
    )


def test_a_killed_run_brings_no_definition_past_the_folder(server: Server) -> None:
    """A client may start a run where nobody serves it, and have it recovered by a worker that takes no definitions."""

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address, definitions=[KNOWN], inline=False) as made:
            handle = await _taking_up(made, f"q-{uuid.uuid4()}", [{"amount": 1}, envelope(BROUGHT, {})], served=False)
            refused = _error(await _end(made, handle))
            await replay(made.client, handle.id)
            return refused[0], made.begun

    assert asyncio.run(scenario()) == ("InlineDefinitionRefused", [])


def test_a_killed_run_brings_no_state_that_a_client_has_made(server: Server) -> None:
    """Also when the client has served the run itself, so that its history looks as if the state was accepted."""

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address, definitions=[KNOWN]) as made:
            args = [{"amount": 1}, envelope(KNOWN, {}), {"state": STATE}]
            handle = await _taking_up(made, f"q-{uuid.uuid4()}", args, served=True)
            refused = _error(await _end(made, handle))
            await replay(made.client, handle.id)
            return refused[0], made.begun

    assert asyncio.run(scenario()) == ("CannotRebuild", [])


def _calling(child_queue: str) -> dict[str, Any]:
    return saga({"id": "kid", "saga": "known", "task_queue": child_queue, "input": {"amount": 1}}, name="top")


@pytest.mark.parametrize(
    ("child", "by_name", "begun"),
    [(BROUGHT, False, []), (KNOWN, False, ["take"]), (BROUGHT, True, ["steal"])],
    ids=["another definition of a client", "the same definition", "from the folder of the parent's worker"],
)
def test_a_parent_brings_no_client_s_definition_past_the_folder(
    server: Server, child: dict[str, Any], by_name: bool, begun: list[str]
) -> None:
    """The parent runs where a client may bring its definitions; its child does not."""

    async def scenario() -> tuple[str, list[str]]:
        async with stage(server.address, definitions=[KNOWN], inline=False) as strict:
            top = _calling(strict.queue)
            async with stage(server.address, definitions=[top, child]) as lenient:
                started = await lenient.start(top, children={"known": child}, by_name=by_name)
                ended = await lenient.end(started)
                await replay(lenient.client, started.id)
                await replay(lenient.client, f"{started.id}/kid")
                return ended.error[0] if ended.error else ended.status, strict.begun

    assert asyncio.run(scenario()) == ("completed" if begun else "InlineDefinitionRefused", begun)


def test_what_a_saga_had_from_a_folder_stays_so_when_it_goes_on_in_a_new_run(server: Server) -> None:
    """A child's definition that was pinned is taken though the folder's has changed meanwhile."""
    kid = {"id": "kid", "saga": "known", "input": {"amount": 1}}
    top = saga(act("a"), act("b"), kid, name="top")

    async def scenario() -> tuple[str, list[str]]:
        options = RunOptions(continue_after_events=8)
        async with stage(server.address, definitions=[top, KNOWN], inline=False, options=options) as made:
            started = await made.start(top, by_name=True)
            ended = await made.end(started)
            await replay(made.client, started.id)
            run = await made.client.get_workflow_handle(f"{started.id}/kid").describe()
            assert run.parent_id == started.id
            return ended.status, made.begun

    assert asyncio.run(scenario()) == ("completed", ["a", "b", "take"])


@pytest.mark.parametrize(
    ("journal", "type_"),
    [
        (STATE | {"records": [STATE["records"][0] | {"step": "nix"}]}, "InvalidDefinition"),
        (STATE | {"input": 7}, "InvalidInput"),
    ],
)
def test_a_parent_s_journal_must_be_one_of_this_definition(server: Server, journal: dict[str, Any], type_: str) -> None:
    """A parent may be a workflow of anybody's: what it hands over fails the run at the most."""

    async def scenario() -> tuple[str, list[str]]:
        queue = f"q-{uuid.uuid4()}"
        async with stage(server.address, definitions=[KNOWN | {"input": {"type": "object"}}]) as made:
            client = made.client
            async with Worker(
                client, task_queue=queue, workflows=[Foreign], workflow_runner=UnsandboxedWorkflowRunner()
            ):
                arguments = [made.queue, {"journal": journal}]
                answer = await client.execute_workflow(
                    "foreign", args=arguments, id=f"p-{uuid.uuid4()}", task_queue=queue
                )
            return str(answer), made.begun

    assert asyncio.run(scenario()) == (type_, [])


def test_nobody_has_another_run_cancelled_through_a_worker(server: Server) -> None:
    """The worker's own activity, called as an activity like any other by a workflow of anybody's."""

    async def scenario() -> tuple[str, str]:
        queue = f"q-{uuid.uuid4()}"
        async with stage(server.address, {"take": Attempt(takes=0)}, definitions=[WAITING]) as made:
            victim = await made.start(WAITING)
            await made.until("take")
            client, free = made.client, UnsandboxedWorkflowRunner()
            async with Worker(client, task_queue=queue, workflows=[Canceller], workflow_runner=free):
                arguments = [made.queue, victim.id, victim.run_id]
                answer = await client.execute_workflow(
                    "canceller", args=arguments, id=f"c-{uuid.uuid4()}", task_queue=queue
                )
            await made.client.get_workflow_handle(victim.id).signal("go")
            return str(answer), (await made.end(victim)).status

    assert asyncio.run(scenario()) == ("NotPossible", "completed")
