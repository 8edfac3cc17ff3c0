"""The update that lets a run go on with another definition, and the new run that does. Replay-critical.

``engine.migration`` judges and changes the state. This is its way into the run: an update that a validator refuses with
every reason, so that a refused one leaves nothing in the history; a query that judges alone; and the step over to the
new run, once nothing is in flight.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ApplicationError

from sagadsl.engine import migration, projection
from sagadsl.engine.facts import Fact, MigrationDropped, MigrationRequested
from sagadsl.engine.hiding import are_marks, handed_on
from sagadsl.engine.journal import Phase
from sagadsl.engine.pack import pack
from sagadsl.engine.snapshots import restore, snapshot
from sagadsl.engine.verdict import Judgement
from sagadsl.immutable import Immutable
from sagadsl.language.own_errors import INVALID_DEFINITION, NOT_POSSIBLE
from sagadsl.language.schema.conform import checker
from sagadsl.temporal.run import failures
from sagadsl.temporal.run.asked import AskedRun
from sagadsl.temporal.run.operated import update_id
from sagadsl.temporal.run.slow_checks import opened, patiently
from sagadsl.temporal.run.taken_over import heard_in_turn
from sagadsl.temporal.run.upgrading import of_next_run
from sagadsl.temporal.wire import attributes
from sagadsl.temporal.wire.arguments import Package, are_same_children, migrated_envelope, to_payload
from sagadsl.temporal.wire.carry import Carry
from sagadsl.temporal.wire.child_memo import DETACHED
from sagadsl.temporal.wire.codec_growth import of_this_worker
from sagadsl.temporal.wire.definitions import InvalidDefinition
from sagadsl.temporal.wire.origin import distrusted, refuses_inline
from sagadsl.temporal.wire.trusting import SIGNATURES, are_signatures

UPDATE = "migrate"
QUERY = "may_migrate"

_STAYED = "sagadsl.stayed"
"""Marker of a migration that was accepted and could not be made, with its number in the run."""

_TOO_LARGE = "the state and both definitions are too large to be handed to a new run"
_NOT_KNOWN = "the worker that was to do it did not take the definition, or could not hand over so large a state"
_ANY_SIZE = 2**40
_BESIDE = 1_000
_ARGUMENTS = 3
_LONGEST = 1_000
_OF_THE_SERVER = ("Temporal", "BuildIds")
_KEYS = frozenset({"definition", "children", "by_name", "digest", "by", "why", "secrets", SIGNATURES})


class _Over(Immutable):
    """What the new run is started with."""

    package: Package
    raw: bytes
    carry: Payload


class MigratableRun(AskedRun):
    """A run that may go on with another definition."""

    def __init__(self) -> None:
        super().__init__()
        self._target: Package | None = None
        self._by_name = False
        self._tries = 0
        self._host.new_runs.is_migrating = lambda: bool(self._state.migrating)

    @workflow.update(
        name=UPDATE, description="Go on with another definition: {definition, children?, secrets?, by?, why?}"
    )
    async def migrate(self, request: Any = None) -> dict[str, Any]:
        """Begin nothing more until nothing is in flight, and then go on with the new definition."""
        await workflow.wait_condition(lambda: self._package is not None or self._has_not_begun)
        await heard_in_turn()
        if self._package is None or self._has_not_begun:
            raise ApplicationError("the saga did not begin", type=NOT_POSSIBLE)
        id_ = update_id()
        if id_ in self._state.requests or self._asks_again(request):
            return self._migrates() | {"repeated": True}
        if request.get("by_name"):
            target = self._opened(await self._opening.ask_registry())
            if target.saga.digest != request.get("digest", target.saga.digest):
                raise ApplicationError("the workers' folder has another definition", type=NOT_POSSIBLE)
            if target.saga.digest == self._package.saga.digest:
                raise ApplicationError("it has the definition of the workers' folder already", type=NOT_POSSIBLE)
        else:
            target = self._target_of(request)
        if self._state.phase is Phase.CLOSED or self._state.migrating:  # others were faster
            raise ApplicationError("something else came first", type=NOT_POSSIBLE)
        self._target, self._by_name = target, bool(request.get("by_name"))
        by, why = (str(request.get(key, "")) for key in ("by", "why"))
        fact = MigrationRequested(workflow.time(), target.saga.digest, by, why, id_)
        self._host.inbox.tell(fact)
        await workflow.wait_condition(lambda: not self._host.inbox.holds(fact))
        return self._migrates()

    @migrate.validator
    def _may_be_asked_to_migrate(self, request: Any = None) -> None:
        if not isinstance(request, dict) or request.keys() - _KEYS:
            raise ApplicationError(
                "a migration is an object of `definition`, `children`, `secrets`, `by` and `why`", type=NOT_POSSIBLE
            )
        if self._package is None and not self._has_not_begun:
            return  # judged when the definition is known, before anything changes
        if update_id() in self._state.requests or self._asks_again(request):
            return
        if why := self._cannot():
            raise ApplicationError(why, type=NOT_POSSIBLE)
        if request.get("by_name"):
            return  # only the worker's folder knows the definition: it is judged at the quiet point
        judged = self._judged(request)
        if judged.reasons:
            raise _refused(judged)

    @workflow.query(
        name=QUERY, description="Whether the saga may go on with another definition: {definition, children?}"
    )
    def may_migrate(self, request: Any) -> dict[str, Any]:
        """Judge, and change nothing."""
        if self._package is None:
            return {"why": "the saga has not begun yet", "reasons": [], "notes": [], "waits_for": []}
        if why := self._cannot():
            return {"why": why, "reasons": [], "notes": [], "waits_for": []}
        try:
            judged = self._judged(request)
        except ApplicationError as problem:
            return {"why": problem.message, "reasons": [], "notes": [], "waits_for": []}
        return {
            "why": "",
            "reasons": [each.as_json() for each in judged.reasons],
            "notes": list(judged.notes),
            "waits_for": migration.waits_for(self._state),
        }

    @property
    def _has_not_begun(self) -> bool:
        return self._rejection is not None or self._stopped_early

    def _asks_again(self, request: Any) -> bool:
        """Whether the run is about to go on with the very definition that a request names."""
        if self._package is None or not self._state.migrating:
            return False
        digest = request.get("digest") if request.get("by_name") else self._target_of(request).saga.digest
        return bool(digest == self._state.migrating)

    def _migrates(self) -> dict[str, Any]:
        state = self._state
        return {
            "status": projection.current(state).value,
            "migrating_to": state.migrating,
            "waits_for": migration.waits_for(state),
        }

    def _cannot(self) -> str:
        """Return why this run can migrate to no definition now; empty if it can."""
        if self._has_not_begun:
            return "the saga did not begin"
        if workflow.info().parent is not None and not workflow.memo_value(DETACHED, default=False):
            return migration.OF_A_PARENT
        assert self._package is not None
        return migration.refusal(self._package.saga, self._state)

    def _judged(self, request: Any) -> Judgement:
        """Judge a definition that a client has sent. Raises ``ApplicationError`` if it is not one to judge."""
        assert self._package is not None
        target = self._target_of(request)
        if why := _not_taken(target.raw):
            raise ApplicationError(why, type=NOT_POSSIBLE)
        if why := migration.refusal(self._package.saga, self._state, target.saga.digest):
            raise ApplicationError(why, type=NOT_POSSIBLE)
        return migration.judge(self._package.saga, self._state, target.saga, _fits)

    def _target_of(self, request: Any) -> Package:
        assert self._package is not None
        package, marks = self._package, request.get("secrets") or {}
        new = {"definition": request.get("definition"), "children": request.get("children") or {}}
        if not are_marks(marks):
            raise ApplicationError("`secrets` must be an object of places by activity", type=INVALID_DEFINITION)
        if SIGNATURES in request:
            if not are_signatures(request[SIGNATURES]):
                raise ApplicationError(f"`{SIGNATURES}` are texts by digest and key", type=NOT_POSSIBLE)
            new[SIGNATURES] = request[SIGNATURES]
        secrets = handed_on(package.saga, package.options.secrets, marks)
        return self._opened(migrated_envelope(package.raw, new, secrets))

    def _opened(self, raw: bytes) -> Package:
        try:
            return opened(raw, trusted=workflow.unsafe.is_replaying())
        except InvalidDefinition as problem:
            raise ApplicationError(failures.bounded(str(problem)), type=INVALID_DEFINITION) from problem

    async def go_over_migrated(self) -> Fact:
        """Continue as new with the new definition. If that is not possible any more, return the fact that says so."""
        self._tries += 1
        marker = f"{_STAYED}.{self._tries}"
        stayed = workflow.unsafe.is_replaying() and workflow.patched(marker)
        over = self._why_it_stayed() if stayed else self._prepared()
        if isinstance(over, str):
            workflow.patched(marker)
            self._target = None
            self._host.new_runs.go_on()
            return MigrationDropped(workflow.time(), failures.bounded(over, _LONGEST))
        await self._host.make_room(over.carry.ByteSize() + len(over.raw))
        if not self._host.inbox.has_facts():
            memo = {key: value for key, value in workflow.memo().items() if key != "labels"}
            workflow.continue_as_new(
                args=[None, RawValue(to_payload(over.raw)), RawValue(over.carry)],
                memo=memo | over.package.memo(),
                search_attributes=_attributes(over.package.saga.version),
                initial_versioning_behavior=of_next_run(migrates=True),
            )
        return await self._host.next_fact()  # it changes the state, which is judged again

    def _why_it_stayed(self) -> str:
        """Return why the run has stayed as it is, at a replay: the words alone, for people.

        The history says only that it has. What this worker takes may not be what the one took that was to go over.
        """
        most = of_this_worker().most(_ARGUMENTS)
        return self._why_not() or (_TOO_LARGE if isinstance(self._handed_over(most), str) else _NOT_KNOWN)

    def _why_not(self) -> str:
        """Return why the run cannot migrate as it is now; empty if it can. Not for decisions that a replay repeats."""
        assert self._package is not None
        assert self._target is not None
        if not self._by_name and (why := _not_taken(self._target.raw)):
            return why  # it came before the run knew its own definition, when no validator judged it
        judged = migration.judge(self._package.saga, self._state, self._target.saga, _fits)
        return "; ".join(each.message for each in judged.reasons)

    def _prepared(self) -> _Over | str:
        """Return what the new run needs, or why the run stays as it is."""
        if workflow.unsafe.is_replaying():
            return self._handed_over(_ANY_SIZE)
        return self._why_not() or self._handed_over(of_this_worker().most(_ARGUMENTS))

    def _handed_over(self, most: int) -> _Over | str:
        """Return what the new run needs, if it is no more than *most* bytes; else that it is too large."""
        assert self._package is not None
        assert self._target is not None
        old, target = self._package, self._target
        state = restore(snapshot(self._state))
        same = are_same_children(old.raw, target.raw)
        saga = migration.migrate(old.saga, state, target.saga, workflow.time(), lambda _: same)
        pack(saga, state)
        secrets = handed_on(old.saga, old.options.secrets, target.options.secrets)
        raw = migrated_envelope(old.raw, json.loads(target.raw), secrets, tuple(saga.former), old.saga.digest)
        carry = Carry(
            wants_journal=self._opening.carry.wants_journal,
            state=snapshot(state),
            refused=tuple(self._opening.refused),
            from_folder=self._by_name,
        ).to_payload(most - len(raw) - _BESIDE)
        if carry is None:
            return _TOO_LARGE
        return _Over(target, raw, carry)


def _not_taken(raw: bytes) -> str:
    """Return why this worker takes no such definition from a client; empty if it does.

    Not for decisions that a replay repeats.
    """
    if refuses_inline():
        return "this worker takes definitions from its own folder only: migrate by name"
    try:
        why = distrusted(raw)
    except InvalidDefinition as problem:
        return str(problem)
    return f"this worker takes trusted definitions only: {why}" if why else ""


def _fits(schema: Any, what: str, value: Any) -> Sequence[str]:
    return patiently(checker(schema, what), value)


def _refused(judged: Judgement) -> ApplicationError:
    reasons = [each.as_json() for each in judged.reasons]
    message = "; ".join(each.message for each in judged.reasons)
    return ApplicationError(failures.bounded(message, _LONGEST), {"reasons": reasons}, type=NOT_POSSIBLE)


def _attributes(version: str) -> TypedSearchAttributes | None:
    """Return the search attributes of the new run; ``None`` leaves them as they are."""
    now = workflow.info().typed_search_attributes
    if now.get(attributes.SAGA_VERSION) is None:
        return None
    ours = [each for each in now if not each.key.name.startswith(_OF_THE_SERVER)]
    return TypedSearchAttributes(ours).updated(SearchAttributePair(attributes.SAGA_VERSION, version))
