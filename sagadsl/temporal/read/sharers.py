"""Who else refers to the stored payloads of some runs: other workflows, and schedules."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.temporal.read.described import OPEN, word
from sagadsl.temporal.read.lineage import first_event, runs_under
from sagadsl.temporal.read.payloads_of import Claims, PayloadsOf, claims_in, payloads_of
from sagadsl.temporal.read.scheduled import runs_begun_by, schedule_asked

_Run = tuple[str, str, str]
"""A namespace, an id, and a run; no run for a schedule, and for a workflow that could not be read."""


class Sharer(Immutable):
    """A workflow or a schedule that refers to a payload, too.

    Attributes:
        name: The name of its saga; empty for what is no saga of this namespace, and if nobody knows.
        is_schedule: It is a schedule.
    """

    id: str
    name: str = ""
    is_schedule: bool = False


def sharer_of(info: WorkflowExecutionInfo, *, is_own: bool) -> Sharer:
    """Return a workflow as a sharer. *is_own*: it is in the namespace of who asks, so that it may be a saga of ours."""
    return Sharer(info.execution.workflow_id, info.type.name if is_own and "saga" in info.memo.fields else "")


@dataclass(slots=True)
class Sharers:
    """What others refer to, as far as it has looked.

    Attributes:
        is_unsure: A look has failed, so that anybody may refer to anything.
    """

    client: Client
    is_unsure: bool = False
    _found: dict[_Run, tuple[Sharer, Claims]] = field(default_factory=dict)
    _settled: set[_Run] = field(default_factory=set)
    _named: dict[str, None] = field(default_factory=dict)

    async def look(self, of: Iterable[PayloadsOf], but: Collection[str]) -> None:
        """Look at all who may refer to these payloads, except for runs that *but* names.

        A run that was closed when this looked at it before says nothing new.
        """
        of = tuple(each for each in of if each.claims)
        for place in dict.fromkeys(place for each in of for place in sorted(each.workflows)):
            self._named[place[1]] = None
            await self._workflow(place, {key: claim for each in of for key, claim in each.claims.items()}, but)
        for schedule in dict.fromkeys(name for each in of for name in sorted(each.schedules)):
            self._named[schedule] = None
            await self._schedule(schedule, [each for each in of if schedule in each.schedules], but)

    async def look_again(self, of: Iterable[PayloadsOf], but: Collection[str]) -> None:
        """Do the same when something is deleted already: an error could not bring it back."""
        try:
            await self.look(of, but)
        except (RPCError, SagadslError):
            self.is_unsure = True

    def of(self, claims: Claims, but: Collection[str]) -> dict[tuple[str, str], tuple[Sharer, ...]]:
        """Return who refers to which of these payloads; none that only belong to the runs that *but* names."""
        found: dict[tuple[str, str], dict[Sharer, None]] = {}
        for (_, _, run_id), (sharer, others) in self._found.items():
            if run_id not in but:
                for key in claims.keys() & others.keys():
                    found.setdefault(key, {})[sharer] = None
        if self.is_unsure:
            for key in claims:
                found.setdefault(key, {}).update(dict.fromkeys(map(Sharer, self._named)))
        return {key: tuple(sharers) for key, sharers in found.items()}

    async def _workflow(self, place: tuple[str, str], whole: Claims, but: Collection[str]) -> None:
        namespace, id = place
        is_own = namespace == self.client.namespace
        try:
            await self._runs(in_namespace(self.client, namespace), id, but)
        except RPCError as error:
            if is_own or error.status is not RPCStatusCode.PERMISSION_DENIED:
                raise
            self._found[namespace, id, ""] = (Sharer(id), whole)  # it may refer to anything

    async def _runs(self, client: Client, id: str, but: Collection[str]) -> None:
        """Read the runs under an id, except for those that cannot say anything new."""
        settled = {run_id for namespace, of, run_id in self._settled if (namespace, of) == (client.namespace, id)}
        async for raw in runs_under(client, id, {*but, *settled}):
            info = raw.workflow_execution_info
            run_id = info.execution.run_id
            run = (client.namespace, id, run_id)
            claims = (await payloads_of(client, id, run_id)).claims
            self._found[run] = (sharer_of(info, is_own=client.namespace == self.client.namespace), claims)
            if word(info.status) not in OPEN:
                self._settled.add(run)

    async def _schedule(self, id: str, of: Collection[PayloadsOf], but: Collection[str]) -> None:
        namespace = self.client.namespace
        starts: list[int] = []
        async for row in runs_begun_by(self.client, id):
            starts.append(row.start_time.ToNanoseconds())
            run = (namespace, row.execution.workflow_id, row.execution.run_id)
            if run[2] in but or run in self._found:  # what it began with does not change
                continue
            began = await first_event(self.client, run[1], run[2])
            self._found[run] = (Sharer(run[1], row.type.name), claims_in(began))
        self._found.pop((namespace, id, ""), None)
        if (answer := await schedule_asked(self.client, id)) is None:
            return
        held = claims_in(answer)
        for each in of:  # what the next run begins with is with the server, which does not say it
            if not any(start >= each.until for start in starts):
                held |= claims_in(each.hands_on)
        name = answer.schedule.action.start_workflow.workflow_type.name
        self._found[namespace, id, ""] = (Sharer(id, name, is_schedule=True), held)


def in_namespace(client: Client, namespace: str) -> Client:
    """Return a client of a namespace, for the same server."""
    if namespace == client.namespace:
        return client
    return Client(client.service_client, namespace=namespace, data_converter=client.data_converter)
