"""The requests of operators: which are possible, and what they do. R22. Replay-critical."""

from __future__ import annotations

from typing import assert_never

from sagadsl.engine import blocks, ends, pauses, resetting, steps, undo
from sagadsl.engine.facts import NOTHING_GIVEN, Given, OperatorAsked, Outcome
from sagadsl.engine.given import find, in_short, unfit
from sagadsl.engine.journal import Action, Phase, State
from sagadsl.engine.records import Progress
from sagadsl.engine.run import Mistake, Run, error_of
from sagadsl.engine.verbs import Verb
from sagadsl.language.calls import Call
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Saga


def refusal(
    state: State,
    verb: Verb,
    path: str = "",
    occurrence: int | None = None,
    *,
    saga: Saga | None = None,
    given: Given = NOTHING_GIVEN,
) -> str | None:
    """Return why *verb* is not possible now, in one sentence; ``None`` when it is.

    Args:
        occurrence: Which wait of *path* the operator has seen, by number.
        saga: The definition; without it, what the operator gives is not judged.
    """
    if state.phase is Phase.CLOSED:
        return "the saga is over"
    match verb:
        case Verb.PAUSE:
            return "the saga is already paused" if state.paused else None
        case Verb.RESUME:
            return None if state.paused else _not_paused(state)
        case Verb.RETRY_STEP | Verb.SKIP_STEP | Verb.COMPLETE_STEP:
            unclear = _unclear(state, path, occurrence)
            if unclear is not None or saga is None:
                return unclear
            return unfit(saga, state, verb, path or next(iter(state.attention)), given)
        case Verb.ABORT:
            return None if state.attention else "nothing waits for an operator; to stop a running saga, cancel it"
        case Verb.RESET:
            if not path:
                return "say to which step it goes back"
            return None if saga is None else resetting.refusal(saga, state, path)
        case _:
            assert_never(verb)


def _not_paused(state: State) -> str:
    if state.attention:
        return f"the saga waits for a decision about {_listed(state)}: retry, complete or skip it, or abort"
    return "the saga is not paused"


def _unclear(state: State, path: str, occurrence: int | None) -> str | None:
    if path and path not in state.attention and path in state.occurrences:
        return f"`{path}` is decided already: it does not wait any more"
    if not state.attention:
        return "nothing waits for an operator"
    if not path:
        return None if len(state.attention) == 1 else f"say which one of {_listed(state)}"
    if path not in state.attention:
        return f"`{path}` does not wait for an operator; {_listed(state)} does"
    if occurrence is not None and occurrence != state.occurrences.get(path, 1):
        return f"that is decided already: `{path}` has failed again since, and waits for a new decision"
    return None


def _listed(state: State) -> str:
    return ", ".join(f"`{path}`" for path in state.attention)


def asked(run: Run, fact: OperatorAsked) -> None:
    """Carry out an operator's request; one that is not possible (any more) changes nothing."""
    state = run.state
    if refusal(state, fact.verb, fact.path, fact.occurrence, saga=run.saga, given=fact.given) is not None:
        return
    run.taken_in(fact.request, fact.verb.value)
    path = fact.path or (next(iter(state.attention)) if len(state.attention) == 1 else "")
    if fact.verb is Verb.RESET:
        path = resetting.set_out(run, path)
    gave = in_short(fact.told or fact.given)
    state.actions.append(Action(fact.at, fact.verb.value, path, fact.by, fact.why, gave))
    match fact.verb:
        case Verb.PAUSE:
            state.paused = True
        case Verb.RESUME:
            state.paused = False
        case Verb.RETRY_STEP:
            _retry(run, path, fact.given)
        case Verb.COMPLETE_STEP:
            _complete(run, path, fact.given)
        case Verb.SKIP_STEP:
            _skip(run, path, fact.given)
        case Verb.ABORT:
            for each in list(state.attention):
                if each in state.attention:  # aborting the first may have settled the others
                    _abort(run, each)
        case Verb.RESET:
            pass  # it has set out
        case _:
            assert_never(fact.verb)


def nobody_came(run: Run, path: str) -> None:
    """End a pause that has lasted too long: the saga goes back; an undoing saga goes on with the other compensations.

    A step that could not be undone any more goes on waiting (R44).
    """
    if path not in run.state.attention:
        return
    record, is_undo = find(run.state, path)
    if is_undo:
        run.note(pauses.nobody_came(path))
        undo.pass_over(run, record, run.decided(path))
    elif not run.state.pivot_passed and path != run.state.pivot_at:
        _abort(run, path)
        run.note(pauses.nobody_came(path))


def _retry(run: Run, path: str, given: Given) -> None:
    record, is_undo = find(run.state, path)
    run.decided(path)
    if is_undo:
        assert record.undo is not None
        record.undo.repeats += 1
        if given.input:
            record.undo.inputs = list(given.input)
        undo.start_action(run, record)
        return
    if not run.state.pivot_passed and path != run.state.pivot_at:
        record.doubt = record.doubt or record.outcome is Outcome.UNKNOWN
    record.repeats += 1
    record.began = run.tick()
    record.progress, record.error = Progress.RUNNING, None
    if given.input:
        record.input, record.given = given.input[0], True
    if given.new_key:
        record.key = record.repeats + 1
    try:
        steps.begin(run, run.step(record), record)
    except (ExpressionError, Mistake) as mistake:
        ends.fail(run, record, error_of(mistake, path))


def _complete(run: Run, path: str, given: Given) -> None:
    record, is_undo = find(run.state, path)
    run.decided(path)
    if is_undo:
        undo.next_action(run, record)
        return
    step = run.step(record)
    if isinstance(step.body, Call):
        record.outcome, record.settled = Outcome.SUCCEEDED, record.settled or run.tick()
        if given.nothing_to_undo:
            record.undo = None
            run.state.undoable.pop(path, None)
        else:
            steps.ensure_undo(run, record)
    if step.pivot and run.forward and not run.state.pivot_passed:
        ends.pass_pivot(run)
    record.by_hand, record.error = True, None
    ends.succeed(run, record, given.output[0])


def _skip(run: Run, path: str, given: Given) -> None:
    record, is_undo = find(run.state, path)
    error = run.decided(path)
    output = given.output[0] if given.output else None
    if is_undo:
        undo.give_up(run, record, error, rest=False)
    elif path == run.state.pivot_at:
        record.outcome = Outcome.SUCCEEDED  # the operator says that it happened
        ends.pass_pivot(run)
        ends.succeed(run, record, output)
    else:
        record.handled = record.has_output = True
        record.output = output
        run.end(record, Progress.FAILED)


def _abort(run: Run, path: str) -> None:
    record, is_undo = find(run.state, path)
    error = run.decided(path)
    if is_undo:
        undo.give_up(run, record, error, rest=True)
        return
    if path == run.state.pivot_at:
        record.outcome, run.state.pivot_at = Outcome.FAILED, ""  # the operator says that it did not happen: undo
    run.end(record, Progress.FAILED)
    blocks.stop(run, run.state.pending_stop or error)
    run.note(error)
