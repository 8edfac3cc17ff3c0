"""Asks the server which workers a task queue has, and what each says that it knows."""

from __future__ import annotations

from collections.abc import AsyncIterator

from temporalio.api.enums.v1 import TaskQueueType, WorkerStatus
from temporalio.api.worker.v1 import WorkerListInfo
from temporalio.api.workflowservice.v1 import ListWorkersRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.language.versions import of_version
from sagadsl.temporal.read.pollers import described
from sagadsl.temporal.read.stores import is_refusal
from sagadsl.temporal.refusals import NoWorkerKnows
from sagadsl.temporal.work.manifest import Manifest, read

KINDS = {"sagas": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, "activities": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY}


async def need_somebody_who_knows(client: Client, queue: str, saga: str, version: str) -> None:
    """Raise ``NoWorkerKnows`` if the queue has workers, and each says that it lacks this saga (in this version).

    A worker that says nothing may know it: an older one, one in another language, one that has just begun.
    """
    try:
        polling = {each.identity for each in (await described(client, queue, KINDS["sagas"])).pollers}
        heard = {each.worker_identity: each.status async for each in _heard(client, queue)}
        found = await manifests(client, queue)
    except RPCError as error:
        if not is_refusal(error):
            raise
        return
    # the server remembers for minutes that a worker polled that has stopped since
    running = WorkerStatus.WORKER_STATUS_RUNNING
    said = [found.get(identity) for identity in polling if heard.get(identity, running) == running]
    lacking = [each for each in said if each is not None and each.lacks(saga, version)]
    if lacking and len(lacking) == len(said):
        known = {_spelled(each, name, version) for each in lacking for name in each.sagas or ()}
        raise NoWorkerKnows(of_version(saga, version), queue, sorted(known))


def _spelled(worker: Manifest, name: str, version: str) -> str:
    """Return the name of a saga, with its version if one was asked for."""
    return of_version(name, (worker.newest or {}).get(name, "")) if version and "@" not in name else name


async def identities(client: Client, queue: str) -> set[str]:
    """Return the identities of all workers that poll a queue, also of those that have sent no heartbeat yet."""
    answers = [await described(client, queue, number) for number in KINDS.values()]
    return {poller.identity for answer in answers for poller in answer.pollers}


async def manifests(client: Client, queue: str) -> dict[str, Manifest | None]:
    """Return what each worker of a queue that runs has said of itself, by identity."""
    found: dict[str, Manifest | None] = {}
    async for each in _heard(client, queue):
        if each.status == WorkerStatus.WORKER_STATUS_RUNNING:
            offered = (read(plugin.name) for plugin in each.plugins)
            found[each.worker_identity] = next((manifest for manifest in offered if manifest is not None), None)
    return found


async def _heard(client: Client, queue: str) -> AsyncIterator[WorkerListInfo]:
    """Yield the last heartbeats of a queue's workers, also of those that have stopped."""
    token = b""
    while True:
        answer = await client.workflow_service.list_workers(
            ListWorkersRequest(namespace=client.namespace, page_size=100, next_page_token=token)
        )
        for each in answer.workers:
            if each.task_queue == queue:
                yield each
        token = answer.next_page_token
        if not token:
            return
