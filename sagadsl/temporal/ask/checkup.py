"""Checks that everything is there that sagas need: one result for each thing, with what to do about it.

It changes nothing and prints nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from shlex import quote

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from sagadsl.immutable import Immutable, field
from sagadsl.language.suggest import counted, listed
from sagadsl.temporal.ask.rollout import rollout
from sagadsl.temporal.ask.workers import KINDS, identities, manifests
from sagadsl.temporal.link.connection import NotConnected, check_namespace, connect
from sagadsl.temporal.link.embedded import ServerNotFound
from sagadsl.temporal.link.server_process import SEARCH_ATTRIBUTES, binary_at_hand
from sagadsl.temporal.link.settings import ConnectionSettings
from sagadsl.temporal.read.index import types
from sagadsl.temporal.read.pollers import described
from sagadsl.temporal.read.stores import is_refusal, plain, stores
from sagadsl.temporal.wire.attributes import TYPES
from sagadsl.temporal.wire.marker import MISSING
from sagadsl.temporal.wire.nexus import how_to_create
from sagadsl.temporal.work.endpoints import UNKNOWN, look
from sagadsl.temporal.work.manifest import Manifest

_SHOWN = 5
NONE: Mapping[str, str] = {}


class QueueNeeds(Immutable):
    """What a task queue's workers should know.

    Attributes:
        sagas: Fingerprints of definitions by name, see ``manifest``.
    """

    sagas: Mapping[str, str] = field(default_factory=dict)
    activities: frozenset[str] = frozenset()


class CheckResult(Immutable):
    """What was found out about one thing.

    Attributes:
        is_needed: Nothing runs without it; if false, sagas can do without it.
        more: Further data for programs.
    """

    what: str
    is_well: bool
    found: str
    remedy: str = ""
    is_needed: bool = True
    more: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return what ``doctor`` tells programs."""
        return {
            "what": self.what,
            "ok": self.is_well,
            "needed": self.is_needed,
            "found": self.found,
            "help": self.remedy,
            **self.more,
        }


async def examine(
    settings: ConnectionSettings,
    needs: Mapping[str, QueueNeeds],
    attributes: Mapping[str, str] = NONE,
    endpoints: Iterable[str] = (),
    *,
    creates: bool = False,
) -> AsyncIterator[CheckResult]:
    """Look at the server, the namespace, the search attributes, and who polls the queues and knows what they need.

    Args:
        attributes: The search attributes that definitions use, each with its type.
        endpoints: The Nexus endpoints that they name.
        creates: Register the search attributes that are missing.
    """
    try:
        client = await connect(settings)
    except NotConnected as error:
        yield CheckResult("server", False, error.headline, error.remedy)
        return
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    yield CheckResult("server", True, f"{settings.address.value} answers, version {info.server_version}")
    try:
        await check_namespace(client, settings)
    except NotConnected as error:
        yield CheckResult("namespace", False, error.headline, error.remedy)
        return
    yield CheckResult("namespace", True, f"`{client.namespace}` is there")
    yield await _store(client)
    yield await _attributes(client, attributes, creates=creates)
    for endpoint in endpoints:
        yield await _endpoint(client, endpoint)
    for queue, needed in needs.items():
        for kind, number in KINDS.items():
            yield await _pollers(client, queue, kind, number)
        async for each in _versions(client, queue):
            yield each
        async for each in compared(client, queue, needed):
            yield each


async def embedded() -> CheckResult:
    """Look for the server that ``run`` and ``dev`` bring along."""
    if binary := binary_at_hand():
        return CheckResult("own server", True, binary)
    # only `run` downloads: who looks must change nothing
    found = "no `temporal` command is here; `sagadsl run` without an address would download one"
    return CheckResult("own server", False, found, ServerNotFound("").help, is_needed=False)


async def _store(client: Client) -> CheckResult:
    found = await stores(client)
    named = {"persistence_store": found.persistence, "visibility_store": found.visibility}
    return CheckResult("store", True, str(found), is_needed=False, more=named)


async def _attributes(client: Client, used: Mapping[str, str], *, creates: bool) -> CheckResult:
    """Look which search attributes are there: our own, and those that definitions use; register what is missing."""
    wanted = {**dict.fromkeys(SEARCH_ATTRIBUTES, "keyword"), **used}
    known = await types(client, again=True)
    others = [
        f"`{name}` is {known[name]}, not {type_}" for name, type_ in wanted.items() if known.get(name, type_) != type_
    ]
    missing = [name for name in wanted if name not in known]
    if missing and creates:
        request = AddSearchAttributesRequest(namespace=client.namespace)
        for name in missing:
            request.search_attributes[name] = IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{wanted[name].upper()}")
        await client.operator_service.add_search_attributes(request)
        await types(client, again=True)
        missing = []
    if others:
        remedy = "give them another name in the definitions: the server never changes a type"
        return CheckResult("search attributes", False, "; ".join(others), remedy, is_needed=False)
    if not missing:
        return CheckResult("search attributes", True, ", ".join(wanted))
    command = "temporal operator search-attribute create"
    options = " ".join(f"--name {name} --type {TYPES[wanted[name]]}" for name in missing)
    return CheckResult(
        "search attributes",
        False,
        f"{', '.join(missing)} not registered: lists show less about sagas",
        f"{command} {options} (or `--create`)",
        is_needed=False,
    )


async def _endpoint(client: Client, name: str) -> CheckResult:
    what, found = f"endpoint {name}", await look(client, name)
    if found.word == UNKNOWN:
        return CheckResult(
            what, False, f"this server does not say whether it is there ({found.target})", is_needed=False
        )
    if found.word == MISSING:
        return CheckResult(what, False, "there is no such Nexus endpoint", how_to_create(name))
    return CheckResult(what, True, found.target)


async def _pollers(client: Client, queue: str, kind: str, number: int) -> CheckResult:
    what = f"{kind} on {queue}"
    try:
        answer = await described(client, queue, number)
    except RPCError as error:
        if not is_refusal(error):
            raise
        return CheckResult(what, False, f"this server does not say who serves them ({plain(error)})", is_needed=False)
    if not answer.pollers:
        return CheckResult(what, False, "nobody serves them", f"sagadsl worker --task-queue {queue}")
    now = datetime.now(UTC)
    seen = [(now - each.last_access_time.ToDatetime(UTC)).total_seconds() for each in answer.pollers]
    names = ", ".join(sorted({each.identity for each in answer.pollers})[:_SHOWN])
    count = len(answer.pollers)
    return CheckResult(what, True, f"{count} worker{'s' if count > 1 else ''}, seen {min(seen):.0f}s ago: {names}")


async def _versions(client: Client, queue: str) -> AsyncIterator[CheckResult]:
    """Say which version of the queue's workers gets new sagas, if they have versions."""
    try:
        found = await rollout(client, await described(client, queue, KINDS["sagas"]))
    except RPCError as error:
        if not is_refusal(error):
            raise
        return
    if found is None:
        return
    what = f"versions on {queue}"
    if found.current:
        yield CheckResult(what, True, str(found))
        return
    version = f"--deployment-name {quote(found.deployment)} --build-id {quote(found.newest)}"
    remedy = f"temporal worker deployment set-current-version {version}"
    yield CheckResult(what, False, str(found), remedy, is_needed=not found.has_others)


async def compared(client: Client, queue: str, needed: QueueNeeds) -> AsyncIterator[CheckResult]:
    """Say which worker of a queue lacks something that is *needed*, or that the other workers have."""
    what = f"what workers of {queue} know"
    try:
        workers = await manifests(client, queue)
    except RPCError as error:
        found = f"this server does not keep it ({plain(error)})"
        yield CheckResult(what, True, found, is_needed=False)
        return
    known = {identity: each for identity, each in workers.items() if each is not None}
    if not known:
        yield CheckResult(what, True, "no worker has reported it yet", is_needed=False)
        return
    activities = frozenset(needed.activities.union(*(each.activities or () for each in known.values())))
    sagas = {name: mark for each in known.values() for name, mark in (each.sagas or {}).items()}
    if sagas:  # else definitions come with the start
        sagas |= needed.sagas
    lacks = {identity: [*_lacks(each, activities, sagas, needed)] for identity, each in sorted(known.items())}
    lacking = [f"worker `{identity}` lacks {', '.join(found)}" for identity, found in lacks.items() if found]
    silent = len(await identities(client, queue) - known.keys())
    if not lacking:
        count = f"{len(known)} worker{'s' if len(known) > 1 else ''}"
        offered = f"{counted(len(sagas), 'saga', 'sagas')}, {counted(len(activities), 'activity', 'activities')} each"
        said = f"{count}: {offered}"
        yield CheckResult(what, True, said + (f"; {silent} more do not report it" if silent else ""))
        return
    # A saga waits for a worker that knows the activity. If no worker knows it, nobody runs it.
    nowhere = [
        name
        for name in activities
        if all(each.activities is not None and name not in each.activities for each in known.values())
    ]
    remedy = f"no worker has {listed(nowhere)}: start one that does" if nowhere else "replace the workers that lack it"
    yield CheckResult(what, False, "; ".join(lacking), remedy, is_needed=bool(nowhere) and not silent)


def _lacks(worker: Manifest, activities: frozenset[str], sagas: Mapping[str, str], needed: QueueNeeds) -> Iterator[str]:
    if worker.activities is not None and (missing := activities - worker.activities):
        yield f"activity {listed(missing)}"
    if worker.sagas is not None:
        if unknown := sagas.keys() - worker.sagas.keys():
            yield f"saga {listed(unknown)}"
        if old := [name for name, each in needed.sagas.items() if worker.sagas.get(name, each) != each]:
            yield f"this version of saga {listed(old)}"
