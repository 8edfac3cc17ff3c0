"""The workflow of a job, the activity in which its sagas are asked, and the worker that a gateway is for them.

The workflow lets the activity ask a hundred sagas at a time, and its history keeps their answers. The activity is
repeated when its gateway dies. It knows by its heartbeat who has answered; who is asked twice gets a request with the
same id, which counts once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.workflow import ActivityCancellationType

from sagadsl.gateway.jobs.orders import QUEUE, WORKFLOW, JobOrder, targets_in
from sagadsl.gateway.jobs.verbs import JOB_VERBS, Means
from sagadsl.gateway.requests import log_change
from sagadsl.temporal.ask.many import Addressee, Answered, carried_out

log = logging.getLogger("sagadsl.gateway")

ACTIVITY = "sagadsl.ask_many"
AT_A_TIME = 100
"""How many sagas one activity asks: the answers of so many fit into one event."""

LONGEST_MESSAGE = 500
_BEAT_SECONDS = 0.5
_SILENT = timedelta(seconds=10)
"""Another gateway goes on after so long without a sign of life."""

_AGAIN = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))
_AT_ONCE = 10
"""How many jobs one gateway works on at the same time."""

_RESTART_SECONDS = 5.0


@workflow.defn(name=WORKFLOW, sandboxed=False)
class JobRun:
    """A job: it asks its sagas, a hundred at a time."""

    @workflow.run
    async def run(self, order: dict[str, Any]) -> None:
        """Ask all of them. A cancel lets those answer that have been asked, and closes the run as cancelled."""
        patience = timedelta(hours=1, seconds=AT_A_TIME / order["rate"])
        for first in range(0, len(targets_in(order)), AT_A_TIME):
            asked = await workflow.execute_activity(
                ACTIVITY,
                first,
                result_type=dict[str, Any],
                start_to_close_timeout=patience,
                heartbeat_timeout=_SILENT,
                retry_policy=_AGAIN,
                cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=f"{order['verb']}: from {first + 1}",
            )
            if asked["is_stopped"]:
                raise asyncio.CancelledError


@dataclass(slots=True)
class JobWorker:
    """What a gateway does for jobs."""

    means: Means

    @activity.defn(name=ACTIVITY)
    async def ask_many(self, first: int) -> dict[str, Any]:
        """Ask the sagas of a job from number *first* on, and return their answers."""
        info = activity.info()
        assert info.workflow_id is not None
        assert info.workflow_run_id is not None
        order = await order_of(self.means.client, info.workflow_id, info.workflow_run_id)
        answers: list[dict[str, Any]] = list(info.heartbeat_details[0]) if info.heartbeat_details else []
        answered = {each["key"] for each in answers}
        left = [each for each in order.targets[first : first + AT_A_TIME] if each.key not in answered]
        stop = asyncio.Event()
        asking = asyncio.create_task(self._ask(order, left, answers, stop))
        try:
            while not asking.done():
                activity.heartbeat(answers)
                await asyncio.wait([asking], timeout=_BEAT_SECONDS)
        except asyncio.CancelledError:
            if activity.is_worker_shutdown():  # another gateway goes on, and asks those again that have not answered
                asking.cancel()
                activity.heartbeat(answers)
                raise
            stop.set()
            await asyncio.wait([asking])
        asking.result()
        return {"answers": answers, "is_stopped": stop.is_set()}

    async def _ask(
        self, order: JobOrder, left: list[Addressee], answers: list[dict[str, Any]], stop: asyncio.Event
    ) -> None:
        verb = JOB_VERBS[order.verb]

        async def ask(target: Addressee) -> str:
            return await verb.ask(self.means, order.said, target, order.request_to(target))

        async for answer in carried_out(left, ask, rate=order.rate, stop=stop):
            answers.append(_bounded(answer))
            _audit(order, answer)


def _bounded(answer: Answered) -> dict[str, Any]:
    shown = answer.as_json()
    return shown | {"message": None if shown["message"] is None else shown["message"][:LONGEST_MESSAGE]}


def _audit(order: JobOrder, answer: Answered) -> None:
    result = answer.status if answer.problem is None else answer.problem.code
    target, said = answer.target, {key: str(order.said[key]) for key in ("why", "by")}
    issuer = {"issuer": order.realm} if order.realm else {}
    log_change(order.id, order.who, order.verb, target.id, result, **issuer, step=target.path, **said)


async def order_of(client: Client, workflow_id: str, run_id: str | None) -> JobOrder:
    """Return what a job was started with. Its history has it once, and not with each activity."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    async for event in handle.fetch_history_events(page_size=1):
        sent = event.workflow_execution_started_event_attributes.input
        (data,) = await client.data_converter.decode(sent.payloads, [dict[str, Any]])
        return JobOrder.from_json(data)
    raise LookupError(workflow_id)


async def work_on_jobs(means: Means) -> None:
    """Be a worker for jobs until this task is cancelled; begin again when the connection was lost."""
    asking = JobWorker(means)
    while True:
        worker = Worker(
            means.client,
            task_queue=QUEUE,
            workflows=[JobRun],
            activities=[asking.ask_many],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_activities=_AT_ONCE,
            max_heartbeat_throttle_interval=timedelta(seconds=_BEAT_SECONDS),
            graceful_shutdown_timeout=timedelta(0),
        )
        try:
            await worker.run()
        except Exception as error:  # noqa: BLE001 # without jobs a gateway still serves sagas
            log.warning("the gateway cannot work on jobs, and tries again: %s", error)
            await asyncio.sleep(_RESTART_SECONDS)
