"""The one workflow, which runs any definition; its type is the definition's name. Replay-critical.

It connects the engine to Temporal and holds no rule about sagas: start arguments in, verdict out,
signals, updates and queries in between. A change here must replay every recorded history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy, TypedSearchAttributes
from temporalio.exceptions import ApplicationError, FailureError

from sagadsl.engine import interpreter, operator, projection, result, waits
from sagadsl.engine.chunks import to_undo
from sagadsl.engine.facts import (
    Close,
    ContinueAsNew,
    Error,
    Fact,
    OperatorAsked,
    Resumed,
    SignalReceived,
    StartChild,
    Status,
)
from sagadsl.engine.journal import State
from sagadsl.engine.pack import pack
from sagadsl.engine.scope import iso
from sagadsl.engine.squeeze import packed
from sagadsl.engine.verbs import SENTENCES, Verb
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import INVALID_INPUT, NOT_POSSIBLE, PAYLOAD_TOO_LARGE
from sagadsl.temporal import attributes, closing, failures
from sagadsl.temporal.arguments import (
    WARNINGS,
    Carry,
    Package,
    child_envelope,
    open_envelope,
    to_payload,
)
from sagadsl.temporal.codec_growth import of_this_worker
from sagadsl.temporal.definitions import InvalidDefinition
from sagadsl.temporal.host import WAITS_FOR_OTHERS, ChildStart, TemporalHost
from sagadsl.temporal.marker import MAX_PAYLOAD_BYTES
from sagadsl.temporal.opening import Opening, Rejected, decoded
from sagadsl.temporal.requests import Asked, request_of
from sagadsl.temporal.slow_checks import patiently
from sagadsl.temporal.status_answer import fitting

CANCEL_ACTIVITY = "sagadsl.cancel"
"""A local activity that every worker of sagas has; see ``registry``."""

_WENT_ON = "sagadsl.went_on"
_PACKS = 2
"""Since this version of the rules, the state is packed before continue-as-new carries it over."""

_BESIDE = 1_000
"""Bytes that continue-as-new sends beside the state."""
_ARGUMENTS = 3
_ANY_SIZE = 2**40
_REFUSED_SIGNALS = 100
_SHOWN = (Status.PAUSED, Status.FAILED)
_WHOLE_RESULT = 3
"""Since this version of the rules, a run makes room in its last message for all that it returns or hands on."""
_KEEPS_SHOWN = 2
"""Since this version of the rules, a run knows which status the run before has set in the index, and corrects it."""


@workflow.defn(dynamic=True, sandboxed=False)
class SagaWorkflow:
    """A saga, whatever its definition says."""

    def __init__(self) -> None:
        self._host = TemporalHost(
            rules=lambda: self._state.rules,
            generation=lambda: self._state.generation,
            to_undo=lambda: to_undo(self._state),
        )
        self._opening = Opening(self._host)
        self._signals = 0
        self._early: list[tuple[str, Sequence[RawValue], float, int]] = []
        self._early_decisions: list[OperatorAsked] = []
        self._rejection: Error | None = None
        self._stopped_early = False
        self._shown: Status | None = None
        self._attempts = 0

    @property
    def _state(self) -> State:
        return self._opening.state

    @property
    def _package(self) -> Package | None:
        return self._opening.package

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Take ``[input]``, ``[input, envelope]`` or ``[input, envelope, carry]``; return the saga's output."""
        try:
            first = await self._opening.begin(args)
        except Rejected as rejected:
            self._rejection = Error(rejected.type, failures.bounded(rejected.message))
            self._host.close()
            self._opening.list_not_begun(cancelled=False)
            self._early_decisions.clear()
            await self._handlers_finished()
            report = closing.not_begun(workflow.info(), self._rejection, self._opening.refused_status())
            raise closing.failed(self._rejection, rejected.message, report) from None
        except asyncio.CancelledError:
            self._stopped_early = True
            self._host.close()
            self._opening.list_not_begun(cancelled=True)
            self._early_decisions.clear()
            await self._handlers_finished()
            raise
        self._join()
        return await self._end(await self._drive(self._after_early_ones(first)))

    def _join(self) -> None:
        """Give the host the functions that need the definition."""
        assert self._package is not None
        options = self._package.options
        self._host.child_start = self._child_start
        self._host.history.drain_after = options.continue_after_events
        if options.status_attribute:
            self._host.before_wait = self._show_status

    def _after_early_ones(self, first: Fact) -> Fact:
        """Put the facts in order that came before the definition was known; return the first one.

        An operator's decision comes before the saga begins, so that nothing begins after a pause. In a run that
        continues another one, it comes after the first fact, as it would have in the run before.
        """
        early, self._early_decisions = self._early_decisions, []
        facts: list[Fact] = [first, *early] if isinstance(first, Resumed) else [*early, first]
        for fact in facts[1:]:
            self._host.tell(fact)
        for early_signal in self._early:
            self._signal(*early_signal)
        return facts[0]

    async def _drive(self, first: Fact) -> Close:
        """Run the engine to its end, or continue as new."""
        assert self._package is not None
        if self._state.rules >= _KEEPS_SHOWN:
            self._shown = _shown_before()
        while True:
            outcome = await interpreter.run(self._package.saga, self._host, self._state, first)
            if isinstance(outcome, Close):
                return outcome
            assert isinstance(outcome, ContinueAsNew)
            first = await self._go_over()

    async def _go_over(self) -> Fact:
        """Continue as new. If a fact has come meanwhile, or the state is too large, return a fact instead."""
        assert self._package is not None
        await self._handlers_finished()
        if self._host.has_facts():  # a signal or a cancel that came meanwhile goes along in the state
            return await self._host.next_fact()
        carry = self._taken_along()
        if carry is None:
            workflow.logger.warning("the state is too large for continue-as-new: this run goes on")
            self._host.go_on(stuck=True)
            return Resumed(workflow.time(), workflow.info().run_id)
        beside = len(self._package.raw) if self._state.rules >= _WHOLE_RESULT else 0
        await self._host.make_room(carry.ByteSize() + beside)
        if not self._host.has_facts():
            workflow.continue_as_new(args=[None, RawValue(to_payload(self._package.raw)), RawValue(carry)])
        return await self._host.next_fact()

    def _taken_along(self) -> Payload | None:
        """Return the carry for continue-as-new, or ``None`` when no payload can hold it.

        The history tells which of the two it was: at a replay a library may compress differently.
        """
        assert self._package is not None
        saga, state = self._package.saga, self._state
        if state.rules < _PACKS:
            return self._carry_on(MAX_PAYLOAD_BYTES)
        self._attempts += 1
        went_on = f"{_WENT_ON}.{self._attempts}"
        was_too_large = workflow.unsafe.is_replaying() and workflow.patched(went_on)
        pack(saga, state)
        # If this is a replay, the state did fit, even if this worker's codec would make it too long.
        replayed = workflow.unsafe.is_replaying()
        most = _ANY_SIZE if replayed else of_this_worker().most(_ARGUMENTS)
        payload = None if was_too_large else self._carry_on(most)
        if payload is None and saga.output is None and not state.output_dropped:  # nobody has asked for it
            state.output_dropped = True
            pack(saga, state)
            payload = None if was_too_large else self._carry_on(most)
        if payload is None:
            workflow.patched(went_on)
        return payload

    def _carry_on(self, most: int) -> Payload | None:
        """Return the state as a payload, or ``None`` when it is larger than all arguments together may be."""
        assert self._package is not None
        carry = Carry(
            wants_journal=self._opening.carry.wants_journal,
            state=self._state.snapshot(),
            refused=tuple(self._opening.refused),
            from_folder=self._opening.from_folder,
        )
        return carry.to_payload(most - len(self._package.raw) - _BESIDE)

    async def _end(self, close: Close) -> Any:
        assert self._package is not None
        if self._package.options.status_attribute:
            self._show_status()
        self._host.close()
        await self._handlers_finished()
        match close.status:
            case Status.COMPLETED:
                return await self._result(self._package.saga, close.output, close.journal)
            case Status.CANCELLED:
                await self._see_cancel()
                raise asyncio.CancelledError
            case _ if close.failure is None:  # it existed only to undo a completed saga, and has done so
                return None
            case _:
                message = projection.summary(self._package.saga, self._state)
                report = closing.report(self._package.saga, self._state)
                raise closing.failed(close.failure, message, report) from closing.cause(close.failure)

    async def _result(self, saga: Saga, output: Any, journal: Any) -> Any:
        payload = self._returned(output, journal)
        stretch = self._host.fits(len(payload.data))
        if stretch is not None and self._state.rules >= result.OUTPUT_NEVER_FAILS:
            beside = " with what undoing the saga needs" if self._opening.carry.wants_journal else ""
            result.leave_out(saga, self._state, len(payload.data), stretch.most(), beside)
            payload = self._returned(None, journal)
            stretch = self._host.fits(len(payload.data))
        if self._state.warnings:  # whoever asks for the result gets null alone
            told = [{**each, "message": failures.bounded(each["message"])} for each in projection.warnings(self._state)]
            workflow.upsert_memo({WARNINGS: told})
        if stretch is None:
            if self._state.rules >= _WHOLE_RESULT:
                await self._host.make_room(payload.ByteSize())
            return RawValue(payload)
        message = f"all steps are done, but the saga's result {stretch.told(len(payload.data))}"
        error = Error(PAYLOAD_TOO_LARGE, message)
        end = {"status": Status.FAILED.value, "failure": {"type": error.type, "message": message, "step": ""}}
        raise closing.failed(error, message, closing.report(saga, self._state) | end)

    def _returned(self, output: Any, journal: Any) -> Payload:
        whole = output
        if self._opening.carry.wants_journal:
            kept = journal if self._state.wants_journal else packed(self._state.snapshot())
            whole = {"output": output, "journal": kept}
        return workflow.payload_converter().to_payload(whole)

    async def _see_cancel(self) -> None:
        """Cancel this run too. After continue-as-new only the run before has been cancelled, and Temporal closes a
        run as Canceled only if that run itself was cancelled (R50, measured)."""
        if self._host.cancel_seen:
            return
        info = workflow.info()
        try:
            await workflow.execute_local_activity(
                CANCEL_ACTIVITY,
                args=[info.workflow_id, info.run_id],
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=5),
            )
            await workflow.wait_condition(lambda: False, timeout=timedelta(minutes=1))
        except (asyncio.CancelledError, TimeoutError, FailureError):
            return

    async def _handlers_finished(self) -> None:
        while not workflow.all_handlers_finished():
            try:
                await workflow.wait_condition(workflow.all_handlers_finished)
            except asyncio.CancelledError:
                await self._host.take_cancel()

    def _child_start(self, command: StartChild) -> ChildStart:
        assert self._package is not None
        raw = child_envelope(self._package.raw, command.saga)
        carry = Carry(
            wants_journal=command.wants_journal,
            journal=command.journal,
            failure=command.failure,
            from_folder=raw is not None and self._opening.from_folder,
        ).to_json()
        envelope = None if raw is None else RawValue(to_payload(raw))
        arguments = [command.input, envelope, carry] if carry else [command.input, envelope] if raw else [command.input]
        try:
            package = None if raw is None else open_envelope(raw, trusted=workflow.unsafe.is_replaying())
        except InvalidDefinition:  # the child itself will say so
            package = None
        if package is None:
            told = {"saga": command.saga} if self.waits_for_others else None  # else nobody knows that it is a saga
            return ChildStart(arguments, told)
        listed = workflow.info().typed_search_attributes.get(attributes.SAGA_NAME) is not None
        found: TypedSearchAttributes | None = attributes.at_start(package.saga) if listed else None
        return ChildStart(arguments, package.memo(), found)

    def _show_status(self) -> None:
        """Set the saga's status in the index once it matters: each update costs an event."""
        status = projection.current(self._state)
        if (self._shown is None and status not in _SHOWN) or status is self._shown:
            return
        self._shown = status
        workflow.upsert_search_attributes([attributes.SAGA_STATUS.value_set(status.value)])

    @workflow.signal(dynamic=True, description="A signal that the saga waits for")
    def on_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Receive a signal; a signal that comes before the definition is known waits until then (R59)."""
        self._signals += 1
        if self._package is None:
            self._early.append((name, args, workflow.time(), self._signals))
        else:
            self._signal(name, args, workflow.time(), self._signals)

    def _signal(self, name: str, args: Sequence[RawValue], at: float, number: int) -> None:
        assert self._package is not None
        request = request_of(args, decoded)
        check = self._package.check_signals.get(name)
        if check is None:
            self._refuse_signal(name, "the saga does not wait for it", at, request)
            return
        try:
            payload = decoded(args[0]) if args else None
        except Exception as error:  # noqa: BLE001 # a client in any language may send anything
            self._refuse_signal(name, f"its payload is not JSON: {error}", at, request)
            return
        if problems := patiently(check, payload):
            self._refuse_signal(name, "; ".join(problems), at, request)
            return
        fact = SignalReceived(at, name, payload, request)
        if waits.is_doubtful(self._state, name, at):
            self._host.tell_when_known(fact, number)
        else:
            self._host.tell(fact)

    def _refuse_signal(self, name: str, why: str, at: float, request: str) -> None:
        workflow.logger.warning("signal `%s` is not taken: %s", name, why)
        told = {"signal": name[:200], "reason": failures.bounded(why, 1000), "at": iso(at)}
        self._opening.refused.append(told | ({"request": request} if request else {}))
        del self._opening.refused[:-_REFUSED_SIGNALS]

    async def _operate(self, verb: Verb, request: Any) -> dict[str, Any]:
        """Carry out an operator's request, and return the saga's status."""
        asked, id_ = Asked.read(request), _update_id()
        fact = OperatorAsked(
            workflow.time(), verb, asked.path, by=asked.by, why=asked.why, request=id_, occurrence=asked.occurrence
        )
        repeated = id_ in self._state.requests
        if self._package is None:
            self._early_decisions.append(fact)
        else:
            self._host.tell(fact)
        await workflow.wait_condition(
            lambda: not (self._host.holds(fact) or any(each is fact for each in self._early_decisions))
        )
        if id_ not in self._state.requests:  # others were faster
            raise ApplicationError(self._refusal(verb, asked) or "something else came first", type=NOT_POSSIBLE)
        return {"status": projection.current(self._state).value} | ({"repeated": True} if repeated else {})

    def _allow(self, verb: Verb, request: Any) -> None:
        """Raise an error if *verb* is not possible now. A request that comes too early is judged when the definition
        is known."""
        try:
            asked = Asked.read(request)
        except ValueError as problem:
            raise ApplicationError(str(problem), type=INVALID_INPUT) from problem
        begun = self._package is not None or self._rejection is not None or self._stopped_early
        if begun and _update_id() not in self._state.requests and (why := self._refusal(verb, asked)) is not None:
            raise ApplicationError(why, type=NOT_POSSIBLE)

    def _refusal(self, verb: Verb, asked: Asked) -> str | None:
        if self._rejection is not None:
            return f"the saga did not begin: {self._rejection.message}"
        if self._stopped_early:
            return "the saga was cancelled before it began"
        why = operator.refusal(self._state, verb, asked.path, asked.occurrence)
        if why is None and verb is Verb.SKIP_STEP and not asked.path:  # on arrival, another step may wait
            return f"say which one is left out: `{next(iter(self._state.attention))}` waits for a decision"
        return why

    @workflow.update(description=f"{SENTENCES[Verb.RETRY_STEP]}: {{path?, by?, why?, occurrence?}}")
    async def retry_step(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.RETRY_STEP, request)

    @retry_step.validator
    def _may_retry(self, request: Any = None) -> None:
        self._allow(Verb.RETRY_STEP, request)

    @workflow.update(description=f"{SENTENCES[Verb.SKIP_STEP]}: {{path, by?, why?, occurrence?}}")
    async def skip_step(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.SKIP_STEP, request)

    @skip_step.validator
    def _may_skip(self, request: Any = None) -> None:
        self._allow(Verb.SKIP_STEP, request)

    @workflow.update(description=f"{SENTENCES[Verb.ABORT]}: {{by?, why?}}")
    async def abort(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.ABORT, request)

    @abort.validator
    def _may_abort(self, request: Any = None) -> None:
        self._allow(Verb.ABORT, request)

    @workflow.update(description=f"{SENTENCES[Verb.PAUSE]}: {{by?, why?}}")
    async def pause(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.PAUSE, request)

    @pause.validator
    def _may_pause(self, request: Any = None) -> None:
        self._allow(Verb.PAUSE, request)

    @workflow.update(description=f"{SENTENCES[Verb.RESUME]}: {{by?, why?}}")
    async def resume(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.RESUME, request)

    @resume.validator
    def _may_resume(self, request: Any = None) -> None:
        self._allow(Verb.RESUME, request)

    @workflow.query(description="How the saga stands, step by step")
    def status(self) -> Any:
        """Return the whole state as JSON; in every phase, and after the end (R60)."""
        return RawValue(fitting(self._status(), workflow.payload_converter().to_payload, of_this_worker().most()))

    def _status(self) -> dict[str, Any]:
        info = workflow.info()
        if self._package is None or self._rejection is not None:
            failure = self._rejection
            standing = Status.RUNNING if failure is None else self._opening.refused_status()
            return {
                "schema_version": 1,
                "id": info.workflow_id,
                "run_id": info.run_id,
                "name": info.workflow_type,
                "status": (Status.CANCELLED if self._stopped_early else standing).value,
                "paused": False,
                "failure": None if failure is None else {"type": failure.type, "message": failure.message, "step": ""},
                "other_errors": [],
                "attention": [],
                "waiting_for": {},
                "steps": [],
                "actions": [],
            }
        found = projection.status(self._package.saga, self._state)
        unknown = self._host.unknown_activities()
        found |= {"unknown_activities": unknown} if unknown else {}
        return found | ({"refused_signals": self._opening.refused} if self._opening.refused else {})

    @workflow.query(description="What became of the signal or the decision with this id")
    def request(self, id: str) -> dict[str, Any] | None:
        """Return what a request did: the path that took it (empty for a signal that is kept), its verb, or why it was
        refused.

        ``None``: no request with that id has come, or so many have come since that it is forgotten.
        """
        if id in self._state.requests:
            return {"taken": True, "by": self._state.requests[id]}
        refused = next((each for each in reversed(self._opening.refused) if each.get("request") == id), None)
        return None if refused is None else {"taken": False, "reason": refused["reason"]}

    @workflow.query(description="The definition that this run is pinned to")
    def definition(self) -> Any:
        """Return the definition as data; ``null`` before it is known."""
        return None if self._package is None else self._package.definition

    @property
    def waits_for_others(self) -> bool:
        """Whether the saga asks again for a call that its worker does not know."""
        return self._state.rules >= WAITS_FOR_OTHERS

    def local_room(self, activity_id: str | None) -> int | None:
        """Return how large the result of a local activity may be; ``None`` if the activity belongs to no step."""
        return self._host.local_room(activity_id)

    def secrets_of(self, activity_id: str | None) -> Named | None:
        """Return the secrets that a step's activity may look up: those that its definition names."""
        return self._host.secrets_of(activity_id)

    def details(self) -> str:
        """Return the saga as a page of Markdown, for Temporal's Web UI; made only when somebody looks."""
        if self._rejection is not None:
            return f"**not run**: {self._rejection.message}"
        if self._package is None:
            return ""
        return projection.markdown(self._package.saga, self._state)


def _shown_before() -> Status | None:
    """Return the status that the index has when this run begins: continue-as-new copies it."""
    said = workflow.info().typed_search_attributes.get(attributes.SAGA_STATUS)
    return Status(said) if said in {each.value for each in Status} else None


def _update_id() -> str:
    """Return the id of the update that is being handled; a repeated request has the same id."""
    info = workflow.current_update_info()
    assert info is not None
    return info.id
