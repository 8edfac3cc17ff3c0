"""Reads, for a new run, what a closed run of the same id has left: a local activity of every worker of sagas.

The worker believes nothing but histories. It looks whether the closed run is one of this id and type and the newest
before the new one, and reads its state, its definition and the ends of its child sagas itself. So a client that may
start workflows can neither forge a state, nor have the same work taken up twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio import activity
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from sagadsl.engine.facts import Error, How, Outcome, Settled, StartChild
from sagadsl.engine.redriven import begins_again, refusal
from sagadsl.engine.snapshots import snapshot
from sagadsl.engine.squeeze import compact
from sagadsl.language.own_errors import NOT_POSSIBLE, STATE_TOO_LARGE
from sagadsl.language.paths import Purpose, parse_call
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.lineage import taken_by
from sagadsl.temporal.refusals import SagaNotFound
from sagadsl.temporal.run import failures
from sagadsl.temporal.run.rebuilt import CannotRebuild, InFlight, Rebuilt, rebuilt
from sagadsl.temporal.wire.child_memo import CALL
from sagadsl.temporal.wire.inheritance import INHERIT_ACTIVITY, STILL_OPEN, Inheritance, TakeUpRequest
from sagadsl.temporal.wire.marker import MAX_PAYLOAD_BYTES


@activity.defn(name=INHERIT_ACTIVITY)
async def inherit(request: dict[str, Any]) -> Any:
    """Return what the closed run has left that *request* names, as JSON of ``Inheritance``."""
    info, client = activity.info(), activity.client()
    assert info.workflow_id is not None
    asked = TakeUpRequest.from_json(request)
    try:
        base = await describe(client, info.workflow_id, run_id=asked.run_id)
    except SagaNotFound:
        raise _no(f"saga `{info.workflow_id}` has no run {asked.run_id}") from None
    if base.is_open or base.workflow_type != info.workflow_type:
        raise _no("that run is not a closed run of this saga")
    if (taken := await taken_by(client, base, but=info.workflow_run_id or "")) is not None:
        raise _no(f"run {taken} has taken up its work already")
    try:
        found = await rebuilt(client, info.workflow_id, asked.run_id)
    except CannotRebuild as problem:
        raise ApplicationError(str(problem), type=CannotRebuild.__name__, non_retryable=True) from problem
    saga, state, killed = found.package.saga, found.state, found.killed is not None
    if (why := refusal(saga, state, asked.how, killed=killed, to=asked.to)) is not None:
        raise _no(why)
    left = (await inheritance(client, found, asked)).to_json()
    if (size := len(compact(left))) > MAX_PAYLOAD_BYTES:
        told = f"what the closed run has left has {size:,} bytes, at most {MAX_PAYLOAD_BYTES:,} fit"
        raise ApplicationError(told, type=STATE_TOO_LARGE, non_retryable=True)
    return left


async def inheritance(
    client: Client, found: Rebuilt, asked: TakeUpRequest, *, still_open: list[str] | None = None
) -> Inheritance:
    """Return what a new run takes over. Raises ``ApplicationError`` of type ``STILL_OPEN`` while a child goes on.

    Args:
        still_open: Takes the ids of children that go on; then nothing is raised.
    """
    ends: list[Settled] = []
    renewed: list[str] = []
    until: dict[str, float] = {}
    for call_id, call in found.in_flight.items():
        again = begins_again(found.state, asked.how, call_id)
        end = None
        if call.child and call.sent:
            try:
                end = await _child_end(client, found.id, call_id, call, asked.how)
            except ApplicationError:
                if still_open is None:
                    raise
                still_open.append(call.child)
                continue
        if end is not None and again and end.outcome is not Outcome.SUCCEEDED:
            # An undo is tried again; a child that has undone itself begins anew; any other failure counts.
            if parse_call(call_id).purpose is Purpose.DO:
                if end.outcome is Outcome.FAILED:
                    renewed.append(call_id)
                else:
                    ends.append(end)
        elif end is not None:
            ends.append(end)
        elif not again and (not call.sent or (call.child and not call.has_begun)):
            ends.append(_never_sent(call_id))
        elif not again:
            until[call_id] = call.until if asked.waits else 0.0
    return Inheritance(
        found.package.raw.decode(),
        found.from_folder,
        snapshot(found.state),
        found.refused,
        None if found.killed is None else Error(found.killed[0], failures.bounded(found.killed[1])),
        tuple(ends),
        tuple(renewed),
        until,
    )


async def _child_end(client: Client, parent: str, call_id: str, call: InFlight, how: How) -> Settled | None:
    """Return how a child saga has ended; ``None`` when the server knows none: it was never begun, or was deleted."""
    child = call.child
    try:
        described = await describe(client, child)
    except SagaNotFound:
        return None
    if call.is_chosen and not _is_own(described, parent, call_id):
        return None
    if call.detached:
        return Settled(0.0, call_id, Outcome.SUCCEEDED, output=child)
    if described.is_open and call.abandons and how is How.UNDO:
        return Settled(0.0, call_id, Outcome.UNKNOWN, abandoned=True)
    if described.is_open:
        raise ApplicationError(f"child saga `{child}` has not ended yet", type=STILL_OPEN)
    command = StartChild(call_id, described.workflow_type, child, None, None, "")
    handle = client.get_workflow_handle(child, run_id=described.run_id, result_type=RawValue)
    try:
        raw = await handle.result()
    except WorkflowFailureError as error:
        return failures.child_failed(command, error.cause, 0.0)
    output = client.data_converter.payload_converter.from_payload(raw.payload)
    journal = None
    if isinstance(output, Mapping) and output.keys() == {"output", "journal"}:
        output, journal = output["output"], output["journal"]
    return Settled(0.0, call_id, Outcome.SUCCEEDED, output=output, journal=journal)


def _is_own(described: Described, parent: str, call_id: str) -> bool:
    """Whether a child under a chosen id is that of this call; one that was recovered has no parent any more."""
    begun_by = described.raw.workflow_execution_info.parent_execution.workflow_id
    return described.memo.get(CALL) == call_id and begun_by in (parent, "")


def _never_sent(call_id: str) -> Settled:
    error = Error("cancelled", "the run ended before it was sent", call_id)
    return Settled(0.0, call_id, Outcome.NOT_STARTED, error=error, cancelled=True, attempts=0)


def _no(why: str) -> ApplicationError:
    return ApplicationError(why, type=NOT_POSSIBLE, non_retryable=True)
