"""Begins the child sagas of a run, and says how each of them ended. Replay-critical."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, WorkflowIDReusePolicy

from sagadsl.engine.facts import Cancel, Outcome, Settled, StartChild
from sagadsl.immutable import replace
from sagadsl.temporal.run import failures
from sagadsl.temporal.run.in_flight import CallInFlight, ChildStart
from sagadsl.temporal.run.scheduling import succeeded

Settle = Callable[[CallInFlight, Settled], None]


async def begin_child(
    call: CallInFlight,
    command: StartChild,
    start: ChildStart,
    arguments: list[RawValue],
    settle: Settle,
    *,
    strict: bool,
) -> None:
    """Start the child saga of *call*. Never raises: what kept it from starting is the call's end.

    Args:
        settle: Called once, when the child has ended or could not start.
        strict: A result that is no JSON fails the call.
    """
    try:
        handle = await workflow.start_child_workflow(
            command.saga,
            args=arguments,
            id=command.workflow_id,
            task_queue=command.task_queue,
            result_type=RawValue,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            id_reuse_policy=_reuse(command),
            parent_close_policy=(
                workflow.ParentClosePolicy.ABANDON
                if command.abandons
                else workflow.ParentClosePolicy.REQUEST_CANCEL  # R47: it may have to undo
            ),
            memo=start.memo,
            search_attributes=start.search_attributes,
            static_summary=command.summary or None,
        )
    except Exception as error:  # noqa: BLE001 # whatever kept it from starting is that call's end
        settle(call, failures.child_failed(command, error, workflow.time()))
        return
    call.handle = handle
    handle.add_done_callback(partial(_child_ended, call, command, settle, strict))
    if command.detached:
        settle(call, Settled(workflow.time(), command.call_id, Outcome.SUCCEEDED, output=command.workflow_id))
    elif call.abandoned:  # while it was starting
        settle(call, _abandoned(command))
    elif call.cancelled:
        handle.cancel()


def let_alone(call: CallInFlight, asked: Cancel, settle: Settle) -> bool:
    """Leave a child saga alone whose call is asked to stop; false where the child has to be asked. R115, R116."""
    command = call.command
    if not isinstance(command, StartChild) or not (command.detached or asked.abandons):
        return False
    if not command.detached:
        call.abandoned = True
        if call.handle is not None:
            settle(call, _abandoned(command))
    return True


def _abandoned(command: StartChild) -> Settled:
    return Settled(workflow.time(), command.call_id, Outcome.UNKNOWN, abandoned=True)


def _reuse(command: StartChild) -> WorkflowIDReusePolicy:
    """Return which closed runs may have had the child's id: a chosen one is not to name work that is done. R113."""
    if command.chosen and command.journal is None and not command.renews:
        return WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
    return WorkflowIDReusePolicy.ALLOW_DUPLICATE


def _child_ended(
    call: CallInFlight, command: StartChild, settle: Settle, strict: bool, handle: asyncio.Task[Any]
) -> None:
    if command.detached or call.abandoned:
        _ = handle.cancelled() or handle.exception()  # else asyncio complains that nobody has looked at it
        return
    at = workflow.time()
    raised: BaseException | None = asyncio.CancelledError() if handle.cancelled() else handle.exception()
    if raised is not None:
        settle(call, failures.child_failed(command, raised, at))
        return
    fact = succeeded(command.call_id, handle.result(), at, strict=strict)
    if command.wants_journal and isinstance(fact.output, Mapping) and fact.output.keys() == {"output", "journal"}:
        fact = replace(fact, output=fact.output["output"], journal=fact.output["journal"])
    settle(call, fact)
