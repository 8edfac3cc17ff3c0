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
from temporalio.exceptions import FailureError

from sagadsl.engine import hiding, interpreter, projection, result
from sagadsl.engine.facts import (
    Close,
    ContinueAsNew,
    Error,
    Fact,
    Inherited,
    Resumed,
    StartChild,
    Status,
)
from sagadsl.engine.pack import pack
from sagadsl.engine.snapshots import snapshot
from sagadsl.engine.squeeze import packed
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import PAYLOAD_TOO_LARGE
from sagadsl.language.schema.secrecy import Place
from sagadsl.language.walk import calls_locally
from sagadsl.status.parts import Part
from sagadsl.temporal.run import closing, failures
from sagadsl.temporal.run.accepting import Rejected
from sagadsl.temporal.run.held import HeldRun, held_now
from sagadsl.temporal.run.host import WAITS_FOR_OTHERS
from sagadsl.temporal.run.in_flight import ChildStart
from sagadsl.temporal.run.in_order import HEARS_IN_ORDER, take_updates_last
from sagadsl.temporal.run.indexing import Indexing
from sagadsl.temporal.run.observed_run import ObservedRun
from sagadsl.temporal.run.slow_checks import opened
from sagadsl.temporal.run.status_answer import fitting
from sagadsl.temporal.run.taken_over import asked_at_first, holds_back, say_calls_locally
from sagadsl.temporal.run.upgrading import of_next_run
from sagadsl.temporal.wire import attributes
from sagadsl.temporal.wire.arguments import REJECTED, WARNINGS, child_envelope, former_envelope, to_payload
from sagadsl.temporal.wire.carry import Carry
from sagadsl.temporal.wire.child_memo import child_memo
from sagadsl.temporal.wire.codec_growth import of_this_worker
from sagadsl.temporal.wire.definitions import InvalidDefinition
from sagadsl.temporal.wire.hidden_inputs import public_words
from sagadsl.temporal.wire.marker import MAX_PAYLOAD_BYTES

CANCEL_ACTIVITY = "sagadsl.cancel"
"""A local activity that every worker of sagas has; see ``registry``."""

_WENT_ON = "sagadsl.went_on"
_PACKS = 2
"""Since this version of the rules, the state is packed before continue-as-new carries it over."""

_BESIDE = 1_000
"""Bytes that continue-as-new sends beside the state."""
_ARGUMENTS = 3
_ANY_SIZE = 2**40
_SHOWN = (Status.PAUSED, Status.FAILED, Status.REJECTED)
_WHOLE_RESULT = 3
"""Since this version of the rules, a run makes room in its last message for all that it returns or hands on."""
_KEEPS_SHOWN = 2
"""Since this version of the rules, a run knows which status the run before has set in the index, and corrects it."""


@workflow.defn(dynamic=True, sandboxed=False)
class SagaWorkflow(ObservedRun):
    """A saga, whatever its definition says."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: Status | None = None
        self._attempts = 0
        self._takes_up = False
        self._indexing = Indexing()

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Take ``[input]``, ``[input, envelope]`` or ``[input, envelope, carry]``; return the saga's output."""
        try:
            await asked_at_first()
            first = await self._opening.begin(args)
        except Rejected as rejected:
            self._rejection = Error(rejected.type, failures.bounded(rejected.message))
            self._host.inbox.close()
            self._opening.list_not_begun(cancelled=False)
            self._early_decisions.clear()
            await self._handlers_finished()
            report = closing.not_begun(workflow.info(), self._rejection, self._opening.refused_status())
            raise closing.failed(self._rejection, rejected.message, report) from None
        except asyncio.CancelledError:
            self._stopped_early = True
            self._host.inbox.close()
            self._opening.list_not_begun(cancelled=True)
            self._early_decisions.clear()
            await self._handlers_finished()
            raise
        self._takes_up = isinstance(first, Inherited)
        self._join()
        self._show_to_observers(first)
        return await self._end(await self._drive(self._after_early_ones(first)))

    def _join(self) -> None:
        """Give the host the functions that need the definition."""
        assert self._package is not None
        take_updates_last(self._state.rules)
        if self._state.rules >= HEARS_IN_ORDER and calls_locally(self._package.saga):
            say_calls_locally()
        options = self._package.options
        self._learn_secrets()
        self._host.child_start = self._child_start
        self._host.new_runs.history.drain_after = options.continue_after_events
        if options.status_attribute or self._package.saga.search_attributes:
            self._host.before_wait = self._show

    def _after_early_ones(self, first: Fact) -> Fact:
        """Put the facts in order that came before the definition was known; return the first one.

        An operator's decision comes before the saga begins, so that nothing begins after a pause. In a run that
        continues another one, it comes after the first fact, as it would have in the run before.
        """
        early, self._early_decisions = self._early_decisions, []
        facts: list[Fact] = [first, *early] if isinstance(first, Resumed | Inherited) else [*early, first]
        for fact in facts[1:]:
            self._host.inbox.tell(fact)
        self._opening.tell_ends()
        self._take_early_signals()
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
        await self._handlers_finished_or_facts()
        if self._host.inbox.has_facts():  # a signal or a cancel that came meanwhile goes along in the state
            return await self._host.next_fact()
        if self._state.migrating:
            return await self.go_over_migrated()
        carry = self._taken_along()
        if carry is None:
            workflow.logger.warning("the state is too large for continue-as-new: this run goes on")
            self._host.new_runs.go_on(stuck=True)
            return Resumed(workflow.time(), workflow.info().run_id)
        beside = len(self._package.raw) if self._state.rules >= _WHOLE_RESULT else 0
        await self._host.make_room(carry.ByteSize() + beside)
        if not self._host.inbox.has_facts():
            workflow.continue_as_new(
                args=[None, RawValue(to_payload(self._package.raw)), RawValue(carry)],
                initial_versioning_behavior=of_next_run(),
            )
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
            state=snapshot(self._state),
            refused=tuple(self._opening.refused),
            from_folder=self._opening.from_folder,
        )
        return carry.to_payload(most - len(self._package.raw) - _BESIDE)

    async def _end(self, close: Close) -> Any:
        assert self._package is not None
        self.observed.over(self._package.saga, self._state, close)
        self._show()
        self._host.inbox.close()
        await self._handlers_finished()
        match close.status:
            case Status.COMPLETED:
                return await self._result(self._package.saga, close.output, close.journal)
            case Status.REJECTED if (said := self._said_no(close)) is not None:
                await self._host.make_room(said.ByteSize())
                return RawValue(said)
            case Status.CANCELLED:
                await self._see_cancel()
                raise asyncio.CancelledError
            case _ if close.failure is None:  # it existed only to undo a completed saga, and has done so
                return None
            case _:
                hides = self.hides()
                message = hides.text(projection.summary(self._package.saga, self._state))
                report = hiding.report(closing.report(self._package.saga, self._state), hides)
                why = hiding.error(close.failure, hides)
                raise closing.failed(why, message, report) from closing.cause(why)

    def _said_no(self, close: Close) -> Payload | None:
        """Return the result of a rejected saga, for a run that completes; ``None`` for one that ends with the error.

        A child ends with the error, so that its parent handles it as any other; so does a run whose result became too
        large on its way. The memo tells a rejected run from a completed one. R111.
        """
        assert self._package is not None
        assert close.failure is not None
        error = projection.report(self._package.saga, self._state)["failure"]
        message = failures.bounded(self.hides().text(error["message"]))
        shown = {"type": error["type"], "message": message, "step": error["step"]}
        workflow.upsert_memo({REJECTED: shown})
        payload = workflow.payload_converter().to_payload(close.output)
        is_child = workflow.info().parent is not None
        return None if is_child or self._host.fits(len(payload.data)) is not None else payload

    async def _result(self, saga: Saga, output: Any, journal: Any) -> Any:
        payload = self._returned(output, journal)
        stretch = self._host.fits(len(payload.data))
        if stretch is not None and self._state.rules >= result.OUTPUT_NEVER_FAILS:
            beside = " with what undoing the saga needs" if self._opening.carry.wants_journal else ""
            result.leave_out(saga, self._state, len(payload.data), stretch.most(), beside)
            payload = self._returned(None, journal)
            stretch = self._host.fits(len(payload.data))
        if self._state.warnings:  # whoever asks for the result gets null alone
            hides = self.hides()
            shown = [
                {**each, "message": failures.bounded(hides.text(each["message"]))}
                for each in projection.warnings(self._state)
            ]
            workflow.upsert_memo({WARNINGS: shown})
        if stretch is None:
            if self._state.rules >= _WHOLE_RESULT:
                await self._host.make_room(payload.ByteSize())
            return RawValue(payload)
        message = f"all steps are done, but the saga's result {stretch.described(len(payload.data))}"
        error = Error(PAYLOAD_TOO_LARGE, message)
        end = {"status": Status.FAILED.value, "failure": {"type": error.type, "message": message, "step": ""}}
        raise closing.failed(error, message, closing.report(saga, self._state) | end)

    def _returned(self, output: Any, journal: Any) -> Payload:
        whole = output
        if self._opening.carry.wants_journal:
            kept = journal if self._state.wants_journal else packed(snapshot(self._state))
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

    async def _handlers_finished_or_facts(self) -> None:
        """Wait for handlers, but not for one that waits itself until the engine has taken its fact."""

        def is_ready() -> bool:
            return self._host.inbox.has_facts() or (workflow.all_handlers_finished() and not holds_back())

        while not is_ready():
            try:
                await workflow.wait_condition(is_ready)
            except asyncio.CancelledError:
                await self._host.take_cancel()

    async def _handlers_finished(self) -> None:
        while not workflow.all_handlers_finished():
            try:
                await workflow.wait_condition(workflow.all_handlers_finished)
            except asyncio.CancelledError:
                await self._host.take_cancel()

    def _child_start(self, command: StartChild) -> ChildStart:
        assert self._package is not None
        own = self._package.raw
        raw = child_envelope(former_envelope(own, command.definition) if command.definition else own, command.saga)
        carry = Carry(
            wants_journal=command.wants_journal,
            journal=command.journal,
            failure=command.failure,
            generation=command.generation,
            from_folder=raw is not None and self._opening.from_folder,
        ).to_json()
        envelope = None if raw is None else RawValue(to_payload(raw))
        arguments = [command.input, envelope, carry] if carry else [command.input, envelope] if raw else [command.input]
        try:
            package = None if raw is None else opened(raw, trusted=workflow.unsafe.is_replaying())
        except InvalidDefinition:  # the child itself will say so
            package = None
        if package is None:
            memo = {"saga": command.saga} if self.waits_for_others else {}  # else nobody knows that it is a saga
            return ChildStart(arguments, {**memo, **child_memo(command)} or None)
        listed = workflow.info().typed_search_attributes.get(attributes.SAGA_NAME) is not None
        found: TypedSearchAttributes | None = attributes.at_start(package.saga) if listed else None
        return ChildStart(arguments, {**package.memo(), **child_memo(command)}, found)

    def _show(self) -> None:
        """Tell the index what it can find the saga by."""
        assert self._package is not None
        if self._package.options.status_attribute:
            self._show_status()
        saga, usable = self._package.saga, self._package.options.index
        now = workflow.info().typed_search_attributes
        if updates := self._indexing.updates(saga, self._state, usable, now):
            workflow.upsert_search_attributes(updates)

    def _show_status(self) -> None:
        """Set the saga's status in the index once it matters: each update costs an event."""
        status = projection.current(self._state)
        if (self._shown is None and status not in _SHOWN) or status is self._shown:
            return
        self._shown = status
        workflow.upsert_search_attributes([attributes.SAGA_STATUS.value_set(status.value)])

    @workflow.query(description="How the saga stands, step by step")
    def status(self, part: Any = None) -> Any:
        """Return the whole state as JSON; in every phase, and after the end (R60).

        Args:
            part: ``{"limit": …, "after": …}``: so many steps behind a step, see ``status.parts``.
        """
        found = self._status(Part.read(part))
        return RawValue(fitting(found, workflow.payload_converter().to_payload, of_this_worker().most()))

    def _status(self, part: Part | None) -> dict[str, Any]:
        info = workflow.info()
        if self._package is None or self._rejection is not None:
            failure = self._rejection
            status = Status.RUNNING if failure is None else self._opening.refused_status()
            return {
                "schema_version": 1,
                "id": info.workflow_id,
                "run_id": info.run_id,
                "name": info.workflow_type,
                "status": (Status.CANCELLED if self._stopped_early else status).value,
                "paused": False,
                "failure": None if failure is None else {"type": failure.type, "message": failure.message, "step": ""},
                "other_errors": [],
                "attention": [],
                "waiting_for": {},
                "steps": [],
                "actions": [],
            }
        found = projection.status(self._package.saga, self._state, part)
        unknown = self._host.calls.unknown_activities()
        found |= {"unknown_activities": unknown} if unknown else {}
        found |= {"not_indexed": dict(self._indexing.problems)} if self._indexing.problems else {}
        refused = [*self._opening.refused, *found.get("refused_signals", ())]
        found |= {"refused_signals": sorted(refused, key=lambda each: each["at"])} if refused else {}
        return hiding.status(found, self.hides())

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
        return self._host.calls.local_room(activity_id)

    def settles(self, activity_id: str | None) -> bool:
        """Return whether the saga wants to hear of an attempt of an activity that ends late."""
        return self._host.calls.settles(activity_id)

    def held(self) -> HeldRun | None:
        """Return how long this worker has held the run; ``None`` if that does not tell who has begun its calls.

        It does not in a run that takes up the work of a closed one: a call of that one may have had its effect.
        """
        return None if self._takes_up else held_now()

    def secrets_of(self, activity_id: str | None) -> Named | None:
        """Return the secrets that a step's activity may look up: those that its definition names."""
        return self._host.calls.secrets_of(activity_id)

    def hidden_in(self, activity_id: str | None) -> list[Place]:
        """Return where the input of a step's activity has secrets."""
        command = self._host.calls.command_of(activity_id)
        if command is None or not command.arguments or self._package is None:
            return []
        marks, hides = self._package.marked.sent.get(command.activity, ()), self.hides()
        found = hides.found_in(command.arguments[0], public_words(self._package.raw)) if hides else ()
        return list(dict.fromkeys([*marks, *found]))

    def details(self) -> str:
        """Return the saga as a page of Markdown, for Temporal's Web UI; made only when somebody looks."""
        if self._rejection is not None:
            return f"**not run**: {self._rejection.message}"
        if self._package is None:
            return ""
        return projection.markdown(self._package.saga, self._state, self.hides().text)


def _shown_before() -> Status | None:
    """Return the status that the index has when this run begins: continue-as-new copies it."""
    said = workflow.info().typed_search_attributes.get(attributes.SAGA_STATUS)
    return Status(said) if said in {each.value for each in Status} else None
