"""How a step ends: well, or with an error that its handlers, its pivot or its frame take. Replay-critical.

Nothing here looks at the steps beside it: when a step ends, its frame hears of it and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.engine import calls, limits, retries, unheard
from sagadsl.engine.error_scope import taken_outside
from sagadsl.engine.facts import Error, LateEnd, Outcome, Settled
from sagadsl.engine.journal import Frame, FrameKind, HandlerSteps
from sagadsl.engine.pauses import may_pause, pause, takes, wanted
from sagadsl.engine.records import Progress, Record, UndoProgress, Unheard
from sagadsl.engine.run import BEHIND_PIVOT, Mistake, Run, error_of
from sagadsl.engine.scope import failure_view, names_of
from sagadsl.language.calls import Send
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Handler, Step, Then, WaitFor
from sagadsl.language.own_errors import CANCELLED, HISTORY_FULL
from sagadsl.language.paths import CallId, Purpose, TimerKind, handler_path, timer

SAGA_CANCELLED = Error(CANCELLED, "the saga was cancelled")
"""The failure of a saga that somebody cancelled."""


def probe_id(record: Record) -> str:
    """Return the id of the call that asks whether a pivot happened."""
    return str(CallId(record.path, Purpose.PROBE, key=record.key))


def stop_waiting(run: Run, record: Record) -> None:
    """Remove the timer and the queue entry of a step that sleeps or waits."""
    run.drop_timer(record.path)
    body = run.step(record).body
    for signal in body.signals if isinstance(body, WaitFor) else ():
        queue = run.state.waiting.get(signal, [])
        if record.path in queue:
            queue.remove(record.path)
        if not queue:
            run.state.waiting.pop(signal, None)


def settled(run: Run, record: Record, fact: Settled) -> None:
    """Handle the end of a forward call."""
    step, is_pivot = run.step(record), record.path == run.state.pivot_at
    record.settled = run.tick()
    record.outcome, record.attempts, record.journal = fact.outcome, fact.attempts, fact.journal
    if record.child and (fact.outcome is Outcome.NOT_STARTED or fact.attempts == 0):
        record.child = ""  # the id may be that of somebody else's child
    if fact.abandoned:
        _abandon(run, record)
        return
    if is_pivot and record.repeats and fact.outcome is Outcome.NOT_STARTED:
        record.outcome = Outcome.UNKNOWN  # R43: the repeat did not begin, which says nothing of the first call
    if record.doubt and fact.outcome in (Outcome.FAILED, Outcome.NOT_STARTED):
        record.outcome = Outcome.UNKNOWN  # R5: the repeat failed, and nobody knows of the first call
    if record.unheard is not None:
        unheard.call_ended(run, record.unheard, fact)
    if record.expired and not (is_pivot and fact.outcome is Outcome.SUCCEEDED) and not record.cancel_asked:
        record.expired = False
        fail(run, record, limits.reached(record.path))  # if it has happened, it has to be undone
    elif fact.outcome is Outcome.SUCCEEDED:
        try:
            refusal = (
                _refusal(step, record, names_of(run, record) | {"output": fact.output}) if step.failed_if else None
            )
        except (ExpressionError, Mistake) as mistake:
            if is_pivot:  # R43: nobody can tell what its result means
                record.outcome = Outcome.UNKNOWN
            fail(run, record, error_of(mistake, record.path))  # it happened, so it has to be undone
            return
        if refusal is None:
            if is_pivot:
                pass_pivot(run)
            succeed(run, record, None if isinstance(step.body, Send) else fact.output)
            return
        record.outcome = Outcome.UNKNOWN if record.doubt else Outcome.FAILED
        fail(run, record, refusal)
    elif fact.cancelled and record.cancel_asked and not (is_pivot and record.outcome is Outcome.UNKNOWN):
        if is_pivot:
            run.state.pivot_at = ""
        run.end(record, Progress.CANCELLED)
    else:
        fail(run, record, fact.error or cancelled_outside(record.path))


def ended_late(run: Run, record: Record, missed: Unheard, fact: LateEnd) -> None:
    """Note what is known at last of a step that has failed: its outcome, and what it has returned. R97."""
    if fact.outcome is Outcome.FAILED:
        record.outcome = Outcome.UNKNOWN if record.doubt else Outcome.FAILED
        return
    record.outcome, missed.output = Outcome.SUCCEEDED, [fact.output]
    assert record.undo is not None
    names = calls.undo_names(run, record, record.undo, None) | {"output": fact.output}
    try:
        if _refusal(run.step(record), record, names) is not None:
            record.outcome = Outcome.UNKNOWN if record.doubt else Outcome.FAILED
    except ExpressionError as mistake:
        run.note(error_of(mistake, record.path))  # it happened, so it has to be undone


def _abandon(run: Run, record: Record) -> None:
    """Go on without a child saga, which goes on by itself. What it does is not undone by anybody here. R116."""
    if record.undo is not None:
        record.undo.progress = UndoProgress.NOT_DUE
    record.outcome = Outcome.UNKNOWN
    run.end(record, Progress.ABANDONED)


def cancelled_outside(path: str) -> Error:
    """Return the error of a call that somebody outside has cancelled."""
    return Error(CANCELLED, "it was cancelled from outside the saga", path)


def pass_pivot(run: Run) -> None:
    """Pass the pivot: a stop of the saga that waited for it comes too late now. R30, R35, R43.

    The exception is a full history: then the saga begins nothing more, and ends failed unless it is done (R51).
    """
    state = run.state
    state.pivot_passed, state.pivot_at = True, ""
    late = state.pending_stop
    if late is None or late.type != HISTORY_FULL or state.rules < BEHIND_PIVOT:
        state.pending_stop = None
        run.note(late)


def succeed(run: Run, record: Record, output: Any) -> None:
    """End a step well, with this output."""
    record.output, record.has_output = output, True
    run.end(record, Progress.COMPLETED)


def fail(run: Run, record: Record, error: Error, *, is_final: bool = False) -> None:
    """Handle a step's error: by a further try (unless it *is_final*), its handlers, the pivot's rules, its frame."""
    state, step = run.state, run.step(record)
    if state.timers:
        run.drop_timer(timer(record.path, TimerKind.LIMIT))
    record.error = error
    if record.path == state.pivot_at and record.outcome is Outcome.UNKNOWN:
        doubt(run, step, record, error)
        return
    if state.pivot_at == record.path:
        state.pivot_at = ""
        record.cancel_asked = record.cancel_asked or state.pending_stop is not None
    frame = state.frames[record.frame]
    if frame.closing is not None or record.cancel_asked:
        run.note(error)
        run.end(record, Progress.FAILED)
        return
    if state.stopped:
        run.end(record, Progress.FAILED)
        return
    if not is_final and retries.by_policy(run, record, error):
        return
    for index, handler in enumerate(step.on_error):
        if takes(run, record, handler, error):
            if handler.steps:
                path, variables = handler_path(record.path), {"error": failure_view(error)}
                body = HandlerSteps(index)
                run.open(Frame(path, FrameKind.SEQUENCE, record.path, body, loops=frame.loops, variables=variables))
            else:
                handled(run, record, index)
            return
    fail_for_good(run, record, by_default=True)


def fail_for_good(run: Run, record: Record, *, by_default: bool = False) -> None:
    """Fail a step that has no handler left for its error; *by_default*: none of its own handlers takes the error."""
    assert record.error is not None
    if (wait := wanted(run, record, record.error, by_default=by_default)) is not None:
        pause(run, record, record.error, wait.timeout)
    elif (
        run.forward and run.state.pivot_passed and not taken_outside(run, run.state.frames[record.frame], record.error)
    ):
        pause(run, record, record.error)  # R44: no way back, so a person decides
    else:
        run.end(record, Progress.FAILED)


def handled(run: Run, record: Record, index: int) -> None:
    """Go on after an error handler, as its ``then`` says."""
    handler = run.step(record).on_error[index]
    _replace_error(run, record, handler)
    if handler.then is Then.CONTINUE:
        assert record.error is not None
        try:
            names = names_of(run, record) | {"error": failure_view(record.error)}
            if handler.output is not None or not record.has_output:
                record.output = None if handler.output is None else handler.output.render(names)
        except ExpressionError as mistake:
            run.note(error_of(mistake, record.path))
            fail_for_good(run, record)
        else:
            record.handled = record.has_output = True
            run.end(record, Progress.FAILED)
    elif handler.then is Then.STOP:
        run.state.stopped = run.state.stopped or run.forward
        run.end(record, Progress.FAILED)
    elif handler.then is Then.RETRY:
        assert record.error is not None
        if not retries.by_handler(run, record, record.error, handler.tries):
            fail_for_good(run, record)
    elif handler.then is Then.PAUSE and may_pause(run):
        assert record.error is not None
        pause(run, record, record.error, handler.pause_timeout)
    else:
        fail_for_good(run, record)


def _replace_error(run: Run, record: Record, handler: Handler) -> None:
    """Put the error that a handler raises in the place of the step's own, which becomes its cause."""
    before = record.error
    if handler.raises is None or before is None:
        return
    try:
        message = in_words(handler.raises.message.render(names_of(run, record) | {"error": failure_view(before)}))
    except ExpressionError as mistake:
        run.note(error_of(mistake, record.path))
        message = before.message
    causes = ((before.type, before.message), *before.causes)
    record.error = Error(handler.raises.type, message, record.path, causes)


def doubt(run: Run, step: Step, record: Record, error: Error) -> None:
    """Ask the pivot's probe, or an operator, when nobody knows whether the pivot happened. R43."""
    if step.probe is None or probe_id(record) in run.state.calls:
        pause(run, record, error)
        return
    names = names_of(run, record)
    try:
        arguments = (record.input,) if step.probe.input is None else (step.probe.input.render(names),)
        command = calls.activity(
            step.probe,
            probe_id(record),
            arguments,
            names,
            summary=f"did {record.path} happen?",
            patient=False,
        )
    except (ExpressionError, Mistake) as mistake:
        run.note(error_of(mistake, record.path))
        pause(run, record, error)
        return
    run.call(command.call_id, record.path, command)


def probed(run: Run, record: Record, fact: Settled) -> None:
    """Handle the answer of a pivot's probe: true, false, or still unknown."""
    assert record.error is not None
    if fact.outcome is Outcome.SUCCEEDED and fact.output is True:
        record.outcome = Outcome.SUCCEEDED
        pass_pivot(run)
        succeed(run, record, None)
    elif fact.outcome is Outcome.SUCCEEDED and fact.output is False:
        record.outcome = Outcome.FAILED
        fail(run, record, record.error)
    else:
        run.note(fact.error)
        pause(run, record, record.error)


def _refusal(step: Step, record: Record, names: Mapping[str, Any]) -> Error | None:
    """Return the error for a result that means failure, by ``failed_if``; ``None`` otherwise."""
    for rule in step.failed_if:
        if rule.condition.render(names):
            message = f"the result of `{step.id}` means no" if rule.message is None else rule.message.render(names)
            return Error(rule.type, in_words(message), record.path)
    return None


def in_words(value: Any) -> str:
    """Return a value of an expression as the text of an error."""
    return value if isinstance(value, str) else str(value)
