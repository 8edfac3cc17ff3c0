"""Sagas in workers of a worker deployment: which version goes on with a saga that has begun (docs/deployment.md)."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig

from sagadsl.temporal.ask.migrating import migrate
from sagadsl.temporal.client import packed, signal, start
from sagadsl.temporal.read.histories import runs_of
from sagadsl.temporal.read.runs import result
from sagadsl.temporal.worker import SagaPlugin, build_worker
from tests.conftest import Server
from tests.engine.scenes import saga
from tests.patience import PATIENCE
from tests.temporal.play import SDK_RACE, replay

pytestmark = [pytest.mark.temporal, pytest.mark.filterwarnings(SDK_RACE)]

WAITS = saga(
    {"id": "before", "activity": "who", "compensation": "none"},
    {"id": "wait", "wait_for": {"signal": "go"}},
    {"id": "after", "activity": "who", "compensation": "none"},
    name="waits",
)


def worker(
    client: Client, queue: str, version: str, behavior: VersioningBehavior, *, plugin: bool, upgrades: bool = False
) -> Worker:
    """Return a worker of a version, which is what its activity answers."""

    @activity.defn(name="who")
    async def who() -> str:
        return version

    deployment = WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=queue, build_id=version),
        use_worker_versioning=True,
        default_versioning_behavior=behavior,
    )
    more: dict[str, Any] = {"task_queue": queue, "activities": [who], "deployment_config": deployment}
    if plugin:
        return Worker(client, plugins=[SagaPlugin({"waits": WAITS}, upgrades=upgrades)], **more)
    return build_worker(client, definitions={"waits": WAITS}, drain=timedelta(seconds=1), upgrades=upgrades, **more)


async def make_current(client: Client, queue: str, version: str) -> None:
    """Route sagas to a version, as soon as the server has heard of its worker, and wait until its queues know."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace="default", deployment_name=queue, build_id=version, ignore_missing_task_queues=True
    )
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(RPCError):  # until its worker has polled
                await client.workflow_service.set_worker_deployment_current_version(request)
                break
            await asyncio.sleep(0.2)
        for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
            asked = DescribeTaskQueueRequest(
                namespace="default", task_queue=TaskQueue(name=queue), task_queue_type=kind
            )
            while True:
                found = (await client.workflow_service.describe_task_queue(asked)).versioning_info
                if found.current_deployment_version.build_id == version:
                    break
                await asyncio.sleep(0.1)


async def begun(client: Client, id_: str) -> None:
    """Wait until the first activity of a saga has ended."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async for event in client.get_workflow_handle(id_).fetch_history_events():
                if event.HasField("activity_task_completed_event_attributes"):
                    return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("plugin", [False, True], ids=["ours", "plugin"])
@pytest.mark.parametrize(
    ("behavior", "after"), [(VersioningBehavior.PINNED, "v1"), (VersioningBehavior.AUTO_UPGRADE, "v2")]
)
def test_a_saga_stays_with_its_version_or_goes_on_with_the_next_one(
    server: Server, behavior: VersioningBehavior, after: str, plugin: bool
) -> None:
    """R138."""
    queue = f"versions-{uuid.uuid4().hex[:8]}"

    async def scenario() -> Any:
        client = await Client.connect(server.address)
        async with (
            worker(client, queue, "v1", behavior, plugin=plugin),
            worker(client, queue, "v2", behavior, plugin=plugin),
        ):
            await make_current(client, queue, "v1")
            started = await start(client, WAITS, None, task_queue=queue, by_name=True)
            await begun(client, started.id)
            await make_current(client, queue, "v2")
            await signal(client, started.id, "go", None)
            async with asyncio.timeout(PATIENCE):
                return (await result(client, started.id)).output

    output = asyncio.run(scenario())
    assert (output["before"], output["after"]) == ("v1", after)


@pytest.mark.parametrize("plugin", [False, True], ids=["ours", "plugin"])
def test_a_pinned_saga_continues_as_new_on_the_next_version_when_its_worker_says_so(
    server: Server, plugin: bool
) -> None:
    """R139: at its next event, and once; it is pinned to the next version afterwards."""
    queue = f"versions-{uuid.uuid4().hex[:8]}"
    behavior = VersioningBehavior.PINNED

    async def scenario() -> tuple[Any, int]:
        client = await Client.connect(server.address)
        async with (
            worker(client, queue, "v1", behavior, plugin=plugin, upgrades=True),
            worker(client, queue, "v2", behavior, plugin=plugin, upgrades=True),
        ):
            await make_current(client, queue, "v1")
            started = await start(client, WAITS, None, task_queue=queue, by_name=True)
            await begun(client, started.id)
            await make_current(client, queue, "v2")
            await signal(client, started.id, "go", None)
            async with asyncio.timeout(PATIENCE):
                output = (await result(client, started.id)).output
            await replay(client, started.id)
            return output, len([each async for each in runs_of(client, started.id)])

    output, runs = asyncio.run(scenario())
    assert (output["before"], output["after"], runs) == ("v1", "v2", 2)


def test_a_pinned_saga_that_migrates_goes_over_to_the_current_version(server: Server) -> None:
    """R138: the new definition may call what only the newest workers have."""
    queue = f"versions-{uuid.uuid4().hex[:8]}"
    behavior = VersioningBehavior.PINNED

    async def scenario() -> Any:
        client = await Client.connect(server.address)
        async with (
            worker(client, queue, "v1", behavior, plugin=False),
            worker(client, queue, "v2", behavior, plugin=False),
        ):
            await make_current(client, queue, "v1")
            started = await start(client, WAITS, None, task_queue=queue)
            await begun(client, started.id)
            await make_current(client, queue, "v2")
            package = await packed(client, {**WAITS, "version": "2"}, {})
            await migrate(client, started.id, package)
            await signal(client, started.id, "go", None)
            async with asyncio.timeout(PATIENCE):
                output = (await result(client, started.id)).output
            await replay(client, started.id)
            return output

    output = asyncio.run(scenario())
    assert (output["before"], output["after"]) == ("v1", "v2")


def test_a_worker_with_two_versions_of_a_definition_starts_the_one_that_is_meant(server: Server) -> None:
    """R140: by its name alone the newest, which is also known by its version."""
    queue = f"versions-{uuid.uuid4().hex[:8]}"
    old, new = (
        saga({"id": "only", "set": {"of": text}}, name="two", version=text, output="{{ steps.only.output.of }}")
        for text in ("1", "2")
    )

    async def scenario() -> list[Any]:
        client = await Client.connect(server.address)
        known = {"two": new, "two@1": old}
        async with build_worker(client, task_queue=queue, definitions=known, patience=timedelta(0), inline=False):
            ends = []
            for version in ("", "1", "2", "9"):
                started = await start(client, "two", None, task_queue=queue, version=version)
                ended = await result(client, started.id)
                ends.append(ended.output if ended.error is None else ended.error)
            return ends

    newest, first, second, (error, why) = asyncio.run(scenario())
    assert (newest, first, second, error) == ("2", "1", "2", "DefinitionNotFound")
    assert "no saga `two@9` among this worker's definitions: it has `two`, `two@1`" in why


def test_a_versioned_worker_has_to_say_how_its_sagas_behave(server: Server) -> None:
    async def scenario() -> None:
        client = await Client.connect(server.address)
        worker(client, "any", "v1", VersioningBehavior.UNSPECIFIED, plugin=False)

    with pytest.raises(ValueError, match="must specify a versioning behavior"):
        asyncio.run(scenario())
