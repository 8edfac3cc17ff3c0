"""The status, the end and the definition of a saga: its worker answers, or the server says what it knows.

Changes nothing. Raises the errors of ``refusals``, and passes on every other error of the SDK.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowFailureError, WorkflowQueryFailedError
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError
from temporalio.exceptions import TimeoutError as ServerTimeoutError
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.immutable import Immutable
from sagadsl.status.cut import cut
from sagadsl.status.parts import Part, in_part
from sagadsl.temporal.read.described import Described, describe
from sagadsl.temporal.read.history import state_of
from sagadsl.temporal.read.secrets import status_without
from sagadsl.temporal.refusals import Held, NoAnswer, NotPossible, SagaNotFound, known
from sagadsl.temporal.run.failures import error_of, report_of
from sagadsl.temporal.wire.arguments import said_no, warnings_in

ANSWER_SECONDS = 10.0
"""Seconds that a worker may take to answer a query or an update. After that we believe that no worker is there."""

_HELD_SECONDS = 1.0
"""Seconds between two looks at a run that Temporal's own pause holds: the server does not say when it goes on."""

Data = Mapping[str, Any]


class Ended(Immutable):
    """How a run ended.

    Attributes:
        status: ``completed``, ``rejected``, ``compensated``, ``failed``, ``cancelled``, ``timed_out`` or
            ``terminated``.
        output: The output of a saga that has completed, or was rejected.
        report: What a saga that failed has undone and what it has not; empty when the run left no report.
        error: Type and message of what went wrong.
        causes: The errors behind it, nearest first.
        warnings: Why the output of a completed saga is null though it should not be: types and messages.
    """

    id: str
    status: str
    output: Any = None
    report: Data | None = None
    error: tuple[str, str] | None = None
    causes: tuple[tuple[str, str], ...] = ()
    warnings: tuple[Data, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what ``result`` tells programs."""
        error: dict[str, Any] | None = None
        if self.error is not None:
            error = {"type": self.error[0], "message": self.error[1]}
            if self.causes:
                error["causes"] = [{"type": type_, "message": message} for type_, message in self.causes]
        shown = {"id": self.id, "status": self.status, "output": self.output, "error": error, "report": self.report}
        return shown | ({"warnings": [dict(each) for each in self.warnings]} if self.warnings else {})


async def status(client: Client, id: str, *, run_id: str | None = None) -> dict[str, Any]:
    """Return the status of a saga: the answer to its ``status`` query, and ``close_status`` as Temporal sees it.

    When no worker answers, what the server knows comes in the same form, with ``"source": "history"``.
    """
    return await status_of(client, await describe(client, id, run_id=run_id))


async def status_of(client: Client, described: Described) -> dict[str, Any]:
    """Return the same as ``status``, for a run that has been described."""
    return await _status_of(client, described, None)


async def part_of(client: Client, described: Described, part: Part) -> dict[str, Any]:
    """Return the same with a part of the steps. Raises ``NotPossible``, see ``of_part``."""
    return of_part(described, await _status_of(client, described, part), part)


def of_part(described: Described, status: Data, part: Part | None) -> dict[str, Any]:
    """Return *status* with the steps of a part. Raises ``NotPossible`` if it does not show where the part begins."""
    found = in_part(status, part)
    if part is not None and found["part"]["first"] is None:
        raise NotPossible(described.id, "show a part of", f"it shows no step `{part.after}`; begin with its first step")
    return found


async def _status_of(client: Client, described: Described, part: Part | None) -> dict[str, Any]:
    if described.held is not None:  # Temporal passes nothing on to it, not even a query
        known_to_server = await status_without(client, described, await state_of(client, described))
        held = {"status": "held", "held": described.held, "close_status": "running"}
        return known_to_server | held | {"task_queue": described.task_queue}
    try:
        answer = await answer_of(client, described, part)
    except NoAnswerInTime:
        answer = None
    return await unanswered(client, described) if answer is None else told(described, answer)


class NoAnswerInTime(Exception):
    """No worker has answered a query in time. It is caught where it may happen, and never reaches users."""


async def answer_of(client: Client, described: Described, part: Part | None = None) -> dict[str, Any] | None:
    """Return what the run itself answers to its ``status`` query; ``None`` if it cannot be asked.

    Args:
        part: Which steps it shows one by one; ``None``: those that matter.

    Raises:
        NoAnswerInTime: There seems to be no worker.
    """
    handle = client.get_workflow_handle(described.id, run_id=described.run_id)
    try:
        asked = [] if part is None else [part.as_json()]
        answer: dict[str, Any] = await handle.query("status", args=asked, rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    except WorkflowQueryFailedError:
        return None
    except RPCError as error:
        if error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED):
            raise
        if error.status in (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise NoAnswerInTime from None
        return None
    return answer


async def unanswered(client: Client, described: Described) -> dict[str, Any]:
    """Return the status of a run that nobody answers for, as far as the server knows it."""
    answer = await state_of(client, described)
    if (no := said_no(described.memo)) is not None:
        answer |= {"status": "rejected", "failure": dict(no)}
    elif described.status == "failed":  # the report in the failure knows whether it was undone
        answer["status"] = (await result(client, described.id, run_id=described.run_id)).status
    if warnings := warnings_in(described.memo):
        answer["warnings"] = list(warnings)
    return await status_without(client, described, told(described, answer))


def told(described: Described, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a run with what only the server knows of it."""
    closed = described.status
    if closed in ("terminated", "timed_out"):
        answer = cut(answer, closed)
        if described.close_time is not None:
            answer |= {"closed_at": described.close_time.isoformat()}
    return answer | {"close_status": closed, "task_queue": described.task_queue}


async def result(client: Client, id: str, *, run_id: str | None = None) -> Ended:
    """Wait until a saga has ended, and say how."""
    handle = client.get_workflow_handle(id, run_id=run_id)
    while True:
        try:
            with known(client, id):
                output = await handle.result()
            memo = (await describe(client, id, run_id=run_id)).memo
            if (no := said_no(memo)) is not None:
                return Ended(id, "rejected", output=output, error=(str(no["type"]), str(no["message"])))
            warnings = warnings_in(memo) if _gives_nothing(output) else ()
            return Ended(id, "completed", output=output, warnings=warnings)
        except WorkflowFailureError as failure:
            return _ended(id, failure.cause)
        except RuntimeError:  # the SDK raises it when the history of a held run stops without an end
            if not (await describe(client, id, run_id=run_id)).is_open:
                raise
            await asyncio.sleep(_HELD_SECONDS)


async def name_of(client: Client, id: str, *, run_id: str | None = None) -> str:
    """Return the name of the saga with this id. Raises ``SagaNotFound``, also for a workflow that is no saga."""
    described = await describe(client, id, run_id=run_id)
    if "saga" not in described.memo:
        raise SagaNotFound(id, client.namespace)
    return described.workflow_type


async def definition(client: Client, id: str, *, run_id: str | None = None) -> dict[str, Any]:
    """Return the definition that a run is pinned to, the newest run if none is named.

    Raises ``SagaNotFound``, ``Held``, ``NoAnswer``.
    """
    handle = client.get_workflow_handle(id, run_id=run_id)
    described = await describe(client, id, run_id=run_id)
    if described.held is not None:
        raise Held(id)
    try:
        found: dict[str, Any] = await handle.query("definition", rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
    except (RPCError, WorkflowQueryFailedError):
        raise NoAnswer(id, described.task_queue) from None
    return found


def _gives_nothing(result: Any) -> bool:
    """Whether a saga completed with null, so that it may say why. A child that can be undone returns a handover."""
    return result is None or (
        isinstance(result, dict) and result.keys() == {"output", "journal"} and result["output"] is None
    )


def _ended(id: str, cause: BaseException) -> Ended:
    error = error_of(cause, "")
    first, causes = (error.type, error.message), error.causes
    match cause:
        case CancelledError():
            return Ended(id, "cancelled")
        case TerminatedError():
            return Ended(id, "terminated", error=("terminated", cause.message))
        case ServerTimeoutError():
            return Ended(id, "timed_out", error=first)
        case ApplicationError():
            report = report_of(cause)
            status = str(report.get("status", "failed"))
            said = (report.get("failure") or {}).get("result") if status == "rejected" else None
            return Ended(id, status, output=said, report=report or None, error=first, causes=causes)
        case _:
            return Ended(id, "failed", error=first, causes=causes)
