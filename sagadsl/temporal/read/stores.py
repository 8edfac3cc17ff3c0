"""Which databases a server keeps runs and lists in, and what that means for people who work with sagas.

Everything said here about a database was measured: see "Stores and their limits" in docs/deployment.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from weakref import WeakKeyDictionary

from temporalio.api.workflowservice.v1 import GetClusterInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.immutable import Immutable

_PATIENCE = timedelta(seconds=5)
_REFUSALS = (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED)
_SQLITE, _POSTGRESQL = "sqlite", "postgres"
_MEANING: Mapping[str, str] = {
    _SQLITE: "a dev server: unlike PostgreSQL it takes texts over 255 characters, and `STARTS_WITH` ignores case",
    _POSTGRESQL: "whatever others give it over 255 characters (id, type, queue, attribute) is refused, or in no list",
}
"""Keys are beginnings of the names of stores. Nothing was measured with other stores."""


class Stores(Immutable):
    """Stores in the server's own words: ``sqlite``, ``postgres12``, ``mysql8``, ``cassandra``, ``elasticsearch``.

    Attributes:
        persistence: The store of runs.
        visibility: The store of lists.
        why_unknown: Why the server does not name its stores; empty if it does.
    """

    persistence: str = ""
    visibility: str = ""
    why_unknown: str = ""

    @property
    def ignores_case(self) -> bool:
        """Whether a search by the beginning of a text ignores case. No, if the server does not name its stores."""
        return self.visibility.startswith(_SQLITE)

    def __str__(self) -> str:
        if self.why_unknown:
            return f"the server does not say which one it has ({self.why_unknown})"
        if self.persistence == self.visibility:
            named = f"{self.persistence} for runs and lists"
        else:
            named = f"{self.persistence or '?'} for runs, {self.visibility or '?'} for lists"
        meaning = next((text for begin, text in _MEANING.items() if self.visibility.startswith(begin)), "")
        return f"{named}: {meaning or 'its limits were not measured'}"


def is_refusal(error: RPCError) -> bool:
    """Whether an error means that the server does not know the question, or does not let us ask it."""
    return error.status in _REFUSALS


def plain(error: RPCError) -> str:
    """Return the status of an error in words."""
    return error.status.name.lower().replace("_", " ")


async def stores(client: Client) -> Stores:
    """Return the stores of a client's server; the server is asked once for each client."""
    if (known := _KNOWN.get(client)) is None:
        _KNOWN[client] = known = await _asked(client)
    return known


async def _asked(client: Client) -> Stores:
    try:
        answer = await client.workflow_service.get_cluster_info(GetClusterInfoRequest(), timeout=_PATIENCE)
    except RPCError as error:
        if not is_refusal(error):
            raise
        return Stores(why_unknown=plain(error))
    if not answer.persistence_store and not answer.visibility_store:
        return Stores(why_unknown="it answers with nothing")
    return Stores(answer.persistence_store, answer.visibility_store)


_KNOWN: WeakKeyDictionary[Client, Stores] = WeakKeyDictionary()
