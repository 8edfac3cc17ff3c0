"""The signals of a saga: taken, kept or refused, and answered where the sender wants an answer. Replay-critical.

A signal comes in one of three ways. Any Temporal client may send a plain signal. Temporal answers nobody, so the saga
lists in its status what it has refused. Our own clients deliver a signal by the update ``deliver_signal``. A validator
refuses what the saga cannot take, which leaves nothing in the history, and the answer says what became of the signal.
And any client may send the signal as an update of the same name, and gets the reply of the step that takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from sagadsl.engine import projection, waits
from sagadsl.engine.facts import LateEnd, SignalReceived, Status
from sagadsl.engine.scope import iso
from sagadsl.engine.waits import Came, Fate
from sagadsl.language.own_errors import (
    COMES_TOO_EARLY,
    INVALID_INPUT,
    NOT_AWAITED,
    NOT_POSSIBLE,
    UNFIT_PAYLOAD,
    UNKNOWN_SIGNAL,
)
from sagadsl.language.paths import activity_id, call_of_activity
from sagadsl.temporal.run import failures
from sagadsl.temporal.run.opening import decoded
from sagadsl.temporal.run.operated import OperatedRun, update_id
from sagadsl.temporal.run.slow_checks import patiently
from sagadsl.temporal.run.taken_over import heard_in_turn, is_of_the_runner
from sagadsl.temporal.wire.late_ends import LATE_END, LateReport
from sagadsl.temporal.wire.requests import Beside, Delivery

_REFUSED_SIGNALS = 100
_REASON = 1000
"""How many characters of a reason are kept."""


class SignalledRun(OperatedRun):
    """A run that takes signals, in every phase of it."""

    def __init__(self) -> None:
        super().__init__()
        self._signals = 0
        self._early: list[tuple[str, Sequence[RawValue], float, int]] = []

    @workflow.signal(dynamic=True, description="A signal that the saga waits for")
    def on_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Receive a signal; a signal that comes before the definition is known waits until then (R59)."""
        if is_of_the_runner(name):
            return
        self._signals += 1
        if self._package is None:
            self._early.append((name, args, workflow.time(), self._signals))
        else:
            self._signal(name, args, workflow.time(), self._signals)

    def _take_early_signals(self) -> None:
        early, self._early = self._early, []
        for each in early:
            self._signal(*each)

    def _signal(self, name: str, args: Sequence[RawValue], at: float, number: int) -> None:
        if name == LATE_END:
            self._late_end(args, at)
            return
        beside = Beside.of_arguments(args, decoded)
        if self._check_of(name) is None:
            self._refuse_signal(name, "the saga does not wait for it", at, beside)
            return
        try:
            payload = decoded(args[0]) if args else None
        except Exception as error:  # noqa: BLE001 # a client in any language may send anything
            self._refuse_signal(name, f"its payload is not JSON: {error}", at, beside)
            return
        if problems := self._problems(name, payload):
            self._refuse_signal(name, "; ".join(problems), at, beside)
            return
        fact = SignalReceived(at, name, payload, beside.request, by=beside.by, why=beside.why)
        if waits.is_doubtful(self._state, name, at):
            self._host.inbox.tell_when_known(fact, number)
        else:
            self._host.inbox.tell(fact)

    def _late_end(self, args: Sequence[RawValue], at: float) -> None:
        """Take in how an attempt has ended late; a report of another saga that had the same id means nothing here."""
        try:
            report = LateReport.read(decoded(args[0]) if args else None)
            output = decoded(args[1]) if len(args) > 1 else None
        except Exception as error:  # noqa: BLE001 # a worker in any language may send anything
            self._refuse_signal(LATE_END, f"it does not tell of the end of an attempt: {error}", at, Beside())
            return
        call = call_of_activity(report.activity)
        if report.activity == activity_id(call, self._state.generation):
            self._host.tell_late(LateEnd(at, call, report.outcome, report.attempt, report.started_at, output))

    def _check_of(self, name: str) -> Any:
        assert self._package is not None
        return self._package.check_signals.get(name)

    def _problems(self, name: str, payload: Any) -> tuple[str, ...]:
        return patiently(self._check_of(name), payload)

    def _refuse_signal(self, name: str, why: str, at: float, beside: Beside) -> None:
        workflow.logger.warning("signal `%s` is not taken: %s", name, why)
        refusal = {"signal": name[:200], "reason": failures.bounded(why, _REASON), "at": iso(at)}
        said = {"request": beside.request, "by": beside.by}
        self._opening.refused.append(refusal | {key: text for key, text in said.items() if text})
        del self._opening.refused[:-_REFUSED_SIGNALS]

    @workflow.query(description="What became of the signal or the decision with this id")
    def request(self, id: str) -> dict[str, Any] | None:
        """Return what a request did: the path that took it (empty for a signal that is kept), its verb, or why it was
        refused.

        ``None``: no request with that id has come, or so many have come since that it is forgotten.
        """
        if id in self._state.requests:
            return {"taken": True, "by": self._state.requests[id], **self._reply(self._state.requests[id])}
        refused = next((each for each in reversed(self._opening.refused) if each.get("request") == id), None)
        why = self._refused_by_waits(id) if refused is None else refused["reason"]
        return {"taken": False, "reason": why} if why else None

    def _refused_by_waits(self, id: str) -> str:
        return next((each.why for each in reversed(self._state.refused) if each.request == id), "")

    @workflow.update(description="Deliver a signal, and say what became of it: {name, payload?, by?, why?}")
    async def deliver_signal(self, request: Any = None) -> dict[str, Any]:
        """Return ``{"released": PATH}`` or ``{"kept": true}``.

        With ``"repeated": true`` if the request came before, and with ``reply`` if the step that took it replies.

        The validator has judged the signal. It is judged again here if the definition was not known yet, or if the
        engine has not heard of everything that came before. A signal after the time of its wait does not count for it:
        how long the update was on its way, no record tells.
        """
        return await self._deliver(Delivery.read(request))

    async def _deliver(self, asked: Delivery, *, only_now: bool = False) -> dict[str, Any]:
        id_ = update_id()
        is_early = self._package is None
        await heard_in_turn()
        await workflow.wait_condition(lambda: self._has_begun)
        while self._host.inbox.has_facts():  # another signal may be faster, and then this one is judged again
            is_early = True
            await workflow.wait_condition(lambda: not self._host.inbox.has_facts())
        if id_ in self._state.requests:
            return self._answer(id_) | {"repeated": True}
        if is_early:
            self._judge(asked, only_now=only_now)
        fact = SignalReceived(workflow.time(), asked.name, asked.payload, id_, by=asked.by, why=asked.why)
        self._host.tell_asked(fact)
        await workflow.wait_condition(lambda: not self._host.inbox.holds(fact))
        if id_ not in self._state.requests:
            if why := self._refused_by_waits(id_):
                raise _unfit([why])
            raise ApplicationError("the saga has ended before it could take the signal", type=NOT_POSSIBLE)
        return self._answer(id_)

    def _answer(self, request: str) -> dict[str, Any]:
        path = self._state.requests[request]
        return {"released": path, **self._reply(path)} if path else {"kept": True}

    def _reply(self, path: str) -> dict[str, Any]:
        """Return what the sender of the signal that a step has taken gets, if the step replies."""
        record = self._state.records.get(path)
        return {} if record is None or record.reply is None else {"reply": record.reply}

    @workflow.update(dynamic=True, description="A signal that a step waits for now; the answer is the step's reply")
    async def on_update(self, name: str, args: Sequence[RawValue]) -> Any:
        """Take a signal that any Temporal client has sent as an update of that name, and return the reply. R102."""
        asked = self._as_delivery(name, args)
        return (await self._deliver(asked, only_now=True)).get("reply")

    @on_update.validator
    def _may_update(self, name: str, args: Sequence[RawValue]) -> None:
        asked = self._as_delivery(name, args)
        if self._has_begun and update_id() not in self._state.requests:
            self._judge(asked, only_now=True)

    @staticmethod
    def _as_delivery(name: str, args: Sequence[RawValue]) -> Delivery:
        beside = Beside.of_arguments(args, decoded)
        try:
            return Delivery(name, decoded(args[0]) if args else None, beside.by, beside.why)
        except Exception as error:  # a client in any language may send anything
            raise ApplicationError(f"its payload is not JSON: {error}", type=INVALID_INPUT) from error

    @deliver_signal.validator
    def _may_deliver(self, request: Any = None) -> None:
        try:
            asked = Delivery.read(request)
        except ValueError as problem:
            raise ApplicationError(str(problem), type=INVALID_INPUT) from problem
        if self._has_begun and update_id() not in self._state.requests:
            self._judge(asked)

    @property
    def _has_begun(self) -> bool:
        """Whether the definition is known, or never will be."""
        return self._package is not None or self._rejection is not None or self._stopped_early

    def _judge(self, asked: Delivery, *, only_now: bool = False) -> None:
        """Raise an error for a signal that the saga cannot take now; with *only_now*, it must not be kept either."""
        if (why := self._not_begun()) is not None:
            raise ApplicationError(why, type=NOT_POSSIBLE)
        assert self._package is not None
        saga = self._package.saga
        if self._check_of(asked.name) is None:
            message = f"the saga never waits for a signal `{asked.name[:200]}`"
            if only_now:  # a newer client asks for what this release does not know, and reads the SDK's words
                message = f"update handler for `{asked.name[:200]}` expected but not found: {message}"
            raise ApplicationError(message, list(saga.signals), type=UNKNOWN_SIGNAL)
        if problems := self._problems(asked.name, asked.payload):
            raise _unfit([failures.bounded(each, _REASON) for each in problems[:10]])
        if why := waits.taker(saga, self._state, Came(asked.name, asked.payload, workflow.time()))[1]:
            raise _unfit([why])
        match waits.fate_of(saga, self._state, asked.name, workflow.time()):
            case Fate.NOT_AWAITED:
                status: Status = projection.current(self._state)
                message = f"the saga is {status.value}, and nothing in it will wait for signal `{asked.name}` any more"
                raise ApplicationError(message, status.value, type=NOT_AWAITED)
            case Fate.TOO_EARLY:
                message = f"nothing waits for signal `{asked.name}` yet, and what comes before the wait does not count"
                raise ApplicationError(message, type=COMES_TOO_EARLY)
            case Fate.KEPT if only_now:
                message = f"nothing waits for signal `{asked.name}` yet, so there is nobody to reply"
                raise ApplicationError(message, type=COMES_TOO_EARLY)
            case _:
                pass


def _unfit(reasons: list[str]) -> ApplicationError:
    return ApplicationError("; ".join(reasons), reasons, type=UNFIT_PAYLOAD)
