"""Compensation passes: what is undone, in which order, and what happens if that fails. Replay-critical.

A pass undoes the whole saga (key ``""``), or the losers of one block. Nothing interrupts it: a cancel
has no effect here (R27), and compensations have no compensations (R13).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.engine import calls, ends, unheard
from sagadsl.engine.child_ids import id_of
from sagadsl.engine.chunks import unpack, waiting
from sagadsl.engine.facts import Error, Outcome, Settled, StartChild
from sagadsl.engine.journal import Unwind
from sagadsl.engine.matching import is_one_of
from sagadsl.engine.noted import Noted
from sagadsl.engine.pauses import limit_of
from sagadsl.engine.records import Record, Undo, UndoProgress
from sagadsl.engine.run import SAFE_HANDOVER, Mistake, Run, error_of
from sagadsl.engine.scope import LazyNames, SagaView
from sagadsl.engine.squeeze import compact
from sagadsl.immutable import replace
from sagadsl.language.calls import ActivityCall, Call, Compensation, On, SagaCall, Send, Value
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import OnFailure, Order
from sagadsl.language.own_errors import NO_JOURNAL
from sagadsl.language.paths import CallId, Purpose, undo_path

_SENT_TWICE = 100_000
"""Bytes of a child's input up to which its undoing run gets the input again, for people who look at the run."""

_OPEN = (UndoProgress.REGISTERED, UndoProgress.RUNNING, UndoProgress.PAUSED)


def begin(run: Run, key: str, paths: list[str]) -> bool:
    """Begin a pass over *paths*, in the order in which their steps began; false when none is due."""
    due = []
    for path in paths:
        record = run.state.records[path]
        undo = _undo(record)
        if undo.progress is not UndoProgress.REGISTERED:
            continue
        compensation = _compensation(run, record)
        if is_due(compensation, record.outcome) or (
            unheard.awaited_until(run.state, record) is not None and is_due(compensation, Outcome.SUCCEEDED)
        ):
            due.append(path)
        else:
            undo.progress = UndoProgress.NOT_DUE
    if not due and (key or not waiting(run.state)):
        return False
    if run.saga.order is Order.PARALLEL:
        by_end = sorted(due, key=lambda path: run.state.records[path].settled)
        run.state.unwinds[key] = Unwind(key, by_end, order=due)
    else:
        run.state.unwinds[key] = Unwind(key, due)
    run.todo.append(("unwind", key))
    return True


def leave(run: Run, paths: list[str]) -> None:
    """Note that what these steps have done is not undone, because nobody has tried."""
    for path in paths:
        record = run.state.records[path]
        undo = _undo(record)
        if undo.progress is UndoProgress.REGISTERED:
            is_left = is_due(_compensation(run, record), record.outcome)
            undo.progress = UndoProgress.NOT_ATTEMPTED if is_left else UndoProgress.NOT_DUE


def is_due(compensation: Compensation, outcome: Outcome) -> bool:
    """Say whether a step with this outcome has to be undone.

    R3: a call that the participant refused has no effect; a call with an unknown outcome may have one.
    """
    match compensation.on:
        case On.COMPLETED:
            return outcome is Outcome.SUCCEEDED
        case On.ATTEMPTED:
            return outcome is not Outcome.NOT_STARTED
        case On.AUTO:
            return outcome in (Outcome.SUCCEEDED, Outcome.UNKNOWN)


def advance(run: Run, unwind: Unwind) -> None:
    """Begin the next compensations, or end the pass."""
    if unwind.stopped:
        for path in unwind.pending:
            _undo(run.state.records[path]).progress = UndoProgress.NOT_ATTEMPTED
        unwind.pending.clear()
    while _supply(run, unwind) and _is_next(run, unwind):
        if not run.may_start("unwind", unwind.key):
            return
        path = unwind.pending.pop()
        unwind.running[path] = True
        record = run.state.records[path]
        undo = _undo(record)
        undo.progress, undo.started_at = UndoProgress.RUNNING, run.state.now
        if record.unheard is None:
            start_action(run, record)
        elif not unheard.awaits(run, record):
            go_on(run, record)
    if not unwind.pending and not unwind.running:
        del run.state.unwinds[unwind.key]
        run.todo.append(("not undone" if unwind.failed else "undone", unwind.key))


def go_on(run: Run, record: Record) -> None:
    """Undo a step that may have been waited for, unless it turned out that there is nothing to undo. R96, R97."""
    undo, unwind = _undo(record), _unwind_of(run, record)
    if is_due(_compensation(run, record), record.outcome):
        undo.started_at = run.state.now
        run.todo.append(("action", record.path))
        return
    undo.progress, undo.started_at = UndoProgress.NOT_DUE, None
    unwind.running.pop(record.path, None)
    run.todo.append(("unwind", unwind.key))


def _supply(run: Run, unwind: Unwind) -> bool:
    """Unpack chunks that may come before the next path to undo; false when nothing is left to begin. R10."""
    if unwind.stopped:
        return False
    if run.state.returning:  # what lies behind the step was unpacked before
        return bool(unwind.pending)
    reverse, state = run.saga.order is Order.REVERSE, run.state
    while not unwind.key and not (reverse and unwind.running) and (packed := waiting(state)):
        newest = max(packed, key=lambda each: each.last)
        if unwind.pending:
            first = state.records[unwind.pending[-1]]
            if newest.last < (first.began if reverse else first.settled):
                break
        paths = unpack(run, newest)
        unwind.pending += paths
        unwind.pending.sort(key=lambda path: state.records[path].began if reverse else state.records[path].settled)
        if not reverse:
            unwind.order = sorted(dict.fromkeys([*unwind.order, *paths]), key=lambda path: state.records[path].began)
    return bool(unwind.pending)


def _is_next(run: Run, unwind: Unwind) -> bool:
    """Say whether the next path may be undone. R10: A waits for B if B's step began after A's call had settled;
    ``reverse`` takes one at a time."""
    if run.saga.order is Order.REVERSE:
        return not unwind.running
    records = run.state.records
    while unwind.order and _undo(records[unwind.order[-1]]).progress not in _OPEN:
        unwind.order.pop()
    return records[unwind.pending[-1]].settled >= records[unwind.order[-1]].began


def start_action(run: Run, record: Record) -> None:
    """Begin the next action of a compensation."""
    undo, compensation = _undo(record), _compensation(run, record)
    undo.progress = UndoProgress.RUNNING
    try:
        if compensation.auto:
            command = _undo_child(run, record)
            run.call(command.call_id, record.path, command)
        elif (condition := compensation.actions[undo.action].condition) is None or _holds(run, record, condition):
            _start_call(run, record, undo, compensation)
        else:
            next_action(run, record)
    except (ExpressionError, Mistake) as mistake:  # R15: a mistake never drops the record
        failed(run, record, error_of(mistake, action_path(run, record)))


def _holds(run: Run, record: Record, condition: Value) -> bool:
    """Whether the next action of a compensation is to be carried out: its ``if`` holds. R95."""
    undo = _undo(record)
    several = undo.action if len(_compensation(run, record).actions) > 1 else None
    return bool(condition.render(calls.undo_names(run, record, undo, several)))


def _start_call(run: Run, record: Record, undo: Undo, compensation: Compensation) -> None:
    index = undo.action
    call = compensation.actions[index].call
    several = index if len(compensation.actions) > 1 else None
    names = LazyNames(lambda: calls.undo_names(run, record, undo, several))
    if isinstance(call, Send):
        _start_send(run, record, call, names)
        return
    if undo.inputs:
        arguments: tuple[Any, ...] = (undo.inputs[0],)
    elif call.input is None:
        body = run.step_to_undo(record).body
        has_input = record.given or (isinstance(body, Call) and body.input is not None)
        arguments = (record.input,) if has_input else ()
    else:
        arguments = (calls.render_late(call.input, undo.early[index], names),)
    call_id = _call_id(run, record)
    summary = f"undo {record.path}"
    if isinstance(call, ActivityCall):
        run.call(
            call_id,
            record.path,
            calls.activity(call, call_id, arguments, names, summary=summary, patient=False),
        )
    else:
        input_ = arguments[0] if arguments else None
        child = calls.child(run, call, call_id, input_, names, summary=summary, journal=False)
        run.call(call_id, record.path, replace(child, definition=undo.definition))


def _start_send(run: Run, record: Record, call: Send, names: Mapping[str, Any]) -> None:
    undo, call_id = _undo(record), _call_id(run, record)
    arguments: tuple[Any, ...] = tuple(undo.inputs)
    if not arguments and call.input is not None:
        arguments = (calls.render_late(call.input, undo.early[undo.action], names),)
    to = calls.receiver(run, call, names)
    run.call(call_id, record.path, calls.send(call, call_id, to, arguments, names))


def _undo_child(run: Run, record: Record) -> StartChild:
    """Return the command for a completed child saga to undo itself: a new run under its own id, so that its keys stay
    the same. R46, R47."""
    if record.journal is None:
        raise Mistake(NO_JOURNAL, "the child saga did not say what it has done, so it cannot undo itself")
    call = run.step_to_undo(record).body
    assert isinstance(call, SagaCall)
    names = calls.undo_names(run, record, _undo(record), None)
    given = record.input
    if run.state.rules >= SAFE_HANDOVER and len(compact(given)) > _SENT_TWICE:
        given = None  # the journal contains it, and both together may not fit
    command = calls.child(run, call, _call_id(run, record), given, names, summary=f"undo {record.path}", journal=False)
    return replace(
        command,
        workflow_id=id_of(run.state, record),
        chosen=record.call_id if record.child else "",
        journal=record.journal,
        failure=calls.why_undone(run, record),
        definition=_undo(record).definition,
    )


def settled(run: Run, record: Record, fact: Settled) -> None:
    """Handle the end of a compensation's action."""
    undo, compensation = _undo(record), _compensation(run, record)
    undo.attempts = fact.attempts
    error = fact.error or ends.cancelled_outside(action_path(run, record))
    already = () if compensation.auto else compensation.actions[undo.action].already_undone
    if fact.outcome is Outcome.SUCCEEDED or is_one_of(error, already, run.state.rules):  # R24
        next_action(run, record)
    else:
        failed(run, record, error)


def failed(run: Run, record: Record, error: Error) -> None:
    """Handle a compensation that has failed for good: pause, go on, or stop. R20, R21."""
    undo = _undo(record)
    run.noted.append(Noted("undo failed", record))
    match run.saga.compensation_failure:
        case OnFailure.PAUSE:
            undo.progress = UndoProgress.PAUSED
            path, timeout = action_path(run, record), run.saga.undo_pause_timeout
            names = {"input": run.state.input, "saga": SagaView(run.saga, run.state)}
            run.needs_attention(path, error, None if timeout is None else limit_of(run, timeout, names, path))
        case OnFailure.CONTINUE:
            pass_over(run, record, error)
        case OnFailure.STOP:
            undo.errors[undo.action] = error
            _unwind_of(run, record).stopped = True
            _over(run, record)


def pass_over(run: Run, record: Record, error: Error) -> None:
    """Go on with the other actions and compensations although one has failed for good. R21."""
    undo = _undo(record)
    undo.errors[undo.action] = error
    next_action(run, record)


def next_action(run: Run, record: Record) -> None:
    """Go to the next action of a compensation, or end it. R13."""
    undo = _undo(record)
    undo.action += 1
    while undo.action in undo.done_before:
        undo.action += 1
    undo.repeats = 0
    undo.inputs.clear()
    if undo.action < len(_compensation(run, record).actions):
        undo.progress = UndoProgress.RUNNING
        run.todo.append(("action", record.path))
    else:
        _over(run, record)


def give_up(run: Run, record: Record, error: Error, *, rest: bool) -> None:
    """Skip the action that failed, or with *rest* everything that is left, as an operator asked. R22."""
    undo = _undo(record)
    undo.errors[undo.action] = error
    undo.skipped = True
    if rest:
        _unwind_of(run, record).stopped = True
        _over(run, record)
    else:
        next_action(run, record)


def action_path(run: Run, record: Record) -> str:
    """Return the path of the running action."""
    several = len(_compensation(run, record).actions) > 1
    return undo_path(record.path, _undo(record).action if several else None)


def _call_id(run: Run, record: Record) -> str:
    several = len(_compensation(run, record).actions) > 1
    undo = _undo(record)
    if not several and undo.repeats == 0 and record.key == 1:  # as nearly always
        return undo_path(record.path)
    action = undo.action if several else None
    return str(CallId(record.path, Purpose.UNDO, action, undo.repeats + 1, record.key))


def _over(run: Run, record: Record) -> None:
    undo, unwind = _undo(record), _unwind_of(run, record)
    if undo.skipped:
        undo.progress = UndoProgress.SKIPPED
    elif undo.errors:
        undo.progress = UndoProgress.FAILED
    else:
        undo.progress = UndoProgress.DONE
    undo.ended_at = run.state.now
    run.noted.append(Noted("undo over", record))
    if undo.progress is not UndoProgress.DONE:
        run.state.undo_failed = True
        # If an operator has skipped a loser of a block, it counts as settled: the saga may go on.
        unwind.failed = unwind.failed or unwind.stopped or undo.progress is UndoProgress.FAILED
    unwind.running.pop(record.path, None)
    run.todo.append(("unwind", unwind.key))


def _unwind_of(run: Run, record: Record) -> Unwind:
    for unwind in run.state.unwinds.values():
        if record.path in unwind.running:
            return unwind
    raise AssertionError(f"no pass undoes `{record.path}`")


def _undo(record: Record) -> Undo:
    assert record.undo is not None
    return record.undo


def _compensation(run: Run, record: Record) -> Compensation:
    undo = record.undo  # as `run.step_to_undo`, which costs more: this is asked six times for each undo
    saga = run.saga.former[undo.definition] if undo is not None and undo.definition else run.saga
    compensation = saga.places[record.step].step.compensation
    assert compensation is not None
    return compensation
