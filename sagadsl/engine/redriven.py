"""How a new run takes up the work of a closed one: what it keeps, begins again, undoes. R31, R45. Replay-critical.

A run that the server ended without running code (terminated, timed out) leaves a state with calls in flight. A run
that ended ``failed`` leaves compensations that were not carried out, or steps that were not done. The new run begins
with that state and one fact, ``Inherited``. Keys do not change, so a participant recognises what begins again (R49).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, assert_never

from sagadsl.engine import ends, returning, steps, undo
from sagadsl.engine.behind import behind
from sagadsl.engine.chunks import waiting
from sagadsl.engine.facts import How, Inherited, StartTimer, Status
from sagadsl.engine.journal import Action, Phase, State
from sagadsl.engine.records import LEFT, Progress, Record, UndoProgress
from sagadsl.engine.reopened import begin_timeout, ended_well, go_forward
from sagadsl.engine.run import TIMEOUT_TIMER, Mistake, Run, error_of
from sagadsl.engine.scope import step_to_undo
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.kinds import parts
from sagadsl.language.model import Block, Saga, Step
from sagadsl.language.paths import Purpose, parse_call

Follows = Literal["nothing", "stop", "compensate"]
"""What the engine does after a state was taken up: stop the saga as a cancel does, or undo at once."""


def refusal(saga: Saga, state: State, how: How, *, killed: bool, to: str = "") -> str | None:
    """Return why a closed run's work cannot be taken up in this way, in one sentence; ``None`` when it can.

    Args:
        to: The step to which the saga goes back before it goes on; empty: to none.
        killed: The server ended the run, and no code of it ran.
    """
    if not state.saga_id:
        return "it had not begun, so there is nothing to take up"
    if to:
        return _refusal_back(saga, state, to, killed=killed)
    if state.phase is Phase.CLOSED:
        return _refusal_closed(saga, state, how, killed=killed)
    if how is How.UNDO:
        if state.phase is Phase.FORWARD and state.pivot_passed:
            return "its pivot had passed, and nothing is undone behind it; `--forward` finishes it"
        return None
    if (state.phase is not Phase.FORWARD or state.pending_stop is not None) and not state.returning:
        return (
            "it was being undone already, so it cannot go forward; leave out `--forward`, and the undoing is finished"
        )
    return None


def _refusal_closed(saga: Saga, state: State, how: How, *, killed: bool) -> str | None:
    if state.status is Status.COMPLETED and not killed:
        return "it has completed"
    if state.status is Status.REJECTED and not killed:
        return "it has said no, and all that it had done is undone"
    if how is How.UNDO:
        if state.pivot_passed:
            return "its pivot had passed, and nothing is undone behind it"
        nothing = not killed and not left_behind(saga, state) and not waiting(state)
        return "it has left nothing behind that could be undone" if nothing else None
    if state.status is Status.COMPLETED:
        return None
    if not (state.stopped or state.pivot_passed):
        return "what it had done was undone, so there is nothing to go on from"
    return _abandoned(state) or _unreachable(saga, state)


def _abandoned(state: State) -> str | None:
    """Return why a stopped saga cannot go on: a child of it goes on by itself, and would begin a second time."""
    found = next((each for each in state.records.values() if each.progress is Progress.ABANDONED), None)
    return None if found is None else f"the child saga of `{found.path}` goes on by itself, and would begin once more"


def _refusal_back(saga: Saga, state: State, to: str, *, killed: bool) -> str | None:
    if killed:
        return "the server ended it, so calls of it may be under way: recover it first"
    if state.status is Status.COMPLETED:
        return "it has completed"
    return "; ".join(behind(saga, state, to).reasons) or None


def what_is_due(state: State) -> How:
    """Return what the end of a failed saga asks for: go on where nothing was undone, else finish the undoing."""
    return How.FORWARD if state.stopped or state.pivot_passed else How.UNDO


def left_behind(saga: Saga, state: State) -> list[str]:
    """Return the paths of steps that a closed saga has not undone although they were due, the newest first."""
    found = []
    for path in reversed(state.undoable):
        record = state.records[path]
        compensation = step_to_undo(saga, record).compensation
        if record.undo is None or compensation is None:
            continue
        is_open = record.undo.progress is UndoProgress.REGISTERED and undo.is_due(compensation, record.outcome)
        if record.undo.progress in LEFT or is_open:
            found.append(path)
    return found


def begins_again(state: State, how: How, call_id: str) -> bool:
    """Whether a call in flight begins again under its key; otherwise the saga waits for its end.

    Compensations, probes, and the steps of ``on_failure`` always begin again.
    """
    if parse_call(call_id).purpose is not Purpose.DO or state.phase is Phase.FINISHING:
        return True
    return state.phase is Phase.FORWARD and how is How.FORWARD


def take_up(run: Run, fact: Inherited) -> Follows:
    """Take up the state of a closed run, and say what the engine does next."""
    state = run.state
    state.run_id, state.draining, state.paused, state.migrating = fact.run_id, False, False, ""
    state.actions.append(Action(fact.at, fact.verb, fact.to, fact.by, fact.why))
    if state.phase is Phase.CLOSED:
        return _reopen(run, fact)
    if fact.how is How.UNDO:
        if state.returning:
            returning.forsake(run)
            run.fail_with(fact.failure)
        state.timers.pop(TIMEOUT_TIMER, None)
    elif state.timers.pop(TIMEOUT_TIMER, None) is not None:
        begin_timeout(run)
    for timer_id, due in state.timers.items():
        if timer_id != TIMEOUT_TIMER:
            run.commands.append(StartTimer(timer_id, due, timer_id))
    for call_id in [each for each in state.calls if each not in fact.ended]:
        if begins_again(state, fact.how, call_id):
            _begin_again(run, call_id, anew=call_id in fact.renewed)
    return "stop" if fact.how is How.UNDO and state.phase is Phase.FORWARD else "nothing"


def _begin_again(run: Run, call_id: str, *, anew: bool) -> None:
    record = run.state.records[run.state.calls.pop(call_id)]
    match parse_call(call_id).purpose:
        case Purpose.UNDO:
            undo.start_action(run, record)
        case Purpose.PROBE:
            assert record.error is not None
            ends.doubt(run, run.step(record), record, record.error)
        case Purpose.DO:
            record.repeats += anew
            record.child = record.child if anew else ""  # of a child that has not begun, the id is not ours
            record.doubt = (
                record.doubt or not anew
            )  # R5: if it fails now, its first time may have happened all the same
            record.began = run.tick()
            try:
                steps.begin(run, run.step(record), record)
            except (ExpressionError, Mistake) as mistake:
                ends.fail(run, record, error_of(mistake, record.path))
        case never:
            assert_never(never)


def _reopen(run: Run, fact: Inherited) -> Follows:
    state = run.state
    if state.status is Status.COMPLETED and fact.how is How.FORWARD:
        return "nothing"  # only its end was missing
    state.frames, state.unwinds, state.held = {}, {}, {}
    state.status, state.output, state.undo_failed = None, None, False
    if fact.how is How.FORWARD and not fact.to:
        go_forward(run)
        return "nothing"
    if fact.to:
        state.returning, state.stopped = behind(run.saga, state, fact.to).to, False
        return "compensate"
    state.failure = state.failure or fact.failure
    state.stopped = False
    for path in left_behind(run.saga, state):
        _register_again(run, state.records[path])
    return "compensate"


def _register_again(run: Run, record: Record) -> None:
    """Let a compensation that left something behind be carried out again; its actions that succeeded stay done."""
    again = record.undo
    compensation = run.step_to_undo(record).compensation
    assert again is not None
    assert compensation is not None
    if again.progress is UndoProgress.REGISTERED:
        return
    attempted = range(again.action if again.progress is not UndoProgress.NOT_ATTEMPTED else 0)
    done = sorted({*again.done_before, *(index for index in attempted if index not in again.errors)})
    registered = replace(
        again,
        progress=UndoProgress.REGISTERED,
        action=next(index for index in range(len(compensation.actions) or 1) if index not in done),
        done_before=done,
        skipped=False,
        errors={},
        repeats=0,
        started_at=None,
        ended_at=None,
    )
    run.state.records[record.path] = replace(record, undo=registered)  # others may share a record that has ended


def _unreachable(saga: Saga, state: State) -> str | None:
    """Return why a stopped saga cannot go on: its run does not know any more which rounds of a loop are done."""
    for step in saga.steps:
        record = state.records.get(step.id)
        if record is not None and ended_well(record):
            continue
        gone = next((each for each in _ids(step) if any(key.startswith(f"{each} ") for key in state.gone)), None)
        if gone is None:
            return None
        return f"step `{step.id}` stopped in a loop whose first rounds the run has forgotten (step `{gone}` in it)"
    return "none of its steps has failed"


def _ids(step: Step) -> list[str]:
    found = [step.id] if not isinstance(step.body, Block) else []
    for part in parts(step):
        for inner in part.steps:
            found += _ids(inner)
    return found
