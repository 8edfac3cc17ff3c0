"""The updates of a saga: what operators ask of it, judged and carried out. Replay-critical.

The rules about requests are in ``engine.operator``. This is their way into the run: each verb is an update with a
validator, so a request that is not possible now is refused, and leaves nothing in the history.
"""

from __future__ import annotations

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from sagadsl.engine import operator, projection, resetting
from sagadsl.engine.chunks import to_undo
from sagadsl.engine.facts import Error, Given, OperatorAsked
from sagadsl.engine.given import find
from sagadsl.engine.hiding import told
from sagadsl.engine.journal import Phase, State
from sagadsl.engine.verbs import NEED_A_PATH, SENTENCES, Verb
from sagadsl.immutable import replace
from sagadsl.language.analysis.given_values import problems
from sagadsl.language.own_errors import INVALID_INPUT, NOT_POSSIBLE
from sagadsl.language.schema.secret_texts import SHOWN
from sagadsl.temporal.run.host import TemporalHost
from sagadsl.temporal.run.knowledge import at_hand
from sagadsl.temporal.run.opening import Opening
from sagadsl.temporal.run.slow_checks import patiently
from sagadsl.temporal.run.taken_over import heard_in_turn
from sagadsl.temporal.wire.arguments import Package
from sagadsl.temporal.wire.requests import Asked

RESET_QUERY = "may_reset"


class OperatedRun:
    """A run that operators can ask for something, in every phase of it."""

    def __init__(self) -> None:
        self._host = TemporalHost(
            rules=lambda: self._state.rules,
            generation=lambda: self._state.generation,
            to_undo=lambda: to_undo(self._state),
            goes_back=lambda: self._state.phase is Phase.COMPENSATING and not self._state.returning,
        )
        self._opening = Opening(self._host)
        self._early_decisions: list[OperatorAsked] = []
        self._rejection: Error | None = None
        self._stopped_early = False

    @property
    def opening(self) -> Opening:
        """How the run began, with its state and definition: what ``rebuilt`` reads."""
        return self._opening

    @property
    def _state(self) -> State:
        return self._opening.state

    @property
    def _package(self) -> Package | None:
        return self._opening.package

    async def _operate(self, verb: Verb, request: Any) -> dict[str, Any]:
        """Carry out an operator's request, and return the saga's status."""
        asked, id_ = Asked.read(request), update_id()
        await heard_in_turn()
        fact = OperatorAsked(
            workflow.time(),
            verb,
            asked.path,
            by=asked.by,
            why=asked.why,
            request=id_,
            occurrence=asked.occurrence,
            given=asked.given,
            told=self._told(asked),
        )
        repeated = id_ in self._state.requests
        if self._package is None:
            self._early_decisions.append(fact)
        else:
            self._host.tell_asked(fact)
        await workflow.wait_condition(
            lambda: not (self._host.inbox.holds(fact) or any(each is fact for each in self._early_decisions))
        )
        if id_ not in self._state.requests:  # others were faster
            raise ApplicationError(self._refusal(verb, asked) or "something else came first", type=NOT_POSSIBLE)
        return {"status": projection.current(self._state).value} | ({"repeated": True} if repeated else {})

    def _told(self, asked: Asked) -> Given:
        """Return what is given without secrets; as long as nobody knows what is one, without any of it."""
        if self._package is None:
            return replace(
                asked.given, input=(SHOWN,) * len(asked.given.input), output=(SHOWN,) * len(asked.given.output)
            )
        path = asked.path or next(iter(self._state.attention), "")
        return told(asked.given, self._package.saga, path, self._package.marked)

    def _allow(self, verb: Verb, request: Any) -> None:
        """Raise an error if *verb* is not possible now. A request that comes too early is judged when the definition
        is known."""
        try:
            asked = Asked.read(request)
        except ValueError as problem:
            raise ApplicationError(str(problem), type=INVALID_INPUT) from problem
        begun = self._package is not None or self._rejection is not None or self._stopped_early
        if not begun or update_id() in self._state.requests:
            return
        if (why := self._refusal(verb, asked)) is not None:
            raise ApplicationError(why, type=NOT_POSSIBLE)
        if unfit := self._unfit(asked):
            raise ApplicationError(unfit, type=INVALID_INPUT)

    def _refusal(self, verb: Verb, asked: Asked) -> str | None:
        if (not_begun := self._not_begun()) is not None:
            return not_begun
        saga = None if self._package is None else self._package.saga
        why = operator.refusal(self._state, verb, asked.path, asked.occurrence, saga=saga, given=asked.given)
        if why is None and verb in NEED_A_PATH and not asked.path:  # on arrival, another step may wait
            what = "left out" if verb is Verb.SKIP_STEP else "done"
            return f"say which one is {what}: `{next(iter(self._state.attention))}` waits for a decision"
        return why

    def _not_begun(self) -> str | None:
        """Return why the saga never began; ``None`` if it did."""
        if self._rejection is not None:
            return f"the saga did not begin: {self._rejection.message}"
        return "the saga was cancelled before it began" if self._stopped_early else None

    def _unfit(self, asked: Asked) -> str:
        """Return why what is given has the wrong form, as far as the definition and this worker know; empty if it fits.

        Nobody has judged it before (see ``given_values``), and a refusal leaves nothing in the history. A worker that
        does not know the activity accepts it: the activity itself judges its input.
        """
        given = asked.given
        if self._package is None or not (given.input or given.output) or not self._state.attention:
            return ""
        path = asked.path or next(iter(self._state.attention))
        record, _ = find(self._state, path)
        knowledge = at_hand()
        return problems(
            self._package.saga.places[record.step].step,
            path,
            given.input,
            given.output,
            lambda name: None if knowledge is None else knowledge.signature(name),
            judge=patiently,
        )

    @workflow.update(description=f"{SENTENCES[Verb.RETRY_STEP]}: {{path?, by?, why?, occurrence?, input?, new_key?}}")
    async def retry_step(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.RETRY_STEP, request)

    @retry_step.validator
    def _may_retry(self, request: Any = None) -> None:
        self._allow(Verb.RETRY_STEP, request)

    @workflow.update(
        description=f"{SENTENCES[Verb.COMPLETE_STEP]}: {{path, output, by?, why?, occurrence?, nothing_to_undo?}}"
    )
    async def complete_step(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.COMPLETE_STEP, request)

    @complete_step.validator
    def _may_complete(self, request: Any = None) -> None:
        self._allow(Verb.COMPLETE_STEP, request)

    @workflow.update(description=f"{SENTENCES[Verb.SKIP_STEP]}: {{path, by?, why?, occurrence?, output?}}")
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

    @workflow.update(description=f"{SENTENCES[Verb.RESET]}: {{path, by?, why?}}")
    async def reset(self, request: Any = None) -> dict[str, Any]:
        return await self._operate(Verb.RESET, request)

    @reset.validator
    def _may_reset(self, request: Any = None) -> None:
        self._allow(Verb.RESET, request)

    @workflow.query(name=RESET_QUERY, description="What a reset to a step would do: the path of the step")
    def may_reset(self, to: str) -> dict[str, Any]:
        """Judge, and change nothing."""
        not_begun = self._not_begun() or ("the saga has not begun yet" if self._package is None else None)
        if not_begun is not None or self._package is None:
            return resetting.ResetPlan(to, why=not_begun or "").as_json()
        return resetting.plan(self._package.saga, self._state, to).as_json()


def update_id() -> str:
    """Return the id of the update that is being handled; a repeated request has the same id."""
    info = workflow.current_update_info()
    assert info is not None
    return info.id
