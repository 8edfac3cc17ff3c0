"""What attempts have done when operators and deploys step in: foreign workers and ours, on a real server.

A foreign worker here is `temporalio.worker.Worker` as it is. What it "does" is a list of effects; the undo is
right when it is called although nothing tells the saga that the attempt had its effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio import activity
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
    UpdateActivityOptionsRequest,
)
from temporalio.client import AsyncActivityHandle, Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from sagadsl.status.advice import page
from sagadsl.status.lines import rows
from sagadsl.temporal import client as sagas
from sagadsl.temporal.client import Started
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.following import picture
from sagadsl.temporal.read.runs import Ended
from tests.conftest import Server
from tests.patience import PATIENCE
from tests.temporal.play import replay, stage

pytestmark = pytest.mark.temporal


@dataclass
class ForeignStep:
    """A saga of one step on a foreign queue, and the hands of an operator.

    Attributes:
        done: The attempts that had their effect, and ``undo``.
        began: Set by the activity, when an operator may step in.
    """

    client: Client
    queue: str
    done: list[str] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    started: Started | None = None

    @property
    def run(self) -> WorkflowExecution:
        assert self.started is not None
        return WorkflowExecution(workflow_id=self.started.id)

    async def pending(self) -> PendingActivityInfo | None:
        """Return what the server says of the step's call; ``None`` when it is not under way."""
        handle = self.client.get_workflow_handle(self.run.workflow_id)
        found = (await handle.describe()).raw_description.pending_activities
        return found[0] if found else None

    async def until(self, wanted: Callable[[PendingActivityInfo], bool]) -> PendingActivityInfo:
        while (found := await self.pending()) is None or not wanted(found):
            await asyncio.sleep(0.02)
        return found

    async def pause(self) -> None:
        request = PauseActivityRequest(namespace="default", execution=self.run, id="a", identity="ops")
        await self.client.workflow_service.pause_activity(request)

    async def paused(self) -> None:
        """Pause the attempt that runs, and wait until it has stopped."""
        await self.pause()
        await self.until(lambda each: each.state == PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED)

    async def unpause(self, **how: Any) -> None:
        request = UnpauseActivityRequest(namespace="default", execution=self.run, id="a", identity="ops", **how)
        await self.client.workflow_service.unpause_activity(request)

    async def reset(self, **how: Any) -> None:
        request = ResetActivityRequest(namespace="default", execution=self.run, id="a", identity="ops", **how)
        await self.client.workflow_service.reset_activity(request)

    async def update(self, options: ActivityOptions, *paths: str) -> None:
        request = UpdateActivityOptionsRequest(
            namespace="default",
            execution=self.run,
            id="a",
            identity="ops",
            activity_options=options,
            update_mask=FieldMask(paths=paths),
        )
        await self.client.workflow_service.update_activity_options(request)

    async def by_hand(self) -> AsyncActivityHandle:
        """Return the call as `temporal activity complete` and `fail` take it: from a client of their own."""
        ops = await Client.connect(self.client.service_client.config.target_host, identity="ops")
        return ops.get_async_activity_handle(workflow_id=self.run.workflow_id, run_id=None, activity_id="a")

    async def cancel(self) -> None:
        await sagas.cancel(self.client, self.run.workflow_id)


Work = Callable[[ForeignStep], Awaitable[Any]]
Operator = Callable[[ForeignStep], Awaitable[None]]


def _step(**keys: Any) -> dict[str, Any]:
    timeouts = {"start_to_close": "20s", "heartbeat": "1s"}
    return {"id": "a", "activity": "work", "retry": "none", "timeouts": timeouts, **keys}


@contextlib.asynccontextmanager
async def _foreign_step(server: Server, work: Work, *, ours: bool, serve: bool = True) -> AsyncIterator[ForeignStep]:
    client = await Client.connect(server.address)
    foreign = ForeignStep(client, f"theirs-{uuid.uuid4().hex[:8]}")

    @activity.defn(name="work")
    async def run(_: Any) -> Any:
        return await work(foreign)

    @activity.defn(name="undo")
    async def undo(_: Any) -> None:
        foreign.done.append("undo")

    quick = {"max_heartbeat_throttle_interval": timedelta(milliseconds=100)}
    if ours:
        async with stage(server.address, queue=foreign.queue, activities=[run, undo]):
            yield foreign
    else:
        async with stage(server.address):
            if not serve:
                yield foreign
                return
            async with Worker(client, task_queue=foreign.queue, activities=[run, undo], **quick):  # type: ignore[arg-type]
                yield foreign


def _played(
    server: Server,
    work: Work,
    operator: Operator | None = None,
    *,
    ours: bool = False,
    step: Mapping[str, Any] | None = None,
) -> tuple[Ended, list[str], dict[str, Any]]:
    """Return how the saga ended, what was done and undone, and the step as the status tells it."""

    async def play() -> tuple[Ended, list[str], dict[str, Any]]:
        async with (
            asyncio.timeout(PATIENCE),
            stage(server.address) as own,
            _foreign_step(server, work, ours=ours) as foreign,
        ):
            undo = {"activity": "undo", "task_queue": foreign.queue, "input": "{{ step.idempotency_key }}"}
            calls = {"task_queue": foreign.queue, "input": "{{ idempotency_key }}", "compensation": undo}
            definition = {
                "sagadsl": 1,
                "name": "operated",
                "version": "1",
                "steps": [{**_step(), **(step or {}), **calls}],
            }
            foreign.started = await own.start(definition)
            if operator is not None:
                await operator(foreign)
            ended = await own.end(foreign.started)
            status = await runs.status(own.client, foreign.started.id)
            await replay(own.client, foreign.started.id)
            return ended, foreign.done, status["steps"][0]

    return asyncio.run(play())


async def _beats(foreign: ForeignStep) -> None:
    """Have the effect, and go on until somebody stops it."""
    foreign.done.append("do")
    foreign.began.set()
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)


def _first(first: Work) -> Work:
    """Return an activity whose first attempt is *first*, and whose further ones say no."""
    tried = []

    async def work(foreign: ForeignStep) -> Any:
        tried.append(1)
        if len(tried) == 1:
            return await first(foreign)
        raise ApplicationError("no", type="No", non_retryable=True)

    return work


async def _no(_foreign_step: ForeignStep) -> None:
    raise ApplicationError("no", type="No")


@pytest.mark.parametrize("ours", [False, True])
def test_an_attempt_that_was_paused_is_unknown_when_the_saga_is_cancelled(server: Server, ours: bool) -> None:
    """R5, B24: the server answers the cancel as if the call had never begun."""

    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await foreign.paused()
        await foreign.cancel()

    ended, done, step = _played(server, _beats, operator, ours=ours)
    assert (ended.status, done, step["outcome"]) == ("cancelled", ["do", "undo"], "unknown")


@pytest.mark.parametrize("ours", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_a_no_after_a_pause_says_nothing_of_the_attempt_before(server: Server, ours: bool, again: bool) -> None:
    """R5: unpausing goes on beyond the attempts that are allowed, and may count from 1 again."""

    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await foreign.paused()
        await foreign.unpause(reset_attempts=again)

    ended, done, step = _played(server, _first(_beats), operator, ours=ours)
    assert (ended.status, done, step["outcome"]) == ("compensated", ["do", "undo"], "unknown")
    assert step["error"]["type"] == "No"


@pytest.mark.parametrize("ours", [False, True])
def test_a_call_that_an_operator_fails_by_hand_is_unknown(server: Server, ours: bool) -> None:
    """R5: `temporal activity fail` says nothing of the attempt that still runs."""

    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await (await foreign.by_hand()).fail(ApplicationError("given up", type="ByHand", non_retryable=True))

    ended, done, step = _played(server, _beats, operator, ours=ours)
    assert (ended.status, done, step["outcome"]) == ("compensated", ["do", "undo"], "unknown")
    assert step["error"]["type"] == "ByHand"


@pytest.mark.parametrize("ours", [False, True])
def test_a_call_that_an_operator_completes_by_hand_has_the_result_that_was_given(server: Server, ours: bool) -> None:
    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await (await foreign.by_hand()).complete({"id": 7})

    ended, done, step = _played(server, _beats, operator, ours=ours)
    assert (ended.status, done, step["outcome"]) == ("completed", ["do"], "succeeded")
    assert ended.output == {"a": {"id": 7}}


@pytest.mark.parametrize("ours", [False, True])
def test_an_attempt_that_was_reset_is_unknown(server: Server, ours: bool) -> None:
    """R5: with one attempt allowed the reset itself is the error of the step."""

    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await foreign.reset()

    ended, done, step = _played(server, _beats, operator, ours=ours)
    assert (ended.status, done, step["error"]["type"]) == ("compensated", ["do", "undo"], "ActivityReset")


def test_a_foreign_worker_that_stops_has_not_said_no(server: Server) -> None:
    """R5, M (N1): every deploy stops workers, and the SDK reports it as an error of the activity."""

    async def play() -> tuple[str, list[str], str]:
        async with (
            asyncio.timeout(PATIENCE),
            stage(server.address) as own,
            _foreign_step(server, _no, ours=False, serve=False) as foreign,
        ):

            @activity.defn(name="work")
            async def work(_: Any) -> None:
                foreign.done.append("do")
                foreign.began.set()
                await asyncio.sleep(30)

            @activity.defn(name="undo")
            async def undo(_: Any) -> None:
                foreign.done.append("undo")

            call = {**_step(timeouts={"start_to_close": "20s"}), "task_queue": foreign.queue, "input": "x"}
            call["compensation"] = {"activity": "undo", "task_queue": foreign.queue, "input": "x"}
            definition = {"sagadsl": 1, "name": "deployed", "version": "1", "steps": [call]}
            started = await own.start(definition, None)
            async with Worker(own.client, task_queue=foreign.queue, activities=[work]):
                await foreign.began.wait()
            async with Worker(own.client, task_queue=foreign.queue, activities=[undo]):
                ended = await own.end(started)
            return ended.status, foreign.done, ended.error[0]

    assert asyncio.run(play()) == ("compensated", ["do", "undo"], "WorkerShutdown")


def test_a_foreign_no_of_the_only_attempt_has_nothing_to_undo(server: Server) -> None:
    """R3, R5: the server's record shows that there was one, whatever the definition allows."""
    for retry in ("none", {"maximum_attempts": 3, "non_retryable_error_types": ["No"]}):
        ended, done, step = _played(server, _no, step={"retry": retry})
        assert (ended.status, done, step["outcome"], step["attempts"]) == ("compensated", [], "failed", 1)


def test_a_foreign_no_after_other_attempts_leaves_doubt(server: Server) -> None:
    """R5: the server keeps the last error alone; a deploy's looks like another from here."""
    retry = {"maximum_attempts": 3, "initial_interval": "50ms"}
    ended, done, step = _played(server, _no, step={"retry": retry})
    assert (ended.status, done, step["outcome"], step["attempts"]) == ("compensated", ["undo"], "unknown", 3)


@pytest.mark.parametrize("result", ["x" * 3_000_000, {"a": object()}], ids=["long", "object"])
def test_a_foreign_result_that_cannot_travel_comes_after_the_effect(server: Server, result: Any) -> None:
    """R5: the SDK reports it as an error of the activity, which has run."""

    async def work(foreign: ForeignStep) -> Any:
        foreign.done.append("do")
        return result

    ended, done, step = _played(server, work)
    assert (ended.status, done, step["outcome"]) == ("compensated", ["do", "undo"], "unknown")


@pytest.mark.parametrize("ours", [False, True])
def test_a_reset_repeats_the_numbers_of_attempts(server: Server, ours: bool) -> None:
    """R5: 1 said no, 2 had its effect and hangs, a reset, and the next one is number 2 again."""
    tried: list[int] = []

    async def work(foreign: ForeignStep) -> None:
        tried.append(activity.info().attempt)
        if len(tried) == 2:
            foreign.done.append("do")
            foreign.began.set()
            await asyncio.sleep(30)
        raise ApplicationError("no", type="No", non_retryable=len(tried) > 2)

    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await foreign.reset()

    retry = {"maximum_attempts": 5, "initial_interval": "50ms"}
    step = {"retry": retry, "timeouts": {"start_to_close": "2s"}}
    ended, done, shown = _played(server, work, operator, ours=ours, step=step)
    assert tried == [1, 2, 2]
    assert (ended.status, done, shown["outcome"]) == ("compensated", ["do", "undo"], "unknown")


@pytest.mark.parametrize("ours", [False, True])
def test_limits_that_an_operator_has_changed_are_not_told_as_the_definition_s(server: Server, ours: bool) -> None:
    """`update-options` counts for the attempt that runs, too."""

    async def hangs(foreign: ForeignStep) -> None:
        foreign.done.append("do")
        foreign.began.set()
        await asyncio.sleep(30)

    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await foreign.update(ActivityOptions(start_to_close_timeout=Duration(seconds=1)), "start_to_close_timeout")

    ended, done, shown = _played(server, hangs, operator, ours=ours, step={"timeouts": {"start_to_close": "20s"}})
    assert (ended.status, done) == ("compensated", ["do", "undo"])
    assert shown["error"]["message"] == "start_to_close timeout"
    assert shown["attempts"] == 1


@pytest.mark.parametrize("ours", [False, True])
def test_attempts_that_an_operator_has_forbidden_are_not_counted(server: Server, ours: bool) -> None:
    """Of nine that the definition allows."""

    async def operator(foreign: ForeignStep) -> None:
        await foreign.until(lambda each: each.HasField("last_failure"))
        policy = RetryPolicy(maximum_attempts=2)
        await foreign.update(ActivityOptions(retry_policy=policy), "retry_policy.maximum_attempts")
        await foreign.reset(keep_paused=False)

    retry = {"maximum_attempts": 9, "initial_interval": "300ms", "backoff_coefficient": 1.0}
    _, _, shown = _played(server, _no, operator, ours=ours, step={"retry": retry})
    assert shown["attempts"] == 2


def test_a_step_that_an_operator_has_paused_is_shown_so(server: Server) -> None:
    """With the command that releases it: the saga itself hears nothing of it."""
    seen: list[Any] = []

    async def operator(foreign: ForeignStep) -> None:
        await foreign.began.wait()
        await foreign.paused()
        found = await picture(foreign.client, foreign.run.workflow_id)
        seen.append((found, list(page(found.status, found.attempts, datetime.now(UTC)))))
        await foreign.cancel()

    _played(server, _beats, operator)
    ((found, lines),) = seen
    (row,) = rows(found.status, found.attempts, datetime.now(UTC))
    assert (row.sign, row.state, row.note) == ("‖", "paused", "paused by an operator before attempt 2")
    saga_id = found.status["id"]
    command = f"temporal activity unpause --workflow-id {saga_id} --activity-id a"
    assert f"an operator has paused `a`: {command}" in lines
    assert found.as_json()["attempts"][0]["paused"] is True
