"""Sends the signals of a run to other workflows. Replay-critical.

The server always says what became of a signal: it is in the history of the other workflow, or it is not. It says so
soon, and nothing can take back what has left. So a cancel does not reach a signal under way: its end counts.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from sagadsl.engine.facts import Error, Outcome, SendSignal, Settled
from sagadsl.language.own_errors import SIGNAL_NOT_DELIVERED
from sagadsl.plugins.texts import text_of
from sagadsl.temporal.run import failures
from sagadsl.temporal.wire.requests import Beside
from sagadsl.temporal.wire.sent_call import CALL

_NOT_FOUND = "ExternalWorkflowExecutionNotFound"
"""How the SDK names a workflow that does not exist or has ended."""

ACTS_OUT = "sagadsl.acts_out"
"""Name of the function that only a run of a trial has: it sends no signals, its mocks act them out."""


IN_TRIAL: ContextVar[bool] = ContextVar("in_trial", default=False)
"""Whether what runs here belongs to a trial, so that its histories hold signals that were acted out."""


def is_acted_out() -> bool:
    """Whether this run belongs to a trial."""
    return ACTS_OUT in workflow.extern_functions()


def sent_values(command: SendSignal) -> list[Any]:
    """Return what the receiver gets: a saga learns who sends it and by which request, any other workflow does not."""
    if not command.request:
        return list(command.arguments)
    payload = command.arguments[0] if command.arguments else None
    return Beside(command.request, workflow.info().workflow_id).arguments(payload)


async def begin_send(command: SendSignal, arguments: list[RawValue]) -> Settled:
    """Send a signal, and return how that ended. Never raises."""
    receiver = workflow.get_external_workflow_handle(command.workflow_id)
    CALL.set(command.call_id)
    try:
        await receiver.signal(command.signal, args=arguments)
    except Exception as error:  # noqa: BLE001 # whatever kept it from being delivered is this call's end
        return Settled(
            workflow.time(), command.call_id, Outcome.FAILED, error=_not_delivered(command, error), attempts=1
        )
    return Settled(workflow.time(), command.call_id, Outcome.SUCCEEDED, attempts=1)


def _not_delivered(command: SendSignal, error: Exception) -> Error:
    why = text_of(error)
    if isinstance(error, ApplicationError) and error.type == _NOT_FOUND:
        why = "no workflow of this id is running"
    message = f"signal `{command.signal}` was not delivered to `{command.workflow_id}`: {why}"
    return Error(SIGNAL_NOT_DELIVERED, failures.bounded(message), command.call_id)
