"""Is everything there that sagas need? One answer for each thing, with what to do about it.

Changes nothing, and prints nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client

from sagadsl.frozen import frozen
from sagadsl.temporal.connection import NotConnected, check_namespace, connect
from sagadsl.temporal.embedded import SEARCH_ATTRIBUTES, ServerNotFound, find_binary
from sagadsl.temporal.index import registered
from sagadsl.temporal.settings import Settings

_KINDS = {"sagas": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, "activities": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY}
_SHOWN = 5


@frozen
class Check:
    """One thing.

    Attributes:
        is_needed: Without it nothing runs; else something is missing that one can do without.
    """

    what: str
    is_well: bool
    found: str
    remedy: str = ""
    is_needed: bool = True

    def as_json(self) -> dict[str, object]:
        """Return what ``doctor`` tells programs."""
        return {
            "what": self.what,
            "ok": self.is_well,
            "needed": self.is_needed,
            "found": self.found,
            "help": self.remedy,
        }


async def examine(settings: Settings, queues: Sequence[str]) -> AsyncIterator[Check]:
    """Look at the server, the namespace, the search attributes, and who polls *queues*."""
    try:
        client = await connect(settings)
    except NotConnected as error:
        yield Check("server", False, error.headline, error.remedy)
        return
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    yield Check("server", True, f"{settings.address.value} answers, version {info.server_version}")
    try:
        await check_namespace(client, settings)
    except NotConnected as error:
        yield Check("namespace", False, error.headline, error.remedy)
        return
    yield Check("namespace", True, f"`{client.namespace}` is there")
    yield await _attributes(client)
    for queue in queues:
        for kind, number in _KINDS.items():
            yield await _pollers(client, queue, kind, number)


async def embedded() -> Check:
    """Look for the server that ``run`` and ``dev`` bring along."""
    try:
        binary = await find_binary()
    except ServerNotFound as error:
        return Check("own server", False, str(error), error.help, is_needed=False)
    return Check("own server", True, binary)


async def _attributes(client: Client) -> Check:
    missing = [name for name in SEARCH_ATTRIBUTES if name not in await registered(client)]
    if not missing:
        return Check("search attributes", True, ", ".join(SEARCH_ATTRIBUTES))
    command = "temporal operator search-attribute create"
    options = " ".join(f"--name {name} --type {SEARCH_ATTRIBUTES[name]}" for name in missing)
    return Check(
        "search attributes",
        False,
        f"{', '.join(missing)} not registered: lists know less of sagas",
        f"{command} {options}",
        is_needed=False,
    )


async def _pollers(client: Client, queue: str, kind: str, number: int) -> Check:
    request = DescribeTaskQueueRequest(namespace=client.namespace, task_queue=TaskQueue(name=queue))
    request.task_queue_type = number  # type: ignore[assignment]
    answer = await client.workflow_service.describe_task_queue(request)
    what = f"{kind} on {queue}"
    if not answer.pollers:
        return Check(what, False, "nobody serves them", f"sagadsl worker --task-queue {queue}")
    now = datetime.now(UTC)
    seen = [(now - each.last_access_time.ToDatetime(UTC)).total_seconds() for each in answer.pollers]
    names = ", ".join(sorted({each.identity for each in answer.pollers})[:_SHOWN])
    count = len(answer.pollers)
    return Check(what, True, f"{count} worker{'s' if count > 1 else ''}, seen {min(seen):.0f}s ago: {names}")
