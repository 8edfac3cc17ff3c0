"""One step: how it begins, how it ends, and what happens after its error. Replay-critical.

Nothing here looks at the steps beside it: when a step ends, its frame hears of it and goes on.
"""

from __future__ import annotations

import math
from typing import Any, assert_never

from sagadsl.engine import calls
from sagadsl.engine.error_scope import taken_outside
from sagadsl.engine.facts import Error, Outcome, Settled
from sagadsl.engine.journal import ArmSteps, Frame, FrameBody, FrameKind, HandlerSteps, Progress, Record, Undo
from sagadsl.engine.matching import is_one_of
from sagadsl.engine.run import BEHIND_PIVOT, STEP_WORK, Mistake, Run, error_of
from sagadsl.engine.scope import failure_view, scope
from sagadsl.engine.verbs import Verb
from sagadsl.language.expressions.data import kind, shortened
from sagadsl.language.expressions.values import METER, ExpressionError
from sagadsl.language.model import (
    ActivityCall,
    Call,
    Fail,
    ForEach,
    Group,
    Handler,
    Parallel,
    Repeat,
    SagaCall,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    WaitFor,
)
from sagadsl.language.notation.durations import LONGEST
from sagadsl.language.notation.moments import read_moment
from sagadsl.language.own_errors import CANCELLED, EXPRESSION_ERROR, HISTORY_FULL, NO_MATCHING_CASE
from sagadsl.language.paths import forward_key, handler_path, path_in, probe_path, repeated_call, undo_key

_EVERYWHERE = frozenset(("steps", "saga", "input", "failure", "idempotency_key"))
"""Names that are everywhere, and not variables of a block."""

SAGA_CANCELLED = Error(CANCELLED, "the saga was cancelled")
"""The failure of a saga that somebody cancelled."""


def start(run: Run, frame: Frame, step: Step) -> None:
    """Begin the next step of *frame*: compute its condition, and its inputs only if the condition holds."""
    state = run.state
    run.began += 1
    METER.spent += STEP_WORK
    path = path_in(frame.path, step.id)
    record = Record(path, step.id, frame.path, run.tick(), state.now)
    before = state.records.get(path)
    if before is not None:  # an operator repeats its block: its call, and the keys of a child, are new
        record.repeats = before.repeats + 1
        state.undoable.pop(path, None)  # until it begins again
    elif state.rules >= BEHIND_PIVOT and frame.owner and state.records[frame.owner].repeats:
        # `pack` may have forgotten whether the step began before. It cannot have begun more often than this.
        record.repeats = sum(action.verb == Verb.RETRY_STEP.value for action in state.actions)
    state.records[path] = record
    frame.open[path] = True
    try:
        if step.condition is not None and not step.condition.render(names_of(run, record)):
            run.end(record, Progress.SKIPPED)
            return
        begin(run, step, record)
    except (ExpressionError, Mistake) as mistake:
        fail(run, record, error_of(mistake, path))


def begin(run: Run, step: Step, record: Record) -> None:
    """Begin a step by its kind. When it raises ``ExpressionError`` or ``Mistake``, nothing has begun."""
    match step.body:
        case ActivityCall() | SagaCall():
            _begin_call(run, step, record)
        case Group():
            _open(run, record, FrameKind.SEQUENCE)
        case Parallel():
            _open(run, record, FrameKind.PARALLEL)
        case ForEach(items=value):
            items = value.render(names_of(run, record))
            if not isinstance(items, list):
                raise Mistake(EXPRESSION_ERROR, f"`items` must give a list, found {kind(items)}")
            _open(run, record, FrameKind.LOOP).items = items
        case Repeat():
            _open(run, record, FrameKind.REPEAT)
        case Switch(arms=arms):
            names = names_of(run, record)
            for index, arm in enumerate(arms):
                if arm.condition is None or arm.condition.render(names):
                    _open(run, record, FrameKind.SEQUENCE, body=ArmSteps(index))
                    return
            raise Mistake(NO_MATCHING_CASE, f"no case of switch `{step.id}` holds, and it has no `else`")
        case Sleep():
            due = _due(run, step.body, record)
            run.set_timer(record.path, due, f"sleep in {record.path}")
        case WaitFor():
            _begin_wait(run, step.body, record)
        case Set(values=values):
            succeed(run, record, values.render(names_of(run, record)))
        case Fail(type=type_, message=message):
            fail(run, record, Error(type_, _text(message.render(names_of(run, record))), record.path))
        case _:
            assert_never(step.body)


def names_of(run: Run, record: Record) -> dict[str, Any]:
    """Return the names for the expressions of a forward step."""
    names = scope(run.saga, run.state, run.state.frames[record.frame])
    names["idempotency_key"] = forward_key(run.state.caller, record.path)
    if run.state.failure is not None and not run.forward:
        names["failure"] = failure_view(run.state.failure)
    return names


def call_id(record: Record) -> str:
    """Return the id of a step's call on the host: its path, with a number when an operator repeated it."""
    return repeated_call(record.path, record.repeats + 1)


def _begin_call(run: Run, step: Step, record: Record) -> None:
    body = step.body
    assert isinstance(body, Call)
    is_pivot = step.pivot and run.forward and not run.state.pivot_passed
    if is_pivot and run.state.failure is not None:
        raise Mistake(CANCELLED, "the saga has failed already, so its pivot does not begin")
    names = names_of(run, record)
    record.input = None if body.input is None else body.input.render(names)
    if step.compensation is not None and run.forward:
        register(run, step, record, names)
    if isinstance(body, ActivityCall):
        arguments = () if body.input is None else (record.input,)
        command: Any = calls.activity(body, call_id(record), arguments, names,
            summary=step.description or record.path, patient=_is_patient(run, step),
        )  # fmt: skip
    else:
        wants_journal = step.compensation is not None and step.compensation.auto
        command = calls.child(
            run, body, call_id(record), record.input, names, summary=record.path, journal=wants_journal
        )
    record.outcome = Outcome.UNKNOWN  # until somebody says how it ended
    if is_pivot:
        run.state.pivot_at = record.path
    run.call(command.call_id, record.path, command)


def register(run: Run, step: Step, record: Record, names: dict[str, Any]) -> None:
    """Make the record of a step's compensation before the step itself is scheduled. R4, R15."""
    assert step.compensation is not None
    frame = run.state.frames[record.frame]
    visible = {name: value for name, value in names.items() if name not in _EVERYWHERE}
    early_names = names | {
        "step": {"input": record.input, "idempotency_key": names["idempotency_key"]},
    }
    undo = Undo(loops=frame.loops, variables=visible)
    actions = step.compensation.actions
    for index, action in enumerate(actions):
        several = index if len(actions) > 1 else None
        early_names["idempotency_key"] = undo_key(run.state.caller, record.path, several)
        undo.early.append(calls.render_early(action, step.id, early_names))
    record.undo = undo
    run.state.undoable.pop(record.path, None)  # begun again, it is the newest
    run.state.undoable[record.path] = True


def _begin_wait(run: Run, body: WaitFor, record: Record) -> None:
    kept = run.state.signals.get(body.signal)
    if kept and not body.since_now:
        payload = kept.pop(0)
        if not kept:
            del run.state.signals[body.signal]
        record.took_kept = True
        succeed(run, record, payload)
        return
    limit = calls.duration(body.timeout, names_of(run, record), "timeout")
    run.state.waiting.setdefault(body.signal, []).append(record.path)
    if limit is not None:
        run.set_timer(record.path, run.state.now + limit.total_seconds(), f"signal {body.signal} for {record.path}")


def stop_waiting(run: Run, record: Record) -> None:
    """Remove the timer and the queue entry of a step that sleeps or waits."""
    run.drop_timer(record.path)
    body = run.step(record).body
    if isinstance(body, WaitFor):
        queue = run.state.waiting.get(body.signal, [])
        if record.path in queue:
            queue.remove(record.path)
        if not queue:
            run.state.waiting.pop(body.signal, None)


def settled(run: Run, record: Record, fact: Settled) -> None:
    """Handle the end of a forward call."""
    step, is_pivot = run.step(record), record.path == run.state.pivot_at
    record.settled = run.tick()
    record.outcome, record.attempts, record.journal = fact.outcome, fact.attempts, fact.journal
    if is_pivot and record.repeats and fact.outcome is Outcome.NOT_STARTED:
        record.outcome = Outcome.UNKNOWN  # R43: the repeat did not begin, which says nothing of the first call
    if fact.outcome is Outcome.SUCCEEDED:
        try:
            refusal = _refusal(run, step, record, fact.output)
        except (ExpressionError, Mistake) as mistake:
            if is_pivot:  # R43: nobody can tell what its result means
                record.outcome = Outcome.UNKNOWN
            fail(run, record, error_of(mistake, record.path))  # it happened, so it has to be undone
            return
        if refusal is None:
            if is_pivot:
                pass_pivot(run)
            succeed(run, record, fact.output)
            return
        record.outcome = Outcome.FAILED
        fail(run, record, refusal)
    elif fact.cancelled and record.cancel_asked and not (is_pivot and record.outcome is Outcome.UNKNOWN):
        if is_pivot:
            run.state.pivot_at = ""
        run.end(record, Progress.CANCELLED)
    else:
        fail(run, record, fact.error or cancelled_outside(record.path))


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
    record.output, record.has_output = output, True
    run.end(record, Progress.COMPLETED)


def fail(run: Run, record: Record, error: Error) -> None:
    """Handle a step's error: by its handlers, the rules of the pivot, or its frame."""
    state, step = run.state, run.step(record)
    record.error = error
    if record.path == state.pivot_at and record.outcome is Outcome.UNKNOWN:
        _doubt(run, step, record, error)
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
    for index, handler in enumerate(step.on_error):
        if _takes(run, record, handler, error):
            if handler.steps:
                path = handler_path(record.path)
                opened = _open(run, record, FrameKind.SEQUENCE, body=HandlerSteps(index), path=path)
                opened.variables = {"error": failure_view(error)}
            else:
                handled(run, record, index)
            return
    fail_for_good(run, record)


def fail_for_good(run: Run, record: Record) -> None:
    """Fail a step that has no handler left for its error."""
    assert record.error is not None
    if run.forward and run.state.pivot_passed and not taken_outside(run, run.state.frames[record.frame], record.error):
        pause(run, record, record.error)  # R44: no way back, so a person decides
    else:
        run.end(record, Progress.FAILED)


def handled(run: Run, record: Record, index: int) -> None:
    """Go on after an error handler, as its ``then`` says."""
    handler = run.step(record).on_error[index]
    if handler.then is Then.CONTINUE:
        assert record.error is not None
        try:
            names = names_of(run, record) | {"error": failure_view(record.error)}
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
    else:
        fail_for_good(run, record)


def pause(run: Run, record: Record, error: Error) -> None:
    """Keep a step open until an operator decides. R22."""
    record.progress = Progress.PAUSED
    run.needs_attention(record.path, error)


def _doubt(run: Run, step: Step, record: Record, error: Error) -> None:
    """Ask the pivot's probe, or an operator, when nobody knows whether the pivot happened. R43."""
    if step.probe is None or probe_path(record.path) in run.state.calls:
        pause(run, record, error)
        return
    names = names_of(run, record)
    try:
        arguments = (record.input,) if step.probe.input is None else (step.probe.input.render(names),)
        command = calls.activity(
            step.probe,
            probe_path(record.path),
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


def _refusal(run: Run, step: Step, record: Record, output: Any) -> Error | None:
    """Return the error for a result that means failure, by ``failed_if``; ``None`` otherwise."""
    if not step.failed_if:
        return None
    names = names_of(run, record) | {"output": output}
    for rule in step.failed_if:
        if rule.condition.render(names):
            message = f"the result of `{step.id}` means no" if rule.message is None else rule.message.render(names)
            return Error(rule.type, _text(message), record.path)
    return None


def _takes(run: Run, record: Record, handler: Handler, error: Error) -> bool:
    if handler.types and not is_one_of(error, handler.types, run.state.rules):
        return False
    if handler.condition is None:
        return True
    try:
        return bool(handler.condition.render(names_of(run, record) | {"error": failure_view(error)}))
    except ExpressionError as mistake:
        run.note(error_of(mistake, record.path))
        return False


def _is_patient(run: Run, step: Step) -> bool:
    """R44: after the pivot a step is tried until it succeeds, unless its author says how to go on without it."""
    return run.forward and run.state.pivot_passed and all(each.then is Then.COMPENSATE for each in step.on_error)


def _open(run: Run, record: Record, kind: FrameKind, body: FrameBody = "steps", path: str | None = None) -> Frame:
    loops = run.state.frames[record.frame].loops
    frame = Frame(record.path if path is None else path, kind, record.path, body, loops=loops)
    run.open(frame)
    return frame


def _due(run: Run, body: Sleep, record: Record) -> float:
    names = names_of(run, record)
    if body.until is None:
        length = calls.duration(body.duration, names, "sleep")
        assert length is not None
        return run.state.now + length.total_seconds()
    moment = body.until.render(names)
    if isinstance(moment, int | float) and not isinstance(moment, bool):
        return _within_reach(run, moment, moment)
    parsed = read_moment(moment)
    if parsed is None:
        raise Mistake(
            EXPRESSION_ERROR,
            f"`sleep_until` must be a time with its zone such as `2030-01-31T09:00:00Z`, found `{moment!r}`",
        )
    return _within_reach(run, parsed.timestamp(), moment)


def _within_reach(run: Run, due: float, moment: Any) -> float:
    """Return *due* if a person can have meant it: the server waits at most 292 years, and no saga waits 100."""
    try:
        due = float(due)
    except OverflowError:
        due = math.inf if due > 0 else 0.0
    away = due - run.state.now
    if away <= LONGEST.total_seconds() or run.state.rules < 2:
        return due
    means = "a number counts seconds since 1970" if isinstance(moment, int | float) else "give an earlier time"
    if 1e11 <= away < 1e14 and isinstance(moment, int | float):
        means += ", so divide milliseconds by 1000"
    shown = shortened(str(moment), 40)
    raise Mistake(EXPRESSION_ERROR, f"`sleep_until` is `{shown}`, more than 100 years from now; {means}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
