"""Looks up whether the server has a Nexus endpoint: a local activity, since a workflow cannot ask."""

from __future__ import annotations

from temporalio import activity
from temporalio.api.operatorservice.v1 import ListNexusEndpointsRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.immutable import Immutable
from sagadsl.temporal.read.stores import plain
from sagadsl.temporal.wire.marker import ENDPOINT_ACTIVITY, MISSING

THERE, UNKNOWN = "there", "unknown"


class Endpoint(Immutable):
    """What the server says of an endpoint.

    Attributes:
        word: ``there`` or ``missing``; ``unknown`` when the server does not say, or may not say it to this client.
        target: Where it leads to, in words; or why the server does not say.
    """

    word: str
    target: str = ""


@activity.defn(name=ENDPOINT_ACTIVITY)
async def endpoint(name: str) -> str:
    """Return the word for an endpoint."""
    return (await look(activity.client(), name)).word


async def look(client: Client, name: str) -> Endpoint:
    """Ask the server for an endpoint."""
    try:
        answer = await client.operator_service.list_nexus_endpoints(ListNexusEndpointsRequest(name=name))
    except RPCError as error:
        return Endpoint(UNKNOWN, plain(error))
    for each in answer.endpoints:
        if each.spec.name == name:
            target = each.spec.target
            if target.HasField("worker"):
                where = f"task queue `{target.worker.task_queue}` of namespace `{target.worker.namespace}`"
            else:
                where = target.external.url
            return Endpoint(THERE, f"leads to {where}")
    return Endpoint(MISSING)
