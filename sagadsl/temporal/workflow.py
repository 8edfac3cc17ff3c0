"""The one workflow: it runs any definition, under the definition's name as its type. Replay-critical.

Joins the engine to Temporal and holds no rule about sagas: start arguments in, verdict out,
signals, updates and queries in between. A change here must replay every recorded history.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy, TypedSearchAttributes
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

from sagadsl.engine import interpreter, operator, projection, result, waits
from sagadsl.engine.chunks import to_undo
from sagadsl.engine.facts import (
    Began,
    BeganUndo,
    Close,
    ContinueAsNew,
    Error,
    Fact,
    OperatorAsked,
    Resumed,
    SignalReceived,
    StartChild,
    Status,
    Verb,
)
from sagadsl.engine.journal import FIRST_RULES, RULES, State
from sagadsl.engine.pack import pack
from sagadsl.engine.scope import iso
from sagadsl.engine.squeeze import packed
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.model import Saga
from sagadsl.temporal import attributes, closing, failures
from sagadsl.temporal.answers import fitting
from sagadsl.temporal.arguments import (
    INDEXED,
    WARNINGS,
    Carry,
    Package,
    child_envelope,
    from_payload,
    holds_anything,
    is_compressed,
    is_envelope,
    is_same_definition,
    open_envelope,
    to_bytes,
    to_payload,
)
from sagadsl.temporal.definitions import InvalidDefinition
from sagadsl.temporal.host import WAITS_FOR_OTHERS, ChildStart, TemporalHost
from sagadsl.temporal.judging import patiently
from sagadsl.temporal.knowledge import NotKnownHere, at_hand
from sagadsl.temporal.marker import MAX_PAYLOAD_BYTES
from sagadsl.temporal.origin import KNOWN_CARRY, Origin, forged, origin, refuses_inline
from sagadsl.temporal.requests import Asked, request_of
from sagadsl.temporal.stretch import ASKS, of_this_worker

DEFINITION_ACTIVITY = "sagadsl.definition"
CANCEL_ACTIVITY = "sagadsl.cancel"
"""Local activities that every worker of sagas has; see ``registry``."""

_REJECTED = "sagadsl.rejected"
_REJECTED_BY_RULES = "sagadsl.rejected.2"
"""The same of a run whose input was judged by later rules than the first."""
_RULES = {version: f"sagadsl.rules.{version}" for version in range(RULES, FIRST_RULES, -1)}
"""Markers of runs whose client did not name the rules: by version, the newest first."""
_WENT_ON = "sagadsl.went_on"
_PACKS = 2
"""Version of the rules since which the state is packed before it is carried over."""

_BESIDE = 1_000
"""Bytes of what else continue-as-new sends."""
_ARGUMENTS = 3
_ANY_SIZE = 2**40
_LISTED = "sagadsl.listed"
_COMPARED = "sagadsl.compared"
_REFUSED_SIGNALS = 100
_SHOWN = (Status.PAUSED, Status.FAILED)
_WHOLE_RESULT = 3
"""Rules from which on there is room in the last message of a run for all that it returns, or hands on."""
_KEEPS_SHOWN = 2
"""Rules from which on a run knows what the run before it has told the index, so that it does not stay there."""


class _Rejected(Exception):
    """The run cannot begin: error type and message, and the marker that the refusal leaves in the history.

    Attributes:
        is_ignorance: The reason is what this worker has, or does not know yet, so that another one may know better.
    """

    def __init__(self, type_: str, message: str, marker: str = _REJECTED, *, is_ignorance: bool = False) -> None:
        super().__init__(type_, message, marker)
        self.type, self.message, self.marker, self.is_ignorance = type_, message, marker, is_ignorance


class Unreadable(Exception):
    """What an earlier run has left cannot be read by this worker. No failure of the saga: it fails the task."""


@workflow.defn(dynamic=True, sandboxed=False)
class SagaWorkflow:
    """A saga, whatever its definition says."""

    def __init__(self) -> None:
        self._host = TemporalHost(
            rules=lambda: self._state.rules,
            generation=lambda: self._state.generation,
            to_undo=lambda: to_undo(self._state),
        )
        self._state = State()
        self._package: Package | None = None
        self._carry = Carry()
        self._refused: list[dict[str, Any]] = []
        self._signals = 0
        self._early: list[tuple[str, Sequence[RawValue], float, int]] = []
        self._early_decisions: list[OperatorAsked] = []
        self._rejection: Error | None = None
        self._stopped_early = False
        self._shown: Status | None = None
        self._carries = False
        self._continues = False
        self._from_folder = False
        self._attempts = 0
        self._args: Sequence[RawValue] = ()

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Take ``[input]``, ``[input, envelope]`` or ``[input, envelope, carry]``; return the saga's output."""
        self._args = args
        try:
            first = await self._begin()
        except _Rejected as rejected:
            self._rejection = Error(rejected.type, failures.bounded(rejected.message))
            self._host.close()
            self._list_not_begun()
            self._early_decisions.clear()
            await self._handlers_finished()
            report = closing.not_begun(workflow.info(), self._rejection, self._refused_status())
            raise closing.failed(self._rejection, rejected.message, report) from None
        except asyncio.CancelledError:
            self._stopped_early = True
            self._host.close()
            self._list_not_begun()
            self._early_decisions.clear()
            await self._handlers_finished()
            raise
        return await self._end(await self._drive(self._after_early_ones(first)))

    def _after_early_ones(self, first: Fact) -> Fact:
        """Put what came before the definition was known to its place in the queue; return what comes first.

        A decision comes before the saga begins, so that nothing begins after a pause. Of a run that goes on,
        it comes afterwards, as it would have in the run before.
        """
        early, self._early_decisions = self._early_decisions, []
        facts: list[Fact] = [first, *early] if isinstance(first, Resumed) else [*early, first]
        for fact in facts[1:]:
            self._host.tell(fact)
        for early_signal in self._early:
            self._signal(*early_signal)
        return facts[0]

    def _refused_status(self) -> Status:
        """Return how a refused run stands: with nothing to undo, unless it was to go on with another's work."""
        return Status.FAILED if self._carries else Status.COMPENSATED

    async def _begin(self) -> Fact:
        """Take in the start arguments, and return the first fact. Raises ``_Rejected``.

        What a run was accepted with stays accepted, whichever release and worker replays it: the
        checks are made once, when the run begins, and a refusal leaves a marker in its history.

        A run that continues another one is never refused: what the runs before it have done would stand, and
        nobody would undo it. What this worker cannot read fails the workflow task, so that the run stays
        open, its status says why, and a worker of another release may take it.
        """
        args = self._args
        self._carries = len(args) > 2 and holds_anything(args[2].payload)
        self._continues = self._carries and origin() is Origin.RUN_BEFORE
        try:
            return await self._accept(args)
        except _Rejected as rejected:
            if self._continues:
                raise Unreadable(
                    f"this worker cannot go on with what the run before has left: {rejected.type}: {rejected.message}; "
                    "nothing is lost: a worker of the release that began the saga can take it"
                ) from rejected
            self._leave_to_others(rejected)
            workflow.patched(rejected.marker)
            raise
        except asyncio.CancelledError:
            self._leave_to_others()
            raise

    def _leave_to_others(self, rejected: _Rejected | None = None) -> None:
        """Raise ``NotKnownHere`` where this worker shall not have the last word, on a refusal or on a cancel.

        A queue may have workflows of others, of any type, whose workers know what to do. And a saga that this
        worker does not know, or cannot read, may be known to the next one: it waits for a while.
        """
        info, worker = workflow.info(), at_hand()
        if worker is None:  # at a replay, it was decided
            return
        is_saga = "saga" in workflow.memo() or worker.has_saga(info.workflow_type)
        is_saga = is_saga or (len(self._args) > 1 and is_envelope(self._args[1].payload))
        why = "" if rejected is None else f": {rejected.message}"
        if not is_saga:
            raise NotKnownHere(
                f"nothing says that workflow type `{info.workflow_type}` is a saga{why}; this worker leaves it to "
                f"other workers of task queue `{info.task_queue}`"
            )
        if rejected is not None and rejected.is_ignorance and worker.is_patient(info.run_id):
            raise NotKnownHere(
                f"another worker of task queue `{info.task_queue}` may know better, and is waited for{why}"
            )

    async def _accept(self, args: Sequence[RawValue]) -> Fact:
        if len(args) > 3:
            message = f"a saga takes at most 3 arguments, got {len(args)}"
            raise _Rejected("InvalidInput", message, is_ignorance=True)
        foreign = ""
        try:
            input_ = self._decoded(args[0]) if args else {}
            raw = self._raw(args[1]) if len(args) > 1 else None
            foreign = self._take_carry(args)
        except InvalidDefinition as problem:
            raise _Rejected("InvalidDefinition", str(problem)) from problem
        except Exception as error:  # a client in any language may send anything
            raise _Rejected("InvalidInput", f"the arguments are not JSON: {error}") from error
        self._refused = [dict(each) for each in self._carry.refused]
        inline = raw is not None
        if raw is None:
            raw = await self._ask_registry()
        self._from_folder = self._carry.from_folder or not inline
        own = await self._asked_to_compare()
        refused = workflow.unsafe.is_replaying() and (
            workflow.patched(_REJECTED) or workflow.patched(_REJECTED_BY_RULES)
        )
        trusted = workflow.unsafe.is_replaying() and not refused
        trusted = trusted or self._continues  # the run before was accepted
        if foreign and not trusted:
            raise _Rejected(
                "CarryRefused",
                f"the third argument has `{foreign}`, which a saga takes only from the run before it or from its "
                "parent, and neither of them has sent it: start the saga with its input alone",
                is_ignorance=foreign not in KNOWN_CARRY,
            )
        self._carries = self._carry.goes_on
        if inline and not trusted:
            self._check_inline(raw, own)
        if own is not None:
            raw, self._from_folder = own, True
        self._package = self._opened(raw, trusted=trusted)
        first = self._first_fact(self._package, input_, trusted=trusted)
        self._list(self._package)
        return first

    def _take_carry(self, args: Sequence[RawValue]) -> str:
        """Read the third argument, and return what of it this run cannot have been handed: that is not looked into.

        At a replay it may have been taken, by a release that did not ask from whom it came.
        """
        if len(args) < 3:
            return ""
        data = None if is_compressed(args[2].payload) else self._decoded(args[2])
        foreign = forged(args, data)
        if not foreign or workflow.unsafe.is_replaying():
            with contextlib.suppress(*([InvalidDefinition] if foreign else [])):
                self._carry = Carry.from_json(from_payload(args[2].payload) if data is None else data)
        self._carries = not foreign and self._carry.goes_on
        return foreign

    async def _asked_to_compare(self) -> bytes | None:
        """Return what this worker's folder has, if a parent's definition counts only when it is the same.

        What a run before, or a parent, had from a worker's folder was taken already.
        """
        if self._from_folder or self._continues or origin() is Origin.CLIENT or not self._compares():
            return None
        return await self._ask_registry()

    def _check_inline(self, raw: bytes, own: bytes | None) -> None:
        """Raise ``_Rejected`` for a definition that came along, where a worker takes those of its own folder alone."""
        alone = "this worker takes definitions from its own folder only"
        if origin() is Origin.CLIENT and refuses_inline():
            raise _Rejected("InlineDefinitionRefused", f"{alone}: start the saga by its name alone")
        try:
            differs = own is not None and not is_same_definition(raw, own)
        except InvalidDefinition as problem:
            raise _Rejected("InvalidDefinition", str(problem)) from problem
        if differs:
            raise _Rejected(
                "InlineDefinitionRefused",
                f"{alone}, and the one that the parent has sent is another one: give the workers of both the same "
                "definition, or start the parent by its name alone",
                is_ignorance=True,
            )

    @staticmethod
    def _compares() -> bool:
        """Whether a parent's definition is compared with the one of this worker's folder; at a replay: was."""
        return (workflow.unsafe.is_replaying() or refuses_inline()) and workflow.patched(_COMPARED)

    @staticmethod
    def _list(package: Package) -> None:
        """Have a run found as what it is, whose client has not known its definition."""
        memo = workflow.memo()
        if "saga" not in memo or (package.options.name_attributes and "digest" not in memo):
            workflow.upsert_memo(package.memo())
        named = workflow.info().typed_search_attributes.get(attributes.SAGA_NAME)
        if package.options.name_attributes and named is None:
            workflow.upsert_search_attributes(attributes.to_set(package.saga))

    def _list_not_begun(self) -> None:
        """Have a run listed that does not begin; one that has not told the index that it failed is asked then."""
        memo = workflow.memo()
        is_told = self._stopped_early or self._refused_status() is Status.COMPENSATED
        if ("saga" in memo and (is_told or INDEXED not in memo)) or not workflow.patched(_LISTED):
            return
        if self._package is not None:
            self._list(self._package)
        elif "saga" not in memo:
            workflow.upsert_memo({"saga": workflow.info().workflow_type})
        if not is_told and INDEXED in workflow.memo():
            workflow.upsert_memo({INDEXED: None})

    def _opened(self, raw: bytes, *, trusted: bool) -> Package:
        try:
            package = open_envelope(raw, trusted=trusted)
        except InvalidDefinition as problem:  # whoever has written the digest has checked it
            is_ignorance = problem.is_newer or "digest" in workflow.memo()
            raise _Rejected("InvalidDefinition", str(problem), is_ignorance=is_ignorance) from problem
        type_ = workflow.info().workflow_type
        if package.saga.name != type_:
            raise _Rejected(
                "InvalidDefinition",
                f"the workflow type is `{type_}`, but the definition is named `{package.saga.name}`",
            )
        self._host.child_start = self._child_start
        self._host.history.drain_after = package.options.continue_after_events
        if package.options.status_attribute:
            self._host.before_wait = self._show_status
        return package

    def _first_fact(self, package: Package, input_: Any, *, trusted: bool) -> Fact:
        info, carry, at = workflow.info(), self._carry, workflow.time()
        if carry.state is not None:
            self._state = self._restored(carry.state)
            self._measure()
            self._package = package.judged_by(self._state.rules)
            return Resumed(at, info.run_id)
        if carry.journal is not None:
            failure = carry.failure or Error("CompensationRequested", "the saga shall be undone")
            handed_over = self._restored(carry.journal)
            if not trusted:
                self._check_journal(package, handed_over)
            self._state.rules = handed_over.rules
            return BeganUndo(at, info.run_id, carry.journal, failure)
        if not trusted:
            self._judge(package, input_)
        self._state.rules = package.options.rules or self._unsaid_rules()
        self._package = package.judged_by(self._state.rules)
        self._measure()
        return Began(at, info.workflow_id, info.run_id, input_, carry.generation, carry.wants_journal)

    def _measure(self) -> None:
        """Take note of how much a child saga can hand over to its parent, if that is less than usual."""
        if self._carry.wants_journal and self._state.rules >= ASKS:
            self._state.journal_percent = self._host.asked.now(self._state.rules).percent

    @staticmethod
    def _check_journal(package: Package, handed_over: State) -> None:
        """Raise ``_Rejected`` for a journal that no run of this definition can have left."""
        steps = [record.step for record in handed_over.records.values()]
        steps += [key.partition(" ")[0] for key in handed_over.gone]
        if unknown := next((step for step in steps if step not in package.saga.places), ""):
            raise _Rejected("InvalidDefinition", f"the journal to undo tells of a step `{unknown}`: the saga has none")
        check = package.judged_by(handed_over.rules).check_input
        if handed_over.input is not None and (problems := patiently(check, handed_over.input)):
            raise _Rejected("InvalidInput", f"the input in the journal does not fit the saga: {'; '.join(problems)}")

    @staticmethod
    def _judge(package: Package, input_: Any) -> None:
        """Raise ``_Rejected`` for an input that does not fit, by the rules that the run has, or had when refused."""
        rules = package.options.rules or RULES
        if workflow.unsafe.is_replaying() and workflow.patched(_REJECTED):
            rules = FIRST_RULES
        if problems := patiently(package.judged_by(rules).check_input, input_):
            marker = _REJECTED if rules == FIRST_RULES else _REJECTED_BY_RULES
            meant = workflow.memo().get("digest", package.saga.digest)
            raise _Rejected(
                "InvalidInput",
                f"the input does not fit the saga: {'; '.join(problems)}",
                marker,
                is_ignorance=meant != package.saga.digest,  # whoever has started it has another version
            )

    @staticmethod
    def _unsaid_rules() -> int:
        """Return the rules of a run whose client named none: the newest, with a marker, or those it began with."""
        return next((version for version, marker in _RULES.items() if workflow.patched(marker)), FIRST_RULES)

    def _restored(self, snapshot: Any) -> State:
        try:
            return State.restore(snapshot)
        except Exception as error:  # whoever may start workflows may send anything
            raise _Rejected("InvalidDefinition", f"the state to go on from is not one of a saga: {error!r}") from error

    async def _ask_registry(self) -> bytes:
        """Return the envelope that a worker's own folder holds for this name."""
        worker, type_ = at_hand(), workflow.info().workflow_type
        if worker is not None and not worker.has_saga(type_):  # nothing is recorded while others are waited for
            self._leave_to_others(_Rejected("DefinitionNotFound", worker.without_saga(type_), is_ignorance=True))
        try:
            answer = await workflow.start_local_activity(
                DEFINITION_ACTIVITY,
                type_,
                result_type=RawValue,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=5),
                summary="definition",
            )
        except FailureError as error:  # a local activity's error comes without the wrapper of the others
            if is_cancelled_exception(error) and workflow.patched(_LISTED):
                raise asyncio.CancelledError from None
            cause = failures.error_of(error, "")
            raise _Rejected(cause.type, cause.message) from error
        raw = self._raw(answer)
        assert raw is not None
        return raw

    async def _drive(self, first: Fact) -> Close:
        """Run the engine to its end, or go over to a new run."""
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
        """Continue as new; return a fact instead when one has come meanwhile, or when the state is too large."""
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
        """Return what continue-as-new carries over, or ``None`` when no payload can hold it.

        Which of the two it was stands in history: how much a library compresses may differ at a replay.
        """
        assert self._package is not None
        saga, state = self._package.saga, self._state
        if state.rules < _PACKS:
            return self._carry_on(MAX_PAYLOAD_BYTES)
        self._attempts += 1
        went_on = f"{_WENT_ON}.{self._attempts}"
        was_too_large = workflow.unsafe.is_replaying() and workflow.patched(went_on)
        pack(saga, state)
        # At a replay the state went over, however much longer this worker's codec makes it.
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
        """Return the state as a payload, or ``None`` when it is more than all arguments together may have."""
        assert self._package is not None
        carry = Carry(
            wants_journal=self._carry.wants_journal,
            state=self._state.snapshot(),
            refused=tuple(self._refused),
            from_folder=self._from_folder,
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
            beside = " with what undoing the saga needs" if self._carry.wants_journal else ""
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
        error = Error("PayloadTooLarge", message)
        end = {"status": Status.FAILED.value, "failure": {"type": error.type, "message": message, "step": ""}}
        raise closing.failed(error, message, closing.report(saga, self._state) | end)

    def _returned(self, output: Any, journal: Any) -> Payload:
        whole = output
        if self._carry.wants_journal:
            kept = journal if self._state.wants_journal else packed(self._state.snapshot())
            whole = {"output": output, "journal": kept}
        return workflow.payload_converter().to_payload(whole)

    async def _see_cancel(self) -> None:
        """Have this run cancelled too: after continue-as-new only the run before was, and Temporal closes
        none as Canceled that was not asked to stop (R50, measured)."""
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
            from_folder=raw is not None and self._from_folder,
        ).to_json()
        envelope = None if raw is None else RawValue(to_payload(raw))
        arguments = [command.input, envelope, carry] if carry else [command.input, envelope] if raw else [command.input]
        try:
            package = None if raw is None else open_envelope(raw, trusted=workflow.unsafe.is_replaying())
        except InvalidDefinition:  # the child itself will say so
            package = None
        if package is None:
            told = {"saga": command.saga} if self.waits_for_others else None  # else nobody knows that it is one
            return ChildStart(arguments, told)
        listed = workflow.info().typed_search_attributes.get(attributes.SAGA_NAME) is not None
        found: TypedSearchAttributes | None = attributes.at_start(package.saga) if listed else None
        return ChildStart(arguments, package.memo(), found)

    def _show_status(self) -> None:
        """Have the saga found by its status, once there is something to look for: each time costs an event."""
        status = projection.current(self._state)
        if (self._shown is None and status not in _SHOWN) or status is self._shown:
            return
        self._shown = status
        workflow.upsert_search_attributes([attributes.SAGA_STATUS.value_set(status.value)])

    @workflow.signal(dynamic=True, description="A signal that the saga waits for")
    def on_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """Take in a signal; one that comes before the definition is known waits for it (R59)."""
        self._signals += 1
        if self._package is None:
            self._early.append((name, args, workflow.time(), self._signals))
        else:
            self._signal(name, args, workflow.time(), self._signals)

    def _signal(self, name: str, args: Sequence[RawValue], at: float, number: int) -> None:
        assert self._package is not None
        request = request_of(args, self._decoded)
        check = self._package.check_signals.get(name)
        if check is None:
            self._refuse_signal(name, "the saga does not wait for it", at, request)
            return
        try:
            payload = self._decoded(args[0]) if args else None
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
        self._refused.append(told | ({"request": request} if request else {}))
        del self._refused[:-_REFUSED_SIGNALS]

    async def _operate(self, verb: Verb, request: Any) -> dict[str, Any]:
        """Do what an operator asked, and say how the saga stands then."""
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
            raise ApplicationError(self._refusal(verb, asked) or "something else came first", type="NotPossible")
        return {"status": projection.current(self._state).value} | ({"repeated": True} if repeated else {})

    def _allow(self, verb: Verb, request: Any) -> None:
        """Raise why *verb* is not possible now. What comes before the definition is known is judged when it is."""
        try:
            asked = Asked.read(request)
        except ValueError as problem:
            raise ApplicationError(str(problem), type="InvalidInput") from problem
        begun = self._package is not None or self._rejection is not None or self._stopped_early
        if begun and _update_id() not in self._state.requests and (why := self._refusal(verb, asked)) is not None:
            raise ApplicationError(why, type="NotPossible")

    def _refusal(self, verb: Verb, asked: Asked) -> str | None:
        if self._rejection is not None:
            return f"the saga did not begin: {self._rejection.message}"
        if self._stopped_early:
            return "the saga was cancelled before it began"
        why = operator.refusal(self._state, verb, asked.path, asked.occurrence)
        if why is None and verb is Verb.SKIP_STEP and not asked.path:  # by the time it comes, another one may wait
            return f"say which one is left out: `{next(iter(self._state.attention))}` waits for a decision"
        return why

    @workflow.update(description="Repeat what waits for an operator: {path?, by?, why?, occurrence?}")
    async def retry_step(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.RETRY_STEP, request)

    @retry_step.validator
    def _may_retry(self, request: Any = None) -> None:
        self._allow(Verb.RETRY_STEP, request)

    @workflow.update(description="Go on without what waits for an operator: {path, by?, why?, occurrence?}")
    async def skip_step(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.SKIP_STEP, request)

    @skip_step.validator
    def _may_skip(self, request: Any = None) -> None:
        self._allow(Verb.SKIP_STEP, request)

    @workflow.update(description="Give up what waits for an operator, and end the saga: {by?, why?}")
    async def abort(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.ABORT, request)

    @abort.validator
    def _may_abort(self, request: Any = None) -> None:
        self._allow(Verb.ABORT, request)

    @workflow.update(description="Start no further step until it is resumed: {by?, why?}")
    async def pause(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.PAUSE, request)

    @pause.validator
    def _may_pause(self, request: Any = None) -> None:
        self._allow(Verb.PAUSE, request)

    @workflow.update(description="Go on after a pause: {by?, why?}")
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
            standing = Status.RUNNING if failure is None else self._refused_status()
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
        return found | ({"refused_signals": self._refused} if self._refused else {})

    @workflow.query(description="What became of the signal or the decision with this id")
    def request(self, id: str) -> dict[str, Any] | None:
        """Return what took it in (a path; empty for a signal that is kept; a verb), or why it was refused.

        ``None``: nothing of that id has come, or so many others have come since that it is forgotten.
        """
        if id in self._state.requests:
            return {"taken": True, "by": self._state.requests[id]}
        refused = next((each for each in reversed(self._refused) if each.get("request") == id), None)
        return None if refused is None else {"taken": False, "reason": refused["reason"]}

    @workflow.query(description="The definition that this run is pinned to")
    def definition(self) -> Any:
        """Return the definition as data; ``null`` before it is known."""
        return None if self._package is None else self._package.definition

    @property
    def waits_for_others(self) -> bool:
        """Whether a call that its worker does not know is asked for again."""
        return self._state.rules >= WAITS_FOR_OTHERS

    def local_room(self, activity_id: str | None) -> int | None:
        """Return how large the result of a local activity may be; ``None`` for one that is no step's."""
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

    @staticmethod
    def _decoded(value: RawValue) -> Any:
        return workflow.payload_converter().from_payload(value.payload)

    @staticmethod
    def _raw(value: RawValue) -> bytes | None:
        """Return the JSON of an argument, ``None`` for null: an envelope is looked up by its bytes."""
        payload = value.payload
        if payload.metadata.get("encoding") == b"json/plain":
            return None if payload.data == b"null" else payload.data
        data = workflow.payload_converter().from_payload(payload)
        return None if data is None else to_bytes(data)


def _shown_before() -> Status | None:
    """Return what the index says of this run when it begins: continue-as-new takes it along."""
    said = workflow.info().typed_search_attributes.get(attributes.SAGA_STATUS)
    return Status(said) if said in {each.value for each in Status} else None


def _update_id() -> str:
    """Return the id of the update that is being handled: who sends it again asks for the same."""
    info = workflow.current_update_info()
    assert info is not None
    return info.id
