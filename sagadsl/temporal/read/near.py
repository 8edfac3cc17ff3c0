"""What to say of an id or a name that no saga has: which was probably meant, for how long ended sagas are kept."""

from __future__ import annotations

from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.language.suggest import closest

_LOOKED_AT = 500
"""So many of the newest runs are compared: whoever misspells an id has seen it lately."""
_LIKENESS = 0.85
"""Ids that end in a random part are alike without being meant."""
_BEGINNING = 4
"""The fewest characters that are taken for the beginning of an id."""


async def near(client: Client, id: str) -> str:
    """Return the id of a saga that is nearest to *id*; empty if none is near, or the server keeps no index."""
    known = {each for each, _ in await _newest(client)}
    begun = [each for each in known if each.startswith(id)]
    if len(id) >= _BEGINNING and len(begun) == 1:
        return begun[0]
    return closest(id, known, _LIKENESS) or ""


async def kept(client: Client) -> timedelta | None:
    """Return for how long the namespace keeps runs that have ended; None if the server does not say."""
    try:
        asked = DescribeNamespaceRequest(namespace=client.namespace)
        config = (await client.workflow_service.describe_namespace(asked)).config
    except RPCError:
        return None
    has = config.HasField("workflow_execution_retention_ttl")
    return config.workflow_execution_retention_ttl.ToTimedelta() if has else None


async def near_name(client: Client, name: str) -> str:
    """Return the name of a definition that is nearest to *name*; empty if sagas have it, or none is near."""
    known = {each for _, each in await _newest(client)}
    return "" if name in known else closest(name, known) or ""


async def _newest(client: Client) -> set[tuple[str, str]]:
    """Return the ids and names of the newest sagas; nothing, if the server keeps no index.

    The SDK's own list raises ``ValueError`` as soon as Temporal's own pause holds one of them.
    """
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, page_size=_LOOKED_AT)
    try:
        answer = await client.workflow_service.list_workflow_executions(request, retry=True)
    except RPCError:
        return set()
    return {(each.execution.workflow_id, each.type.name) for each in answer.executions if "saga" in each.memo.fields}
