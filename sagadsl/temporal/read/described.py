"""What the server says about a run.

The SDK cannot describe a run that Temporal's pause holds, because it does not know that status
(measured with 1.35). So this module reads the server's answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Memo, WorkflowExecution
from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.api.enums.v1 import WorkflowExecutionStatus as Status
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, DescribeWorkflowExecutionResponse
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.immutable import Hidden, Immutable
from sagadsl.temporal.link.codec import CodecFailed, DataUnreadable, of_workflow, reading, tried_once
from sagadsl.temporal.refusals import SagaNotFound, SagaOver, known

_WORDS: Mapping[int, str] = {
    Status.WORKFLOW_EXECUTION_STATUS_RUNNING: "running",
    Status.WORKFLOW_EXECUTION_STATUS_PAUSED: "held",
    Status.WORKFLOW_EXECUTION_STATUS_COMPLETED: "completed",
    Status.WORKFLOW_EXECUTION_STATUS_FAILED: "failed",
    Status.WORKFLOW_EXECUTION_STATUS_CANCELED: "canceled",
    Status.WORKFLOW_EXECUTION_STATUS_TERMINATED: "terminated",
    Status.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: "timed_out",
    Status.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW: "continued_as_new",
}

OPEN = ("running", "held")
"""Temporal's words for a run that has not ended."""


class Described(Immutable):
    """A run as the server describes it.

    Attributes:
        status: Temporal's own status: ``running``, ``held`` (by ``temporal workflow pause``), or how the run closed.
    """

    id: str
    run_id: str
    workflow_type: str
    task_queue: str
    status: str
    close_time: datetime | None
    memo: Mapping[str, Any]
    raw: Hidden[DescribeWorkflowExecutionResponse]

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def held(self) -> Mapping[str, Any] | None:
        """Who has paused the run, why and when; ``None`` for a run that goes on."""
        if self.status != "held":
            return None
        info = self.raw.workflow_extended_info.pause_info
        at = info.paused_time.ToDatetime(UTC) if info.HasField("paused_time") else None
        return {"by": info.identity, "why": info.reason, "at": None if at is None else at.isoformat()}

    @property
    def workers(self) -> Mapping[str, str] | None:
        """The version of its workers to which a run belongs, and how; ``None`` when they have no versions."""
        about = self.raw.workflow_execution_info.versioning_info
        version, behavior = about.deployment_version, about.behavior
        if about.versioning_override.HasField("pinned"):  # an operator has moved it
            version, behavior = about.versioning_override.pinned.version, VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
        elif about.versioning_override.auto_upgrade:
            behavior = VersioningBehavior.VERSIONING_BEHAVIOR_AUTO_UPGRADE
        if not version.build_id:
            return None
        is_pinned = behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
        said = "pinned" if is_pinned else "auto-upgrade"
        return {"deployment": version.deployment_name, "build_id": version.build_id, "versioning": said}


async def describe(client: Client, id: str, *, run_id: str | None = None) -> Described:
    """Return what the server says about a run: without *run_id*, the newest with this id. Raises ``SagaNotFound``."""
    raw = await asked(client, id, run_id)
    info = raw.workflow_execution_info
    return Described(
        info.execution.workflow_id,
        info.execution.run_id,
        info.type.name,
        info.task_queue,
        word(info.status),
        info.close_time.ToDatetime(UTC) if info.HasField("close_time") else None,
        await memo_of(client, id, info.memo),
        raw,
    )


async def asked(client: Client, id: str, run_id: str | None) -> DescribeWorkflowExecutionResponse:
    """Return the same as the server has it: what a codec has encoded stays so. Raises ``SagaNotFound``."""
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=id, run_id=run_id or "")
    )
    try:
        with known(client, id):
            return await client.workflow_service.describe_workflow_execution(request, retry=True)
    except (SagaNotFound, RPCError) as error:
        is_no_run_id = isinstance(error, RPCError) and error.status is RPCStatusCode.INVALID_ARGUMENT
        if run_id and (is_no_run_id or isinstance(error, SagaNotFound)):
            raise SagaNotFound(id, client.namespace, run_id) from None
        raise


async def describe_open(client: Client, id: str) -> Described:
    """Return what the server says about a saga that has not ended. Raises ``SagaNotFound``, ``SagaOver``."""
    described = await describe(client, id)
    if not described.is_open:
        raise SagaOver(id)
    return described


def word(status: int) -> str:
    """Return the word for a status of the server; ``unknown`` for a status that is newer than this program."""
    return _WORDS.get(status, "unknown")


async def memo_of(client: Client, id: str, memo: Memo) -> dict[str, Any]:
    """Return a memo as data, decoded with the client's own codec."""
    with reading():
        return await _memo_of(of_workflow(client, id), memo)


async def memo_at_once(client: Client, id: str, memo: Memo) -> dict[str, Any]:
    """Return a memo as ``memo_of`` does, without waiting for a codec that fails; empty when it cannot be read."""
    try:
        with reading():
            return await _memo_of(tried_once(of_workflow(client, id)), memo)
    except (CodecFailed, DataUnreadable, KeyError):  # KeyError: the SDK's own converter, in somebody's own client
        return {}


async def _memo_of(converter: DataConverter, memo: Memo) -> dict[str, Any]:
    return {key: (await converter.decode([value]))[0] for key, value in memo.fields.items()}
