"""The requests of operators: which are possible, and what they do. R22. Replay-critical."""

from __future__ import annotations

from sagadsl.engine import blocks, steps, undo
from sagadsl.engine.facts import OperatorAsked, Outcome
from sagadsl.engine.journal import Action, Phase, Progress, Record, State
from sagadsl.engine.run import Mistake, Run, error_of
from sagadsl.engine.verbs import Verb
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.paths import parse_call


def refusal(state: State, verb: Verb, path: str = "", occurrence: int | None = None) -> str | None:
    """Return why *verb* is not possible now, in one sentence; ``None`` when it is.

    Args:
        occurrence: Which wait of *path* the operator has seen, by number.
    """
    if state.phase is Phase.CLOSED:
        return "the saga is over"
    match verb:
        case Verb.PAUSE:
            return "the saga is already paused" if state.paused else None
        case Verb.RESUME:
            return None if state.paused else _not_paused(state)
        case Verb.RETRY_STEP | Verb.SKIP_STEP:
            return _unclear(state, path, occurrence)
        case Verb.ABORT:
            return None if state.attention else "nothing waits for an operator; to stop a running saga, cancel it"


def _not_paused(state: State) -> str:
    if state.attention:
        return f"the saga waits for a decision about {_listed(state)}: retry or skip it, or abort"
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
    if refusal(state, fact.verb, fact.path, fact.occurrence) is not None:
        return
    run.taken_in(fact.request, fact.verb.value)
    path = fact.path or (next(iter(state.attention)) if len(state.attention) == 1 else "")
    state.actions.append(Action(fact.at, fact.verb.value, path, fact.by, fact.why))
    match fact.verb:
        case Verb.PAUSE:
            state.paused = True
        case Verb.RESUME:
            state.paused = False
        case Verb.RETRY_STEP:
            _retry(run, path)
        case Verb.SKIP_STEP:
            _skip(run, path)
        case Verb.ABORT:
            for each in list(state.attention):
                if each in state.attention:  # aborting the first may have settled the others
                    _abort(run, each)


def _retry(run: Run, path: str) -> None:
    record, is_undo = _find(run, path)
    del run.state.attention[path]
    if is_undo:
        assert record.undo is not None
        record.undo.repeats += 1
        undo.start_action(run, record)
        return
    record.repeats += 1
    record.began = run.tick()
    record.progress, record.error = Progress.RUNNING, None
    try:
        steps.begin(run, run.step(record), record)
    except (ExpressionError, Mistake) as mistake:
        steps.fail(run, record, error_of(mistake, path))


def _skip(run: Run, path: str) -> None:
    record, is_undo = _find(run, path)
    error = run.state.attention.pop(path)
    if is_undo:
        undo.give_up(run, record, error, rest=False)
    elif path == run.state.pivot_at:
        record.outcome = Outcome.SUCCEEDED  # the operator says that it happened
        steps.pass_pivot(run)
        steps.succeed(run, record, None)
    else:
        record.handled = record.has_output = True
        run.end(record, Progress.FAILED)


def _abort(run: Run, path: str) -> None:
    record, is_undo = _find(run, path)
    error = run.state.attention.pop(path)
    if is_undo:
        undo.give_up(run, record, error, rest=True)
        return
    if path == run.state.pivot_at:
        record.outcome, run.state.pivot_at = Outcome.FAILED, ""  # the operator says that it did not happen: undo
    run.end(record, Progress.FAILED)
    blocks.stop(run, run.state.pending_stop or error)
    run.note(error)


def _find(run: Run, path: str) -> tuple[Record, bool]:
    """Return the record to which *path* belongs, and whether the path means its compensation."""
    if path in run.state.records:
        return run.state.records[path], False
    return run.state.records[parse_call(path).step], True
