"""How a run begins: it reads its start arguments, and accepts or refuses them. Replay-critical.

The arguments from a client, a parent or the run before become a definition, a state and the first fact. A worker
decides once whether to take them, and the history records the decision.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import FailureError, is_cancelled_exception

from sagadsl.engine.facts import Began, BeganUndo, Error, Fact, Resumed, Status
from sagadsl.engine.journal import State
from sagadsl.immutable import replace
from sagadsl.language.own_errors import (
    CARRY_REFUSED,
    COMPENSATION_REQUESTED,
    DEFINITION_NOT_FOUND,
    INVALID_DEFINITION,
    INVALID_INPUT,
    NOT_POSSIBLE,
    STATE_TOO_LARGE,
)
from sagadsl.language.versions import of_version
from sagadsl.temporal.run import failures
from sagadsl.temporal.run.accepting import (
    REJECTED,
    REJECTED_BY_RULES,
    Rejected,
    check_inherited,
    check_inline,
    check_journal,
    check_trust,
    compares,
    judge,
    opened_here,
    restored,
    unsaid_rules,
)
from sagadsl.temporal.run.host import TemporalHost
from sagadsl.temporal.run.knowledge import NotKnownHere, at_hand
from sagadsl.temporal.run.rebuilding import is_played_for_its_state
from sagadsl.temporal.wire import attributes
from sagadsl.temporal.wire.arguments import INDEXED, Package, holds_anything, is_envelope, to_bytes
from sagadsl.temporal.wire.carry import Carry, from_payload, is_compressed
from sagadsl.temporal.wire.codec_growth import ASKS
from sagadsl.temporal.wire.definitions import InvalidDefinition
from sagadsl.temporal.wire.inheritance import INHERIT_ACTIVITY, Inheritance, TakeUpRequest
from sagadsl.temporal.wire.origin import KNOWN_CARRY, Origin, forged, origin

DEFINITION_ACTIVITY = "sagadsl.definition"
"""A local activity that every worker of sagas has; see ``registry``."""

_LISTED = "sagadsl.listed"
_DECIDED = frozenset({NOT_POSSIBLE, STATE_TOO_LARGE})
"""Errors of a worker that has read the closed run's history: another worker would find the same."""

_READING = timedelta(minutes=2)
"""How long a worker may read and replay one history."""

_LOOKS = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=1.5, maximum_interval=timedelta(minutes=10)
)
"""When a run looks again whether the child sagas of the closed run have ended."""

_IN_MEMORY = timedelta(seconds=10)
"""Pauses up to this length are made by the worker; longer ones are timers in the history."""


class Unreadable(Exception):
    """This worker cannot read what an earlier run has left. It fails the workflow task, and not the saga."""


class Opening:
    """The beginning of a run, and what the run began with.

    Attributes:
        package: The definition, once it is known.
        carry: What the run before, or its parent, has sent along.
        refused: The signals that were refused, also by the run before.
        carries: The run goes on with the work of another run.
        continues: The run continues another one: what that one was accepted with is not judged again.
        from_folder: The definition came from a worker's own folder.
        request, inheritance: What the run was asked to take up, and what the closed run has left, once it is known.
    """

    def __init__(self, host: TemporalHost) -> None:
        self._host = host
        self._args: Sequence[RawValue] = ()
        self.state = State()
        self.package: Package | None = None
        self.carry = Carry()
        self.refused: list[dict[str, Any]] = []
        self.carries = False
        self.continues = False
        self.from_folder = False
        self.request: TakeUpRequest | None = None
        self.inheritance: Inheritance | None = None

    async def begin(self, args: Sequence[RawValue]) -> Fact:
        """Read the start arguments, and return the first fact. Raises ``Rejected``.

        Arguments that were accepted stay accepted, whichever release and worker replays the run. The
        checks are made once, when the run begins, and a marker in the history records a refusal.

        A run that continues another one is never refused: otherwise nobody would undo what the runs before
        have done. When this worker cannot read what they left, it fails the workflow task. Then the run stays
        open, its status says why, and a worker of another release may take it.
        """
        self._args = args
        self.carries = len(args) > 2 and holds_anything(args[2].payload)
        self.continues = self.carries and origin() is Origin.RUN_BEFORE
        try:
            first = await self._accept(args)
        except Rejected as rejected:
            if self.continues:
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
        self._let_go()
        return first

    def _let_go(self) -> None:
        """Hold no longer what the state and the definition have been made of.

        Frames of the SDK hold the list of the arguments as long as the run is open, so it is emptied.
        """
        if isinstance(self._args, list):
            self._args.clear()
        self._args = ()
        self.carry = replace(self.carry, journal=None, state=None, inherit=None)

    def _leave_to_others(self, rejected: Rejected | None = None) -> None:
        """Raise ``NotKnownHere`` when another worker may decide better about a refusal or a cancel.

        Other teams may have workflows of any type on the queue, whose workers know what to do. And the next
        worker may know a saga that this one does not know or cannot read. So the run waits for a while.
        """
        info, worker = workflow.info(), at_hand()
        if worker is None:  # at a replay, it was decided
            return
        is_saga = "saga" in workflow.memo() or worker.has_saga(info.workflow_type)
        is_saga = is_saga or (len(self._args) > 1 and is_envelope(self._args[1].payload)) or self.request is not None
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
            raise Rejected(INVALID_INPUT, message, is_ignorance=True)
        foreign = ""
        try:
            input_ = decoded(args[0]) if args else {}
            raw = _raw(args[1]) if len(args) > 1 else None
            foreign = self._take_carry(args)
        except InvalidDefinition as problem:
            raise Rejected(INVALID_DEFINITION, str(problem)) from problem
        except Exception as error:  # a client in any language may send anything
            raise Rejected(INVALID_INPUT, f"the arguments are not JSON: {error}") from error
        self.refused = [dict(each) for each in self.carry.refused]
        inline = raw is not None
        if self.carry.inherit is not None and not foreign:
            raw, inline = await self._inherit(self.carry.inherit), True
        elif raw is None:
            raw = await self.ask_registry(self.carry.version)
        self.from_folder = self.carry.from_folder or not inline
        own = await self._asked_to_compare()
        refused = workflow.unsafe.is_replaying() and (workflow.patched(REJECTED) or workflow.patched(REJECTED_BY_RULES))
        if inline and own is None and not self.continues:
            check_trust(raw)
        trusted = workflow.unsafe.is_replaying() and not refused
        trusted = trusted or self.continues or self.inheritance is not None  # the run before was accepted
        if foreign and (not trusted or is_played_for_its_state()):  # anybody may have made that history
            raise Rejected(
                CARRY_REFUSED,
                f"the third argument has `{foreign}`, which a saga takes only from the run before it or from its "
                "parent, and neither of them has sent it: start the saga with its input alone",
                is_ignorance=foreign not in KNOWN_CARRY,
            )
        if self.inheritance is not None and (refused or not workflow.unsafe.is_replaying()):
            check_inherited(from_folder=self.from_folder, is_refused=refused)
        self.carries = self.carry.goes_on
        if inline and not trusted:
            check_inline(raw, own)
        if own is not None:
            raw, self.from_folder = own, True
        self.package = opened_here(raw, trusted=trusted)
        first = self._first_fact(self.package, input_, trusted=trusted)
        self._list(self.package)
        return first

    def _take_carry(self, args: Sequence[RawValue]) -> str:
        """Read the third argument, unless this run cannot have been handed it; then return the reason.

        At a replay the argument is read anyway if a release that did not ask for its origin has taken it.
        """
        if len(args) < 3:
            return ""
        data = None if is_compressed(args[2].payload) else decoded(args[2])
        foreign = forged(args, data)
        if not foreign or workflow.unsafe.is_replaying():
            with contextlib.suppress(*([InvalidDefinition] if foreign else [])):
                self.carry = Carry.from_json(from_payload(args[2].payload) if data is None else data)
        self.carries = not foreign and self.carry.goes_on
        return foreign

    async def _asked_to_compare(self) -> bytes | None:
        """Return the envelope from this worker's folder, if a parent's definition must be equal to it.

        A definition that the run before, or a parent, had from a worker's folder is accepted already.
        """
        if self.from_folder or self.continues or origin() is Origin.CLIENT or not compares():
            return None
        return await self.ask_registry()

    @staticmethod
    def _list(package: Package) -> None:
        """Set memo and search attributes of a run, when its client did not know the definition."""
        memo = workflow.memo()
        if "saga" not in memo or (package.options.name_attributes and "digest" not in memo):
            workflow.upsert_memo(package.memo())
        named = workflow.info().typed_search_attributes.get(attributes.SAGA_NAME)
        if package.options.name_attributes and named is None:
            workflow.upsert_search_attributes(attributes.to_set(package.saga))

    def list_not_begun(self, *, cancelled: bool) -> None:
        """List a run that does not begin. If the index does not know that it failed, mark it so that lists ask it."""
        memo = workflow.memo()
        index_knows = cancelled or self.refused_status() is Status.COMPENSATED
        if ("saga" in memo and (index_knows or INDEXED not in memo)) or not workflow.patched(_LISTED):
            return
        if self.package is not None:
            self._list(self.package)
        elif "saga" not in memo:
            workflow.upsert_memo({"saga": workflow.info().workflow_type})
        if not index_knows and INDEXED in workflow.memo():
            workflow.upsert_memo({INDEXED: None})

    def _first_fact(self, package: Package, input_: Any, *, trusted: bool) -> Fact:
        info, carry, at = workflow.info(), self.carry, workflow.time()
        if carry.state is not None:
            self.state = restored(carry.state)
            self._measure()
            self.package = package.judged_by(self.state.rules)
            return Resumed(at, info.run_id)
        if self.inheritance is not None and self.request is not None:
            self.state = restored(self.inheritance.state)
            self.package = package.judged_by(self.state.rules)
            return self.inheritance.fact(self.request, at, info.run_id)
        if carry.journal is not None:
            failure = carry.failure or Error(COMPENSATION_REQUESTED, "the saga shall be undone")
            handed_over = restored(carry.journal)
            if not trusted:
                check_journal(package, handed_over)
            self.state.rules = handed_over.rules
            return BeganUndo(at, info.run_id, carry.journal, failure)
        if not trusted:
            judge(package, input_)
        self.state.rules = package.options.rules or unsaid_rules()
        self.package = package.judged_by(self.state.rules)
        self._measure()
        page = package.options.page
        return Began(at, info.workflow_id, info.run_id, input_, carry.generation, carry.wants_journal, page)

    def _measure(self) -> None:
        """Note how much a child saga can hand over to its parent, if that is less than usual."""
        if self.carry.wants_journal and self.state.rules >= ASKS:
            self.state.journal_percent = self._host.asked.now(self.state.rules).percent

    async def _inherit(self, data: Any) -> bytes:
        """Have the worker read what a closed run has left, and return that run's envelope."""
        try:
            self.request = TakeUpRequest.from_json(data)
        except InvalidDefinition as problem:
            raise Rejected(INVALID_INPUT, str(problem)) from problem
        try:
            answer = await workflow.execute_local_activity(
                INHERIT_ACTIVITY,
                data,
                start_to_close_timeout=_READING,
                retry_policy=_LOOKS,
                local_retry_threshold=_IN_MEMORY,
                summary=f"what run {self.request.run_id} has left",
            )
        except FailureError as error:
            if is_cancelled_exception(error):
                raise asyncio.CancelledError from None
            cause = failures.error_of(error, "")
            raise Rejected(cause.type, cause.message, is_ignorance=cause.type not in _DECIDED) from error
        try:
            self.inheritance = found = Inheritance.from_json(answer)
        except InvalidDefinition as problem:
            raise Rejected(INVALID_DEFINITION, str(problem), is_ignorance=True) from problem
        self.refused = [dict(each) for each in found.refused]
        self.carry = replace(self.carry, from_folder=found.from_folder)
        return found.envelope.encode()

    @property
    def inherited_ends(self) -> dict[str, float]:
        """When the calls end at the latest that were in flight in the closed run whose work this run has taken up."""
        return {} if self.inheritance is None else dict(self.inheritance.until)

    @property
    def takes_up(self) -> str | None:
        """The closed run whose work this run was to take up, if it has not come to that; otherwise ``None``."""
        return None if self.request is None or self.inheritance is not None else self.request.run_id

    def tell_ends(self) -> None:
        """Tell the host how the calls ended that were in flight in the closed run, or will end at the latest."""
        found = self.inheritance
        if found is None:
            return
        for fact in found.ends_at(workflow.time()):
            self._host.inbox.tell(fact)
        for call_id, until in found.until.items():
            self._host.inbox.tell_at(
                until, partial(found.lost, call_id), f"an attempt of {call_id} may last until then"
            )

    async def ask_registry(self, version: str = "") -> bytes:
        """Return the envelope that a worker's own folder holds for this name: in this *version*, or the newest."""
        worker, name = at_hand(), of_version(workflow.info().workflow_type, version)
        if worker is not None and not worker.has_saga(name):  # while the run waits for others, nothing is recorded
            self._leave_to_others(Rejected(DEFINITION_NOT_FOUND, worker.without_saga(name), is_ignorance=True))
        try:
            answer = await workflow.start_local_activity(
                DEFINITION_ACTIVITY,
                name,
                result_type=RawValue,
                start_to_close_timeout=timedelta(seconds=10),
                retry_policy=RetryPolicy(maximum_attempts=5),
                summary="definition",
            )
        except FailureError as error:  # a local activity's error comes without the wrapper of the others
            if is_cancelled_exception(error) and workflow.patched(_LISTED):
                raise asyncio.CancelledError from None
            cause = failures.error_of(error, "")
            raise Rejected(cause.type, cause.message) from error
        raw = _raw(answer)
        assert raw is not None
        return raw

    def refused_status(self) -> Status:
        """Return the status of a refused run: nothing to undo, unless it should have continued another run's work."""
        return Status.FAILED if self.carries else Status.COMPENSATED


def decoded(value: RawValue) -> Any:
    """Return an argument as data."""
    return workflow.payload_converter().from_payload(value.payload)


def _raw(value: RawValue) -> bytes | None:
    """Return the JSON of an argument, ``None`` for null. The bytes are the key of an envelope in the cache."""
    payload = value.payload
    if payload.metadata.get("encoding") == b"json/plain":
        return None if payload.data == b"null" else payload.data
    data = workflow.payload_converter().from_payload(payload)
    return None if data is None else to_bytes(data)
