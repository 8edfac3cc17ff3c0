"""What the server's index keeps about sagas: the search attributes that are registered in a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from weakref import WeakKeyDictionary

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.temporal.wire.attributes import SAGA_NAME, SAGA_STATUS, SAGA_VERSION, TYPES

_PATIENCE = timedelta(seconds=5)
_WORDS = {IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{word.upper()}"): word for word in TYPES}


async def registered(client: Client) -> frozenset[str]:
    """Return which of our own search attributes sagas may set in the client's namespace.

    An attribute that has another type than ours is left out: setting it would block a workflow for ever, too.
    """
    return frozenset(name for name, type_ in (await types(client)).items() if type_ == "keyword")


async def usable(client: Client, wanted: Mapping[str, str]) -> dict[str, str]:
    """Return those of the *wanted* search attributes that have been registered with their types."""
    if not wanted:
        return {}
    known = await types(client)
    if any(known.get(name) != type_ for name, type_ in wanted.items()):  # somebody may have registered it since
        known = await types(client, again=True)
    return {name: type_ for name, type_ in wanted.items() if known.get(name) == type_}


async def types(client: Client, *, again: bool = False) -> Mapping[str, str]:
    """Return the types of the search attributes of the client's namespace; ask once for each client, or *again*."""
    known = None if again else _REGISTERED.get(client)
    if known is None:
        try:
            answer = await client.operator_service.list_search_attributes(
                ListSearchAttributesRequest(namespace=client.namespace), timeout=_PATIENCE
            )
            known = {name: _WORDS[type_] for name, type_ in answer.custom_attributes.items() if type_ in _WORDS}
        except RPCError as error:
            if error.status not in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED):
                raise
            known = {}
        _REGISTERED[client] = known
    return known


_REGISTERED: WeakKeyDictionary[Client, Mapping[str, str]] = WeakKeyDictionary()


async def keeps_names(client: Client) -> bool:
    """Return whether the index finds sagas by attributes for their names and versions."""
    return {SAGA_NAME.name, SAGA_VERSION.name} <= await registered(client)


async def keeps_status(client: Client) -> bool:
    """Return whether sagas can tell the index their status, and not only that they are open or have failed."""
    return SAGA_STATUS.name in await registered(client)
