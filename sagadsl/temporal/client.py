"""Starting and operating sagas, as functions over a connected client.

It holds no rule about sagas and prints nothing. When a caller is wrong, or a request cannot be carried
out, it raises one of the errors of ``refusals``; it passes on any other error of the SDK.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RawValue, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from sagadsl.engine.facts import NOTHING_GIVEN
from sagadsl.engine.hiding import NO_MARKS, Marks
from sagadsl.engine.verbs import NEED_A_PATH, Verb
from sagadsl.immutable import Immutable, replace
from sagadsl.language.paths import MAX_ID
from sagadsl.language.schema.meant_keys import meant
from sagadsl.temporal.link.codec import encoded_size, of_workflow
from sagadsl.temporal.read import runs
from sagadsl.temporal.read.described import describe, describe_open
from sagadsl.temporal.read.index import keeps_names
from sagadsl.temporal.read.packing import packed
from sagadsl.temporal.read.recorded import begins_at, last_answer
from sagadsl.temporal.read.runs import result
from sagadsl.temporal.refusals import (
    AlreadyStarted,
    Held,
    InputRefused,
    NotAnswered,
    NotBegun,
    NotPossible,
    TooLong,
    UnfitPayload,
    known,
)
from sagadsl.temporal.run.slow_checks import aside
from sagadsl.temporal.wire import attributes
from sagadsl.temporal.wire.arguments import INDEXED, TAKES_UP, Package, to_bytes, to_payload
from sagadsl.temporal.wire.carry import Carry
from sagadsl.temporal.wire.codec_growth import MAX_ENCODED_BYTES
from sagadsl.temporal.wire.marker import MAX_PAYLOAD_BYTES, reason
from sagadsl.temporal.wire.requests import DELIVER_SIGNAL, LONGEST_ID, UNSAID, Asked, Beside, Delivery
from sagadsl.trust.signatures import NO_SIGNATURES, Signatures

DEFAULT_TASK_QUEUE = "sagadsl"
_GENERATION = 10
"""Length of the token that tells a saga that begins anew from the one before it."""

_SUMMARY_BYTES = 200
_DETAILS_BYTES = 20_000

Data = Mapping[str, Any]

__all__ = [
    "Started",
    "cancel",
    "deliver",
    "operate",
    "packed",
    "result",  # documented here: whoever starts a saga wants to know its end
    "signal",
    "start",
    "terminate",
]


class Started(Immutable):
    """A run that has begun.

    Attributes:
        earlier: How the run before it under the same id ended, e.g. ``failed``; empty for the first run.
    """

    id: str
    run_id: str
    name: str
    task_queue: str
    earlier: str = ""


async def start(
    client: Client,
    saga: Data | Package | str,
    input: Any,
    *,
    children: Mapping[str, Data] | None = None,
    id: str | None = None,
    task_queue: str | None = None,
    by_name: bool = False,
    again: bool = False,
    once: bool = False,
    request: str = "",
    summary: str | None = None,
    continue_after_events: int | None = None,
    same_keys: bool = False,
    takes_up: str = "",
    version: str = "",
    secrets: Marks = NO_MARKS,
    signatures: Signatures = NO_SIGNATURES,
) -> Started:
    """Start a saga; nothing is started when anything is wrong.

    Args:
        saga: The definition, as data or from ``packed``; or its name, if a worker knows the definition.
        children: Definitions of its child sagas, by name.
        id: A random id if left out.
        task_queue: Where its workers poll; if left out, the definition's own, or ``sagadsl``.
        by_name: Do not send the definition: a worker's folder has it.
        again: Run it again although a run with this id has ended well. It does all of its work once more, because
            the new run has idempotency keys of its own, also if the server does not keep the run before any more.
        once: Do not run it again even though a run with this id has failed. The exception: that run was refused
            before anything began, and the same *request* asks again.
        request: A fingerprint of the request that starts it, kept beside the run; see ``AlreadyStarted``.
        summary: One line for lists, instead of the definition's description.
        same_keys: For trials: with *again*, the run has the keys that the first one under its id had.
        version: With a name alone: the version of the definition that the worker shall take; empty for its newest.
        takes_up: The closed run after which an operator lets it begin anew; kept beside the run.
        continue_after_events, secrets, signatures: With a definition as data, as for ``packed``.

    Raises:
        InvalidDefinition, InputRefused, AlreadyStarted, TooLong: See there.
    """
    package: Package | None = None
    if isinstance(saga, Package):
        package = saga
    elif not isinstance(saga, str):
        package = await packed(
            client,
            saga,
            children or {},
            secrets,
            signatures=signatures,
            continue_after_events=continue_after_events,
        )
    name = saga if isinstance(saga, str) else package.saga.name if package else ""
    if package is not None and (problems := await aside(package.check_input, input)):
        raise InputRefused(name, problems, meant(input, package.saga.input_schema))
    arguments = [RawValue(to_payload(_sendable(name, input)))]
    if package is not None and not by_name:
        if len(package.raw) > MAX_PAYLOAD_BYTES:
            raise InputRefused(
                name, (f"the definition has {len(package.raw):,} bytes, at most {MAX_PAYLOAD_BYTES:,} fit",)
            )
        arguments.append(RawValue(to_payload(package.raw)))
    queue = task_queue or (package.saga.task_queue if package else None) or DEFAULT_TASK_QUEUE
    chosen = id or f"{name}-{uuid.uuid4()}"
    for what, text in (("name", name), ("id", chosen), ("task queue", queue)):
        if len(text) > MAX_ID:
            raise TooLong(what, text)

    size = await encoded_size(of_workflow(client, chosen), [each.payload for each in arguments])
    if size > MAX_ENCODED_BYTES:
        what = "it has" if len(arguments) == 1 else "with the definition it has"
        raise InputRefused(name, (f"{what} {_too_many(size)}",))

    about = package.saga.description if package else ""

    async def begin(policy: WorkflowIDReusePolicy, generation: str = "") -> Started:
        handed = Carry(generation=generation, version=version).to_json()
        carry: list[Any] = [*[None] * (2 - len(arguments)), handed] if handed else []
        handle = await client.start_workflow(
            name,
            args=[*arguments, *carry],
            id=chosen,
            task_queue=queue,
            memo=_memo(name, package, by_name=by_name)
            | ({"request": request} if request else {})
            | ({TAKES_UP: takes_up} if takes_up else {}),
            search_attributes=attributes.at_start(package.saga) if package and await keeps_names(client) else None,
            static_summary=_cut(summary or about.split("\n", 1)[0], _SUMMARY_BYTES),
            static_details=_cut(about, _DETAILS_BYTES),
            id_reuse_policy=policy,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
        return Started(chosen, handle.first_execution_run_id or "", name, queue)

    # The effects of the run before, under its keys, must not count as effects of this one (R49).
    generation = "" if same_keys else uuid.uuid4().hex[:_GENERATION]
    try:
        # Who asks for it again knows of a run before, also when the server keeps it no longer.
        return await begin(WorkflowIDReusePolicy.REJECT_DUPLICATE, generation if again else "")
    except WorkflowAlreadyStartedError as error:
        earlier = await _already_started(client, chosen, error.run_id or "")
    anew = await _has_not_begun(client, earlier, request) if once else earlier.may_begin_anew(again=again)
    if not anew:
        raise earlier
    allowed = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
    try:
        return replace(await begin(allowed, generation), earlier=earlier.status)
    except WorkflowAlreadyStartedError as error:  # somebody else was quicker
        raise await _already_started(client, chosen, error.run_id or "") from None


async def signal(
    client: Client, id: str, name: str, payload: Any = None, *, request: str = "", by: str = "", why: str = ""
) -> None:
    """Send a plain signal, to which nobody answers; a saga that refuses it says so in its status.

    ``signalling`` delivers signals with an answer.

    Args:
        request: Its id: signals with the same id count once.
        by, why: Who sends it, and the reason.

    Raises:
        SagaNotFound, SagaOver, UnfitPayload, TooLong: See there.
    """
    _check_request(request)
    arguments = Beside(request, by, why).arguments(payload)
    if (size := await _sent_size(client, id, arguments)) > MAX_ENCODED_BYTES:
        raise UnfitPayload(name, (f"it has {_too_many(size)}",))
    with known(client, id):
        await client.get_workflow_handle(id).signal(name, args=arguments)


async def deliver(client: Client, id: str, asked: Delivery, *, request: str, patience: timedelta) -> Mapping[str, Any]:
    """Deliver a signal by an update, and return what became of it.

    Raises:
        SagaNotFound, SagaOver, UnfitPayload, TooLong: See there.
        TimeoutError: Nobody has answered in time; the saga may still take it.
        WorkflowUpdateFailedError: The saga has refused it, or does not know how to take a signal this way.
    """
    _check_request(request)
    if (size := await _sent_size(client, id, [asked.to_json()])) > MAX_ENCODED_BYTES:
        raise UnfitPayload(asked.name, (f"it has {_too_many(size)}",))
    try:
        with known(client, id):
            handle = client.get_workflow_handle(id)
            answer = await handle.execute_update(DELIVER_SIGNAL, asked.to_json(), id=request, rpc_timeout=patience)
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        _raise_if_cancelled()
        raise TimeoutError from None
    return answer if isinstance(answer, Mapping) else {}


async def cancel(client: Client, id: str, *, by: str = "", why: str = "") -> bool:
    """Ask a saga to stop and undo what it did; it records who asked and why. Raises ``SagaNotFound``, ``SagaOver``.

    Returns whether the saga hears of it now. If Temporal's own pause holds the saga, it hears when it is released.
    """
    described = await describe_open(client, id)  # the server takes a cancel of a closed run without a word
    with known(client, id):
        await client.get_workflow_handle(id).cancel(reason=reason(by, why))
    return described.held is None


async def terminate(client: Client, id: str, reason: str) -> None:
    """End a saga at once: no code runs, and nothing is undone (R31). Raises ``SagaNotFound``, ``SagaOver``."""
    with known(client, id):
        await client.get_workflow_handle(id).terminate(reason=reason)


async def operate(
    client: Client,
    id: str,
    verb: Verb,
    asked: Asked = UNSAID,
    *,
    request: str = "",
) -> str:
    """Carry out an operator's request (R22), and return the status that follows.

    Args:
        request: Its id: requests with the same id count once. If left out, the id is made from the request and from
            how far the run has come.

    Raises:
        NotPossible, NotAnswered, NotBegun, SagaNotFound, SagaOver, TooLong: See there.
    """
    _check_request(request)
    handle = client.get_workflow_handle(id)
    described = await describe_open(client, id)
    if described.held is not None:
        raise Held(id)
    answered = await last_answer(client, described)
    if not answered and (later := await begins_at(client, described)) is not None:
        raise NotBegun(id, verb.value, later)
    if verb in NEED_A_PATH and not asked.path:  # by the time it arrives, another step may wait
        missing = {Verb.SKIP_STEP: "which one is left out", Verb.RESET: "to which step it goes back"}
        raise NotPossible(id, verb.value, f"say {missing.get(verb, 'which one is done')}")
    request = request or _same_request(verb, asked, described.run_id, answered)
    if (size := await _sent_size(client, id, [asked.to_json()])) > MAX_ENCODED_BYTES:
        raise NotPossible(id, verb.value, f"the request has {_too_many(size)}")
    try:
        with known(client, id):
            patience = timedelta(seconds=runs.ANSWER_SECONDS)
            answer = await handle.execute_update(verb.value, asked.to_json(), id=request, rpc_timeout=patience)
    except WorkflowUpdateRPCTimeoutOrCancelledError:
        _raise_if_cancelled()
        raise NotAnswered(id, verb.value, asked.path, request, described.task_queue) from None
    except WorkflowUpdateFailedError as refused:
        cause = refused.cause
        raise NotPossible(
            id, verb.value, cause.message if isinstance(cause, ApplicationError) else str(cause)
        ) from None
    return str(answer["status"])


def _raise_if_cancelled() -> None:
    """Go on with a cancel of this task: the SDK raises the same error for a cancel as for an answer that is late."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from None


def _check_request(request: str) -> None:
    if len(request) > LONGEST_ID:
        raise TooLong("request", request, LONGEST_ID)


def _same_request(verb: Verb, asked: Asked, run_id: str, answered: int) -> str:
    """Return an id for a request without one: the same id as long as the run has not gone on."""
    given = [] if asked.given == NOTHING_GIVEN else [replace(asked, by="", why="").to_json()]
    text = json.dumps([verb.value, asked.path, run_id, answered, *given], sort_keys=True)
    return f"{verb.value.removesuffix('_step')}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


async def _already_started(client: Client, id: str, run_id: str) -> AlreadyStarted:
    described = await describe(client, id)
    request = str(described.memo.get("request", ""))
    return AlreadyStarted(
        id, run_id or described.run_id, described.status, name=described.workflow_type, request=request
    )


async def _has_not_begun(client: Client, earlier: AlreadyStarted, request: str) -> bool:
    """Whether an earlier run of the same request was refused before it began, so that it had no effect."""
    if earlier.status != "failed" or earlier.request != request:
        return False
    report = (await result(client, earlier.id, run_id=earlier.run_id)).report
    return report is not None and report.get("begun") is False


def _memo(name: str, package: Package | None, *, by_name: bool) -> dict[str, Any]:
    """Return the memo of a run. Only a client that sends the definition knows what the run will tell the index."""
    memo = package.memo() if package else {"saga": name}
    return {key: value for key, value in memo.items() if key != INDEXED} if by_name else memo


def _sendable(name: str, input: Any) -> bytes:
    try:
        raw = to_bytes(input)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputRefused(name, (f"it is not JSON: {error}",)) from error
    if len(raw) > MAX_PAYLOAD_BYTES:
        raise InputRefused(
            name,
            (f"it has {len(raw):,} bytes, at most {MAX_PAYLOAD_BYTES:,} fit: pass a reference to where the data is",),
        )
    return raw


async def _sent_size(client: Client, id: str, values: Sequence[Any]) -> int:
    """Return the size of *values* in bytes, as the codec sends them to a run."""
    converter = of_workflow(client, id)
    return await encoded_size(converter, converter.payload_converter.to_payloads(values))


def _too_many(size: int) -> str:
    fits = f"at most {MAX_ENCODED_BYTES:,} fit: pass a reference to where the data is"
    return f"{size:,} bytes as it is sent, encoded by the payload codec if there is one; {fits}"


def _cut(text: str, limit: int) -> str | None:
    """Return *text* cut to *limit* bytes of UTF-8; ``None`` for an empty one."""
    data = text.encode("utf-8", "replace")
    return (data.decode() if len(data) <= limit else data[: limit - 3].decode("utf-8", "ignore") + "…") or None
