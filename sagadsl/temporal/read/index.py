"""What the server's index keeps about sagas: the search attributes that are registered in a namespace."""

from __future__ import annotations

from datetime import timedelta
from weakref import WeakKeyDictionary

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.attributes import SAGA_NAME, SAGA_STATUS, SAGA_VERSION

_PATIENCE = timedelta(seconds=5)
_KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD


async def registered(client: Client) -> frozenset[str]:
    """Return the names of the search attributes that sagas may set in the client's namespace; ask once for each client.

    An attribute that has another type than ours is left out: setting it would block a workflow for ever, too.
    """
    if (known := _REGISTERED.get(client)) is None:
        try:
            answer = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=client.namespace), timeout=_PATIENCE
            )
            known = frozenset(name for name, type_ in answer.custom_attributes.items() if type_ == _KEYWORD)
        except RPCError as error:
            if error.status not in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED):
                raise
            known = frozenset()
        _REGISTERED[client] = known
    return known


_REGISTERED: WeakKeyDictionary[Client, frozenset[str]] = WeakKeyDictionary()


async def keeps_names(client: Client) -> bool:
    """Return whether the index finds sagas by attributes for their names and versions."""
    return {SAGA_NAME.name, SAGA_VERSION.name} <= await registered(client)


async def keeps_status(client: Client) -> bool:
    """Return whether sagas can tell the index their status, and not only that they are open or have failed."""
    return SAGA_STATUS.name in await registered(client)
