"""Takes up the work of a closed run in a new one under the same id, as functions over a connected client. R31, R45.

The client shows a plan, and starts the new run with the closed run's id alone; the new run's worker reads what was
left (see ``inheriting``). The server admits one run under an id. And the id of the start request comes from the closed
run, so a second start after the same run gives the run of the first one.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio.api.common.v1 import Payloads, SearchAttributes, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import WorkflowIdConflictPolicy, WorkflowIdReusePolicy
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    StartWorkflowExecutionRequest,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.engine.behind import behind
from sagadsl.engine.facts import Error, How, Settled, Status
from sagadsl.engine.redrive_plan import RedrivePlan, plan
from sagadsl.engine.redriven import left_behind, refusal, what_is_due
from sagadsl.immutable import Hidden, Immutable
from sagadsl.temporal.client import Started, start, terminate
from sagadsl.temporal.link.codec import of_workflow
from sagadsl.temporal.read.described import Described, describe, describe_open
from sagadsl.temporal.read.lineage import taken_by, was_refused
from sagadsl.temporal.read.stuck import stuck
from sagadsl.temporal.refusals import AlreadyTaken, CannotTakeUp, SagaNotFound, StillRunning, known
from sagadsl.temporal.run.rebuilt import Rebuilt, rebuilt
from sagadsl.temporal.wire import attributes
from sagadsl.temporal.wire.arguments import TAKES_UP
from sagadsl.temporal.wire.inheritance import TakeUpRequest
from sagadsl.temporal.work.inheriting import inheritance

_CLAIM = "claim"
"""Key of the memo by which whoever has started a run knows it again."""

_REQUESTS = uuid.UUID("5e3c6f0e-7f7b-4d0c-9d5b-5f6f1f6f7a51")
_CHAIN = 100
_CLOSE_SECONDS = 30.0


class Prospect(Immutable):
    """What would follow: from looking, nothing has changed.

    Attributes:
        run_id: The closed run whose work is taken up; ``status`` is how it stands.
        how: ``None``: the saga begins anew, with keys of its own.
        children: Child sagas that have not ended: the new run waits for them.
        not_before: When the undoing begins, because an attempt of the closed run may last until then.
        to: The step to which the saga goes back before it goes on; empty: to none.
        stuck: Why the run does not go on, if it is open: it has to be terminated first.
    """

    id: str
    verb: str
    run_id: str
    status: str
    how: How | None
    plan: RedrivePlan
    children: tuple[str, ...] = ()
    not_before: datetime | None = None
    to: str = ""
    stuck: str = ""
    found: Hidden[Rebuilt | None] = None
    described: Hidden[Described | None] = None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "verb": self.verb,
            "run_id": self.run_id,
            "status": self.status,
            "how": "anew" if self.how is None else self.how.value,
            **self.plan.as_json(),
            "waits_for": list(self.children),
            "not_before": None if self.not_before is None else self.not_before.isoformat(timespec="seconds"),
            **({"to": self.to} if self.to else {}),
            **({"stuck": self.stuck} if self.stuck else {}),
        }


async def look(
    client: Client, id: str, verb: str, how: How | None = None, *, waits: bool = True, to: str = ""
) -> Prospect:
    """Return what ``recover`` or ``redrive`` would do.

    Args:
        to: The step to which the saga goes back before it goes on, as people name it; empty: to none.
        how: ``None``: for ``recover`` undo; for ``redrive`` what the end of the saga asks for.
        waits: Undo nothing while an attempt of the closed run may still be under way.

    Raises:
        SagaNotFound, StillRunning, CannotTakeUp, CannotRebuild: See there.
    """
    described = await newest_run(client, id)
    why_stuck = ""
    if described.is_open:
        found_stuck = await stuck(client, described) if verb == "recover" else None
        if found_stuck is None:
            raise StillRunning(id, verb)
        why_stuck = str(found_stuck["message"])
    found = await rebuilt(client, id, described.run_id)
    killed = found.killed is not None or not found.closed
    if verb == "recover" and not killed:
        raise CannotTakeUp(id, verb, f"it ended by itself; `sagadsl redrive {id}` goes on with a saga that failed")
    if verb == "redrive" and killed:
        raise CannotTakeUp(id, verb, f"the server ended it, and no code of it ran; that takes `sagadsl recover {id}`")
    if to:
        how, to = How.FORWARD, behind(found.package.saga, found.state, to).to
    if verb == "redrive" and how is None and found.state.status in (Status.COMPENSATED, Status.CANCELLED):
        return Prospect(id, verb, found.run_id, _word(found), None, RedrivePlan(), found=found, described=described)
    chosen = how or (what_is_due(found.state) if verb == "redrive" else How.UNDO)
    if (why := refusal(found.package.saga, found.state, chosen, killed=killed, to=to)) is not None:
        raise CannotTakeUp(id, verb, why)
    asked = TakeUpRequest(found.run_id, chosen, verb, waits=waits, to=to)
    return await _prospect(client, found, described, asked, why_stuck)


async def newest_run(client: Client, id: str) -> Described:
    """Return the newest run that has done anything: one whose request was refused stands for nothing."""
    described = await describe(client, id)
    if "saga" not in described.memo:
        raise SagaNotFound(id, client.namespace)
    for _ in range(_CHAIN):
        before = described.memo.get(TAKES_UP)
        refused = described.status == "failed" and await was_refused(client, id, described.run_id)
        if not (before and refused):
            break
        described = await describe(client, id, run_id=str(before))
    return described


def _word(found: Rebuilt) -> str:
    if found.killed is not None:
        return found.killed[0]
    return "running" if found.state.status is None else found.state.status.value


async def _prospect(client: Client, found: Rebuilt, described: Described, asked: TakeUpRequest, why: str) -> Prospect:
    children: list[str] = []
    left = await inheritance(client, found, asked, still_open=children)
    now = datetime.now(UTC)
    at = now.timestamp()
    first = left.fact(asked, at, "")
    lost: list[Settled] = [left.lost(call_id, at) for call_id in left.until]
    if not found.closed:
        first = left.fact(asked, at, "", failure=Error("terminated", "the run was terminated"))
    latest = max((each for each in left.until.values()), default=0.0)
    return Prospect(
        found.id,
        asked.verb,
        found.run_id,
        _word(found),
        asked.how,
        plan(found.package.saga, found.state, first, left.ends_at(at), lost),
        tuple(children),
        datetime.fromtimestamp(latest, UTC) if latest > at else None,
        asked.to,
        why,
        found,
        described,
    )


async def take_up(
    client: Client,
    prospect: Prospect,
    *,
    by: str = "",
    why: str = "",
    waits: bool = True,
    input: Any = ...,
    request: str = "",
) -> Started:
    """Do what a prospect says. Raises ``AlreadyTaken`` when somebody was quicker.

    Args:
        request: Id of the request: whoever repeats it gets the run that it has begun. A saga that begins anew has none.
        input: For a saga that begins anew, instead of its old input.
    """
    found, described = prospect.found, prospect.described
    assert found is not None
    assert described is not None
    if prospect.stuck:
        await _end_stuck(client, described, by, why)
    if (taken := await taken_by(client, described, but="")) is not None:
        if request and (await describe(client, prospect.id, run_id=taken)).memo.get(_CLAIM) == request:
            return Started(prospect.id, taken, described.workflow_type, described.task_queue, earlier=_word(found))
        raise AlreadyTaken(prospect.id, prospect.verb, taken)
    if prospect.how is None:
        return await start(
            client,
            found.package.saga.name if found.from_folder else found.package,
            found.state.input if input is ... else input,
            id=prospect.id,
            task_queue=described.task_queue,
            again=True,
            takes_up=found.run_id,
        )
    asked = TakeUpRequest(described.run_id, prospect.how, prospect.verb, by, why, waits, prospect.to)
    return await _begin(client, found, described, asked, claim=request or uuid.uuid4().hex)


async def _begin(client: Client, found: Rebuilt, described: Described, asked: TakeUpRequest, *, claim: str) -> Started:
    converter = of_workflow(client, described.id)
    arguments = await converter.encode([None, None, {"inherit": asked.to_json()}])
    memo = {**described.memo, TAKES_UP: described.run_id, _CLAIM: claim}
    request = StartWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_id=described.id,
        workflow_type=WorkflowType(name=described.workflow_type),
        task_queue=TaskQueue(name=described.task_queue),
        input=Payloads(payloads=arguments),
        identity=client.identity,
        request_id=str(uuid.uuid5(_REQUESTS, f"{client.namespace}/{described.id}/{described.run_id}")),
        workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
        workflow_id_conflict_policy=WorkflowIdConflictPolicy.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
        search_attributes=_attributes(described),
    )
    for key, value in memo.items():
        (payload,) = await converter.encode([value])
        request.memo.fields[key].CopyFrom(payload)
    try:
        answer = await client.workflow_service.start_workflow_execution(request, retry=True)
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
        newest = await describe(client, described.id)
        raise AlreadyTaken(described.id, asked.verb, newest.run_id) from None
    if (await describe(client, described.id, run_id=answer.run_id)).memo.get(_CLAIM) != claim:
        raise AlreadyTaken(described.id, asked.verb, answer.run_id)  # the server has answered with an earlier start
    return Started(described.id, answer.run_id, described.workflow_type, described.task_queue, earlier=_word(found))


def _attributes(described: Described) -> SearchAttributes:
    known_before = described.raw.workflow_execution_info.search_attributes.indexed_fields
    made = SearchAttributes()
    for each in (attributes.SAGA_NAME, attributes.SAGA_VERSION):
        if each.name in known_before:
            made.indexed_fields[each.name].CopyFrom(known_before[each.name])
    return made


async def _end_stuck(client: Client, described: Described, by: str, why: str) -> None:
    """Terminate a run whose workflow task fails again and again: exactly the run that the plan was made for."""
    request = TerminateWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=described.id, run_id=described.run_id),
        reason=f"{why or 'recovered'} ({by})" if by else why or "recovered",
        identity=client.identity,
    )
    with known(client, described.id):
        await client.workflow_service.terminate_workflow_execution(request, retry=True)
    await until_closed(client, described)


async def until_closed(client: Client, described: Described) -> None:
    """Wait until the server says that a terminated run is closed."""
    async with asyncio.timeout(_CLOSE_SECONDS):
        while (await describe(client, described.id, run_id=described.run_id)).is_open:
            await asyncio.sleep(0.05)


WORDS: Mapping[How | None, tuple[str, str]] = {
    How.UNDO: ("would be undone", "being undone"),
    How.FORWARD: ("would go on", "going on"),
    None: ("would begin anew", "begun anew"),
}
"""What is said of one saga of many: when it was only looked at, and when its work was taken up."""


def how_of(verb: str, *, forward: bool, undo: bool) -> How | None:
    """Return what a request asks for; ``None`` for a redrive that says neither."""
    if forward:
        return How.FORWARD
    return How.UNDO if undo or verb == "recover" else None


async def look_at(
    client: Client, run: tuple[str, str], verb: str, how: How | None = None, *, waits: bool = True, to: str = ""
) -> Prospect:
    """Do the same as ``look`` for the run with this id and run id. Raises ``AlreadyTaken`` if another one followed."""
    if (newest := await newest_run(client, run[0])).run_id != run[1]:
        raise AlreadyTaken(run[0], verb, newest.run_id)
    return await look(client, run[0], verb, how, waits=waits, to=to)


async def take_up_run(
    client: Client,
    run: tuple[str, str],
    verb: str,
    how: How | None = None,
    *,
    by: str,
    why: str,
    waits: bool = True,
    to: str = "",
    request: str,
) -> str:
    """Take up the work of one run of many, and say in a word what becomes of it. Repeated, it counts once."""
    try:
        prospect = await look_at(client, run, verb, how, waits=waits, to=to)
    except AlreadyTaken as taken:
        if (await describe(client, run[0], run_id=taken.run_id)).memo.get(_CLAIM) == request:
            return "begun"
        raise
    await take_up(client, prospect, by=by, why=why, waits=waits, request=request)
    return WORDS[prospect.how][1]


async def terminate_and_undo(client: Client, id: str, *, reason: str, by: str = "", why: str = "") -> Started:
    """Kill a saga, and let a new run undo what it has done. Raises the errors of ``look`` and ``take_up``."""
    described = await describe_open(client, id)
    await terminate(client, id, reason)
    await until_closed(client, described)
    return await take_up(client, await look(client, id, "recover"), by=by, why=why)


async def would_stay(client: Client, id: str) -> list[str]:
    """Return what an open saga has done and could undo, the newest first: it stays if the saga is killed."""
    described = await describe_open(client, id)
    found = await rebuilt(client, id, described.run_id)
    return left_behind(found.package.saga, found.state)
