"""`sagadsl run --worker` on a server that is named: tasks on queues that steps name are other people's."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from tests.cli.shell import inside
from tests.conftest import Server

pytestmark = pytest.mark.temporal


def test_a_run_with_a_worker_polls_the_queue_of_its_saga_alone(server: Server, tmp_path: Path) -> None:
    """It took workflows and activities of another team from the queue that a step names, and failed them for good."""
    own, other = f"own-{uuid.uuid4().hex[:8]}", f"other-{uuid.uuid4().hex[:8]}"
    (tmp_path / "s.saga.yaml").write_text(
        f'sagadsl: 1\nname: calls-others\nversion: "1"\ntask_queue: {own}\nsteps:\n'
        f"  - {{id: pay, activity: theirs.pay, task_queue: {other}, compensation: none,"
        " timeouts: {schedule_to_start: 1s}}\n"
    )
    ran = inside("run", "s.saga.yaml", "--worker", "--address", server.address, cwd=tmp_path)

    assert ran.code == 10, ran.err
    assert f"its steps also call task queue `{other}`, which workers of their own have to serve" in ran.err
    assert asyncio.run(_pollers(server, own)) > 0
    assert asyncio.run(_pollers(server, other)) == 0


async def _pollers(server: Server, queue: str) -> int:
    client, found = await Client.connect(server.address), 0
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        request = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue))
        request.task_queue_type = kind
        found += len((await client.workflow_service.describe_task_queue(request)).pollers)
    return found
