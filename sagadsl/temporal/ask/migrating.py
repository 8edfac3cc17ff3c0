"""Lets open sagas go on with another definition, or says why they cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from sagadsl.engine.verdict import Reason
from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.temporal.ask.dry_runs import OLDER, would
from sagadsl.temporal.ask.many import Addressee, Choice
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import Described, describe, describe_open
from sagadsl.temporal.read.recorded import last_answer
from sagadsl.temporal.refusals import Held, NotAnswered, NotPossible, known
from sagadsl.temporal.run.migrated import QUERY, UPDATE
from sagadsl.temporal.wire.arguments import Package, to_bytes, to_payload
from sagadsl.temporal.wire.child_memo import DETACHED
from sagadsl.temporal.wire.trusting import signatures_in

_WAITS_SECONDS = 10.0
"""How long a run that has nothing in flight may take to go on in its new run."""

_POLL_SECONDS = 0.1

_OF_OLDER = ("expected but not found", "an object of `definition`, `children`, `by`")
"""The words with which the SDK refuses an update that a worker does not know, and those of a worker that knows nothing
of secrets."""

WORDS: Mapping[str, str] = {
    "can": "can migrate",
    "migrated": "migrated",
    "already": "migrated already",
    "waits": "waiting for calls in flight",
}
"""What is said of one saga of many, by outcome."""


class CannotMigrate(SagadslError):
    """A run has something without a place in the new definition; nothing has changed.

    Attributes:
        reasons: All of them, in the order of the new definition.
    """

    code: ClassVar[str] = "SD970"
    exit_code: ClassVar[int] = 4

    def __init__(self, id: str, reasons: tuple[Reason, ...]) -> None:
        super().__init__(id, reasons)
        self.id, self.reasons = id, reasons

    def __str__(self) -> str:
        count = "1 reason" if len(self.reasons) == 1 else f"{len(self.reasons)} reasons"
        return f"saga `{self.id}` cannot migrate, for {count}: {'; '.join(each.message for each in self.reasons)}"

    @property
    def help(self) -> str:
        return "change the new definition, or let the run end under the old one"


class Migrated(Immutable):
    """What became of a request.

    Attributes:
        outcome: ``migrated``; ``waits`` for calls in flight; ``already`` has this definition; ``can`` (a dry run).
        digest: That of the new definition.
        waits_for: Paths of the calls that have to end first.
        notes: What stays as the old definition has it, as far as anybody has asked.
    """

    id: str
    outcome: str
    digest: str
    waits_for: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "outcome": self.outcome,
            "digest": self.digest,
            "waits_for": list(self.waits_for),
            "notes": list(self.notes),
        }


async def preview(client: Client, id: str, package: Package) -> Migrated:
    """Say whether a saga can migrate; nothing changes, and its history does not grow.

    Raises:
        CannotMigrate, NotPossible, NotAnswered, SagaNotFound, SagaOver: See there.
    """
    described = await _open(client, id)
    digest = package.saga.digest
    if described.memo.get("digest") == digest:
        return Migrated(id, "already", digest)
    answer = await would(client, described, UPDATE, QUERY, _sent(_request(package)))
    if answer["reasons"]:
        raise CannotMigrate(id, tuple(map(Reason.from_json, answer["reasons"])))
    return Migrated(id, "can", digest, tuple(answer["waits_for"]), tuple(answer["notes"]))


async def migrate(
    client: Client,
    id: str,
    package: Package,
    *,
    by: str = "",
    why: str = "",
    by_name: bool = False,
    seconds: float = _WAITS_SECONDS,
) -> Migrated:
    """Let a saga go on with another definition, and wait until it does, or for calls in flight.

    Args:
        by_name: The worker takes the definition from its own folder.
        seconds: How long to wait for a run that has nothing in flight.

    Raises:
        CannotMigrate, NotPossible, NotAnswered, SagaNotFound, SagaOver: See there.
    """
    described = await _open(client, id)
    digest = package.saga.digest
    if described.memo.get("digest") == digest:
        return Migrated(id, "already", digest)
    asked = {"by_name": True, "digest": digest} if by_name else _request(package)
    asked |= {key: value for key, value in (("by", by), ("why", why)) if value}
    # The same id as long as the run has not gone on: later, the same request is judged anew.
    request = f"{UPDATE}-{digest[:16]}-{described.run_id}-{await last_answer(client, described)}"
    try:
        with known(client, id):
            patience = timedelta(seconds=runs.ANSWER_SECONDS)
            answer = await client.get_workflow_handle(id).execute_update(
                UPDATE, _sent(asked), id=request, rpc_timeout=patience
            )
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # the SDK raises the same error for both
            raise asyncio.CancelledError from None
        raise NotAnswered(id, UPDATE, "", request, described.task_queue) from None
    except WorkflowUpdateFailedError as refused:
        raise _refusal(id, refused.cause) from None
    return await _until_there(client, id, digest, tuple(answer.get("waits_for", ())), seconds)


async def _until_there(client: Client, id: str, digest: str, waits_for: tuple[str, ...], seconds: float) -> Migrated:
    """Wait until the run has the new definition; a run with calls in flight is not waited for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        described = await describe(client, id)
        if described.memo.get("digest") == digest:
            return Migrated(id, "migrated", digest)
        if waits_for or not described.is_open or loop.time() > deadline:
            break
        await asyncio.sleep(_POLL_SECONDS)
    if described.is_open:
        status = await runs.status(client, id)
        stayed = [each for each in status.get("actions", ()) if each.get("verb") == "stay"]
        if not status.get("migrating_to") and stayed and described.memo.get("digest") != digest:
            raise NotPossible(id, UPDATE, f"it was accepted, and is not possible any more: {stayed[-1]['why']}")
        return Migrated(id, "waits", digest, waits_for)
    raise NotPossible(id, UPDATE, "the saga ended before it could go on with the new definition")


async def _open(client: Client, id: str) -> Described:
    described = await describe_open(client, id)
    if described.held is not None:
        raise Held(id)
    return described


def _request(package: Package) -> dict[str, Any]:
    children, marks = dict(package.children), dict(package.options.secrets)
    asked: dict[str, Any] = {"definition": package.definition} | ({"children": children} if children else {})
    return asked | ({"secrets": marks} if package.marked.is_any and marks else {}) | signatures_in(package.raw)


def _sent(asked: Mapping[str, Any]) -> RawValue:
    """Return a request as it is sent: the SDK's own converter would sort the keys of the definition."""
    return RawValue(to_payload(to_bytes(asked)))


def _refusal(id: str, cause: BaseException) -> SagadslError:
    if not isinstance(cause, ApplicationError):
        return NotPossible(id, UPDATE, str(cause))
    if any(words in cause.message for words in _OF_OLDER):
        return NotPossible(id, UPDATE, OLDER)
    details = cause.details[0] if cause.details else None
    if isinstance(details, dict) and details.get("reasons"):
        return CannotMigrate(id, tuple(map(Reason.from_json, details["reasons"])))
    return NotPossible(id, UPDATE, cause.message)


async def to_migrate(client: Client, package: Package, query: str = "", *, most: int) -> Choice:
    """Choose the open sagas of this name that have another definition, and fit a query of Temporal's.

    They come from the server's index, which lags a little behind. Child sagas are left out, but for detached ones.
    """
    conditions = [f"WorkflowType = '{package.saga.name}'", "ExecutionStatus = 'Running'"]
    if query:
        conditions.append(f"({query})")
    found: list[Addressee] = []
    async for row in client.list_workflows(" AND ".join(conditions)):
        memo = await row.memo()
        is_free = row.parent_id is None or memo.get(DETACHED)
        if is_free and memo.get("digest") != package.saga.digest:
            if len(found) == most:
                return Choice(tuple(found), has_more=True)
            found.append(Addressee(row.id, package.saga.name, row.run_id, reason=str(memo.get("version") or "")))
    return Choice(tuple(found))
