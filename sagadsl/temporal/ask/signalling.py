"""Delivers signals with an answer: the run itself says whether it has taken, kept or refused a signal.

A signal goes out as an update that the run judges before it is accepted. Where that is not possible, a plain signal is
sent instead: to a run that has not begun or that is held, to a run whose worker has an older release, and when no
worker answers. It has the same id, so both count once. Before it is sent, the signal is checked against the
definition to which the run is pinned, if the history has it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle, WorkflowQueryFailedError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable, replace
from sagadsl.language.model import Saga, WaitFor
from sagadsl.language.own_errors import COMES_TOO_EARLY, NOT_AWAITED, UNFIT_PAYLOAD, UNKNOWN_SIGNAL
from sagadsl.language.paths import step_id_in
from sagadsl.language.schema.meant_keys import meant
from sagadsl.status.lines import unpause
from sagadsl.temporal import client as sagas
from sagadsl.temporal.read.described import Described, describe, describe_open
from sagadsl.temporal.read.recorded import begins_at, last_answer, pinned
from sagadsl.temporal.read.secrets import hides_of
from sagadsl.temporal.refusals import (
    SIGNAL,
    ComesTooEarly,
    NotAnswered,
    NotAwaited,
    SagaNotFound,
    SagaOver,
    SignalRefused,
    UnfitPayload,
    UnknownSignal,
    known,
)
from sagadsl.temporal.run.slow_checks import aside
from sagadsl.temporal.wire.arguments import Package
from sagadsl.temporal.wire.requests import DELIVER_SIGNAL, LONGEST_TEXT, Delivery

ANSWER_SECONDS = 5.0
"""How long a worker may take to say what became of a signal."""

_OPEN_STEPS = ("pending", "running", "paused")


class Sent(Immutable):
    """What became of a signal.

    Attributes:
        state: ``taken``: a step has taken it. ``kept``: nothing waits for it yet. ``sent``: nobody has said what
            became of it.
        step: Path of the step that has taken it.
        is_checked: The saga, or the definition in its history, was found to wait for it.
        is_repeated: A signal with the same id had come before; both count once.
        begins_at: When a saga begins that was started with a delay, and then handles its signals.
        is_held: Temporal's own pause holds the saga; it handles the signal when it is released.
        reply: What the step that has taken it replies; ``None`` without a reply.
    """

    id: str
    signal: str
    request: str
    state: str
    step: str = ""
    is_checked: bool = True
    is_repeated: bool = False
    begins_at: datetime | None = None
    is_held: bool = False
    reply: Any = None

    def as_json(self) -> dict[str, Any]:
        """Return what is told to programs."""
        return {
            "id": self.id,
            "signal": self.signal,
            "request": self.request,
            "state": self.state,
            "step": self.step or None,
            "checked": self.is_checked,
            "confirmed": self.state != "sent",
            "repeated": self.is_repeated,
        } | ({} if self.reply is None else {"reply": self.reply})

    def __str__(self) -> str:
        """Say it in one line."""
        text = f"sent `{self.signal}` to {self.id}{' before; it counts once' if self.is_repeated else ''}: "
        match self.state:
            case "taken":
                replies = "" if self.reply is None else f", which replies: {json.dumps(self.reply, ensure_ascii=False)}"
                return f"{text}taken by step `{self.step}`{replies}"
            case "kept":
                return f"{text}kept, since nothing waits for it yet"
            case _ if self.is_held:
                text += f"the saga looks at it when it is released: {unpause(self.id)}"
            case _ if self.begins_at is not None:
                text += f"the saga begins at {self.begins_at:%Y-%m-%dT%H:%M:%SZ}"
            case _:
                text += "not confirmed: nobody has said whether the saga takes it"
        unchecked = "; whether the saga waits for such a signal could not be checked"
        return text if self.is_checked else text + unchecked


async def signal(
    client: Client, id: str, name: str, payload: Any = None, *, request: str = "", by: str = "", why: str = ""
) -> Sent:
    """Deliver a signal for which the saga waits now or later, and say what became of it.

    Args:
        request: Its id: signals with the same id count once, and get the same answer after the end of the saga.
        by, why: Who sends it, and the reason; the saga keeps both.

    Raises:
        SagaNotFound, SagaOver, UnknownSignal, UnfitPayload, NotAwaited, ComesTooEarly, SignalRefused: The saga does
            not take it.
        NotAnswered: It was sent, and nobody has answered.
    """
    described = await describe(client, id)
    asked = Delivery(name, payload, by[:LONGEST_TEXT], why[:LONGEST_TEXT])
    delivering = _Delivering(client, described, asked, request or uuid.uuid4().hex)
    if not described.is_open:
        before = None
        with suppress(TimeoutError):  # nobody is there who could tell
            before = await delivering.before() if request else None
        if before is None:
            raise SagaOver(id)
        return before
    with known(client, id):
        later = None if await last_answer(client, described) else await begins_at(client, described)
    if later is not None or described.held is not None:
        sent = await delivering.send_plainly()
        return replace(sent, begins_at=later, is_held=described.held is not None)
    try:
        if request and (before := await delivering.before()) is not None:
            return before
        return await delivering.deliver() or await delivering.send_to_older_release()
    except TimeoutError:
        await delivering.send_plainly()
        raise NotAnswered(id, SIGNAL, name, delivering.request, described.task_queue) from None


async def reply_shown(client: Client, sent: Sent) -> Sent:
    """Return what became of a signal as people see it who may not see the saga's secrets."""
    if sent.reply is None:
        return sent
    hides = await hides_of(client, await describe(client, sent.id))
    return replace(sent, reply=hides.data(sent.reply))


class _Delivering(Immutable):
    """One signal on its way to a run."""

    client: Client
    described: Described
    asked: Delivery
    request: str

    async def deliver(self, tries: int = 3) -> Sent | None:
        """Deliver it by an update; return ``None`` if the worker does not know that update.

        Raises ``TimeoutError`` if nobody answers.
        """
        patience = timedelta(seconds=ANSWER_SECONDS)
        try:
            answer = await sagas.deliver(self.client, self._id, self.asked, request=self.request, patience=patience)
        except SagaNotFound:  # the run has ended while the update was on its way
            await describe_open(self.client, self._id)
            if tries > 1:  # it goes on in a new run
                return await self.deliver(tries - 1)
            raise
        except WorkflowUpdateFailedError as refused:
            problem = self._problem(refused.cause)
            if problem is None:
                return None
            raise (await self._hinted(problem) if isinstance(problem, UnfitPayload) else problem) from None
        if "released" not in answer and "kept" not in answer:
            raise SignalRefused(self._id, self.asked.name, f"`{self.request}` is the id of another request")
        sent = self._sent(answer.get("released", ""), answer)
        return replace(sent, is_repeated=answer.get("repeated", False))

    async def send_to_older_release(self) -> Sent:
        """Send it plainly, and ask afterwards what became of it."""
        package = await self._checked()
        status = await self._ask("status")
        if status is not None and package is not None and not _may_wait(package.saga, status, self.asked.name):
            raise NotAwaited(self._id, self.asked.name, status["status"])
        sent = await self._send(is_checked=package is not None)
        return sent if status is None else await self.became() or sent

    async def send_plainly(self) -> Sent:
        """Send it as a plain signal, if the definition in the history does not say that the saga cannot take it."""
        return await self._send(is_checked=await self._checked() is not None)

    async def _send(self, *, is_checked: bool) -> Sent:
        asked = self.asked
        await sagas.signal(
            self.client, self._id, asked.name, asked.payload, request=self.request, by=asked.by, why=asked.why
        )
        return Sent(self._id, asked.name, self.request, "sent", is_checked=is_checked)

    async def before(self) -> Sent | None:
        """Return what became of an earlier signal with this id that the saga has accepted. Raises ``TimeoutError``."""
        answer = await self._ask("request", self.request) or {}
        return replace(self._sent(answer["by"], answer), is_repeated=True) if answer.get("taken") else None

    async def became(self) -> Sent | None:
        """Return what became of it; ``None`` if it has not come. Raises ``SignalRefused``, ``TimeoutError``."""
        answer = await self._ask("request", self.request)
        if answer is None:
            return None
        if not answer["taken"]:
            raise SignalRefused(self._id, self.asked.name, answer["reason"])
        return self._sent(answer["by"], answer)

    @property
    def _id(self) -> str:
        return self.described.id

    def _sent(self, path: str, answer: Mapping[str, Any]) -> Sent:
        state, reply = "taken" if path else "kept", answer.get("reply")
        return Sent(self._id, self.asked.name, self.request, state, step=path, reply=reply)

    def _problem(self, cause: BaseException | None) -> Exception | None:
        """Return why the run has refused it; ``None`` if the worker does not know the update."""
        type_ = cause.type if isinstance(cause, ApplicationError) else None
        message = cause.message if isinstance(cause, ApplicationError) else str(cause)
        details = cause.details[0] if isinstance(cause, ApplicationError) and cause.details else None
        match type_, details:
            case _ if "expected but not found" in message and DELIVER_SIGNAL in message:
                return None
            case str(), list() if type_ == UNKNOWN_SIGNAL:
                return UnknownSignal(self._id, self.asked.name, tuple(details))
            case str(), list() if type_ == UNFIT_PAYLOAD:
                return UnfitPayload(self.asked.name, tuple(details), is_given=self.asked.payload is not None)
            case str(), str() if type_ == NOT_AWAITED:
                return NotAwaited(self._id, self.asked.name, details)
            case str(), _ if type_ == COMES_TOO_EARLY:
                return ComesTooEarly(self._id, self.asked.name)
            case _:
                return SignalRefused(self._id, self.asked.name, message)

    async def _hinted(self, unfit: UnfitPayload) -> UnfitPayload:
        """Return a refusal with the keys that were probably meant: the run knows only what does not fit."""
        try:
            package = await pinned(self.client, self.described)
        except (RPCError, SagadslError):  # the refusal is what counts
            return unfit
        if package is None:
            return unfit
        hint = meant(self.asked.payload, package.saga.signals.get(self.asked.name))
        return UnfitPayload(unfit.signal, unfit.problems, hint, is_given=unfit.is_given)

    async def _checked(self) -> Package | None:
        """Return the definition in the history, if there is one. Raises ``UnknownSignal``, ``UnfitPayload``."""
        with known(self.client, self._id):
            package = await pinned(self.client, self.described)
        if package is None:
            return None
        check = package.check_signals.get(self.asked.name)
        if check is None:
            raise UnknownSignal(self._id, self.asked.name, tuple(package.check_signals))
        if problems := await aside(check, self.asked.payload):
            raise await self._hinted(UnfitPayload(self.asked.name, problems, is_given=self.asked.payload is not None))
        return package

    async def _ask(self, query: str, *args: Any) -> Any:
        """Return a run's own answer; ``None`` if an older release does not know the query.

        Raises ``TimeoutError`` if no worker answers.
        """
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(self._id)
        try:
            return await handle.query(query, args=args, rpc_timeout=timedelta(seconds=ANSWER_SECONDS))
        except WorkflowQueryFailedError:
            return None
        except RPCError as error:
            if error.status in (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED):
                raise
            raise TimeoutError from None


def _may_wait(saga: Saga, status: Mapping[str, Any], name: str) -> bool:
    """Whether a step waits for this signal or may do so later, as far as the top-level steps tell."""
    if name in status.get("waiting_for", {}):
        return True
    statuses = {step["path"]: step["status"] for step in status.get("steps", ())}
    for id_, place in saga.places.items():
        if not isinstance(place.step.body, WaitFor) or name not in place.step.body.signals:
            continue
        top = place.blocks[0] if place.blocks else id_
        if place.is_on_failure or statuses.get(step_id_in(top), "pending") in _OPEN_STEPS:
            return True
    return False
