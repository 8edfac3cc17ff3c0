"""One step: how it begins, how it ends, and what happens after its error. Replay-critical.

Nothing here looks at the steps beside it: when a step ends, its frame hears of it and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, assert_never

from sagadsl.engine import anew, calls, limits, loops, own_life, retries, unheard, waits
from sagadsl.engine.chunks import begun
from sagadsl.engine.error_scope import taken_outside
from sagadsl.engine.facts import Error, LateEnd, Outcome, Settled
from sagadsl.engine.journal import (
    ArmSteps,
    Frame,
    FrameBody,
    FrameKind,
    HandlerSteps,
    Progress,
    Record,
    Undo,
    UndoProgress,
    Unheard,
)
from sagadsl.engine.pauses import may_pause, pause, takes, wanted
from sagadsl.engine.run import BEHIND_PIVOT, OUTPUT_BYTES, STEP_WORK, Mistake, Run, error_of
from sagadsl.engine.scope import STATE, SagaView, failure_view, names_in, names_of
from sagadsl.engine.squeeze import compact
from sagadsl.engine.verbs import Verb
from sagadsl.language.calls import ActivityCall, Call, KeyedCall, SagaCall, Send, Value
from sagadsl.language.expressions.data import kind, shortened
from sagadsl.language.expressions.values import METER, ExpressionError
from sagadsl.language.model import (
    Answer,
    Fail,
    ForEach,
    Group,
    Handler,
    Parallel,
    Repeat,
    Return,
    Set,
    Sleep,
    Step,
    Switch,
    Then,
    WaitFor,
)
from sagadsl.language.notation.durations import LONGEST
from sagadsl.language.notation.moments import read_moment
from sagadsl.language.own_errors import CANCELLED, EXPRESSION_ERROR, HISTORY_FULL, NO_MATCHING_CASE, PAYLOAD_TOO_LARGE
from sagadsl.language.paths import CallId, Purpose, TimerKind, handler_path, path_in, timer, undo_key

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
    was_undone = before is not None and before.undo is not None and before.undo.progress is UndoProgress.DONE
    record.child = state.chosen.get(path, "") if before is None else before.child
    if before is not None:  # an operator repeats its block: its call, and the keys of a child, are new
        record.repeats = before.repeats + 1
        state.undoable.pop(path, None)  # until it begins again
    elif state.rules >= BEHIND_PIVOT and frame.owner and state.records[frame.owner].repeats:
        # `pack` may have forgotten whether the step began before. It cannot have begun more often than this.
        record.repeats = sum(action.verb == Verb.RETRY_STEP.value for action in state.actions)
        was_undone = any(path == each for _, each in begun(run.saga, state, undone=True))
    if state.anew and (again := anew.number_of(run, path)) is not None:  # an earlier time was undone
        record.repeats, record.key = max(record.repeats, again), again + 1
    if was_undone and state.rules >= BEHIND_PIVOT:  # R49: its key was undone with it
        record.key = record.repeats + 1
    state.records[path] = record
    frame.open[path] = True
    try:
        if step.condition is not None and not step.condition.render(names_of(run, record)):
            run.end(record, Progress.SKIPPED)
            return
        begin(run, step, record)
    except (ExpressionError, Mistake) as mistake:
        fail(run, record, error_of(mistake, path))


def begin(run: Run, step: Step, record: Record, *, is_repeated: bool = False) -> None:
    """Begin a step by its kind. When it raises ``ExpressionError`` or ``Mistake``, nothing has begun.

    Args:
        is_repeated: A handler has the step tried again. A call has its input already, and its key stands for it.
    """
    if step.timeout is not None:
        limits.begin(run, step, record)
    match step.body:
        case ActivityCall() | SagaCall() | Send():
            _begin_call(run, step, record, keeps_input=is_repeated and isinstance(step.body, KeyedCall))
        case Group():
            _open(run, record, FrameKind.SEQUENCE)
        case Parallel():
            most = loops.computed_limit(step.body, names_of(run, record))
            _open(run, record, FrameKind.PARALLEL).limit = most
        case ForEach(items=value):
            names = names_of(run, record)
            items = value.render(names)
            if not isinstance(items, list):
                raise Mistake(EXPRESSION_ERROR, f"`items` must give a list, found {kind(items)}")
            variables, most = loops.first(step.body, names), loops.computed_limit(step.body, names)
            frame = _open(run, record, FrameKind.LOOP)
            frame.items, frame.variables, frame.limit = items, variables, most
        case Repeat():
            names = names_of(run, record)
            variables, most = loops.first(step.body, names), loops.computed_limit(step.body, names)
            frame = _open(run, record, FrameKind.REPEAT)
            frame.variables, frame.limit = variables, most
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
        case Fail():
            fail(run, record, _own_error(run, record, step.body))
        case Return(value=value):
            _return(run, record, value)
        case Answer(value=value):
            answer = value.render(names_of(run, record))
            run.state.answer = run.state.answer or [answer]  # R103: whoever waited for the first one is gone
            succeed(run, record, answer)
        case _:
            assert_never(step.body)


def _own_error(run: Run, record: Record, body: Fail) -> Error:
    names = names_of(run, record)
    given: tuple[Any, ...] = () if body.result is None else (body.result.render(names),)
    if given and (size := len(compact(given[0]))) > OUTPUT_BYTES:
        raise Mistake(PAYLOAD_TOO_LARGE, f"`result` has {size:,} bytes, at most {OUTPUT_BYTES:,} fit")
    return Error(body.type, _text(body.message.render(names)), record.path, result=given)


def _return(run: Run, record: Record, value: Value) -> None:
    """End the saga early, with success. What runs beside the step is asked to stop when the step has ended. R110."""
    if not run.forward or run.state.failure is not None:
        raise Mistake(CANCELLED, "the saga has failed already, so it cannot end with success")
    output = value.render(names_of(run, record))
    run.state.returned = [output]
    succeed(run, record, output)
    run.todo.append(("returned", record.path))


def probe_id(record: Record) -> str:
    """Return the id of the call that asks whether a pivot happened."""
    return str(CallId(record.path, Purpose.PROBE, key=record.key))


def _begin_call(run: Run, step: Step, record: Record, *, keeps_input: bool) -> None:
    body = step.body
    assert isinstance(body, Call)
    is_pivot = step.pivot and run.forward and not run.state.pivot_passed
    if is_pivot and run.state.failure is not None:
        raise Mistake(CANCELLED, "the saga has failed already, so its pivot does not begin")
    names = names_in(run.saga, run.state, record)
    if not record.given and not keeps_input:
        record.input = None if body.input is None else body.input.render(names)
    if isinstance(body, ActivityCall):
        if body.name is not None:
            _choose(body, record, names)
    elif isinstance(body, Send) and not (keeps_input and record.to):
        record.to = calls.receiver(run, body, names)
    if step.compensation is not None and run.forward:
        register(run, step, record, names)
    arguments = (record.input,) if record.given or body.input is not None else ()
    command: Any
    if isinstance(body, ActivityCall):
        if body.timeouts.settle is not None:
            unheard.prepare(run, step, record, body.timeouts.settle, names)
        command = calls.activity(body, record.call_id, arguments, names,
            summary=step.description or record.path, patient=_is_patient(run, step),
            name=calls.chosen(body, record),
            settles=record.unheard is not None and not body.local,
        )  # fmt: skip
    elif isinstance(body, Send):
        command = calls.send(body, record.call_id, record.to, arguments, names)
    else:
        wants_journal = step.compensation is not None and step.compensation.auto
        command = calls.child(
            run, body, record.call_id, record.input, names, summary=record.path, journal=wants_journal
        )
        command = own_life.with_own_life(run, body, command, record, names)
    record.outcome = Outcome.UNKNOWN  # until somebody says how it ended
    if is_pivot:
        run.state.pivot_at = record.path
    run.call(command.call_id, record.path, command)


def _choose(body: Call, record: Record, names: dict[str, Any]) -> None:
    """Note which activity a call calls, if an expression gives its name. A repeated call keeps its activity."""
    if isinstance(body, ActivityCall) and body.name is not None and record.activity not in body.one_of:
        record.activity = calls.activity_name(body, names)


def register(run: Run, step: Step, record: Record, names: dict[str, Any]) -> None:
    """Make the record of a step's compensation before the step itself is scheduled. R4, R15."""
    assert step.compensation is not None
    frame = run.state.frames[record.frame]
    visible: dict[str, Any] = {}
    if not names.keys() <= _EVERYWHERE:
        visible = {name: value for name, value in names.items() if name not in _EVERYWHERE}
        if STATE in visible and not any(calls.reads_name(each, STATE) for each in step.compensation.actions):
            del visible[STATE]  # it may be large, and each step of each round would keep one
    began, body = record.started_at, step.body
    saga_view = names["saga"] if began == run.state.now else SagaView(run.saga, run.state, began)
    about = {"input": record.input, "idempotency_key": names["idempotency_key"]}
    if called := calls.chosen(body, record):
        about["activity"] = called
    early_names = names | {"saga": saga_view, "step": about}
    undo = Undo(loops=frame.loops, variables=visible)
    actions = step.compensation.actions
    for index, action in enumerate(actions):
        several = index if len(actions) > 1 else None
        early_names["idempotency_key"] = undo_key(run.state.caller, record.path, several, record.key)
        undo.early.append(calls.render_early(action, step.id, early_names))
    record.undo = undo
    run.state.undoable.pop(record.path, None)  # begun again, it is the newest
    run.state.undoable[record.path] = True


def ensure_undo(run: Run, record: Record) -> None:
    """Make the record of the compensation of a step whose call has not begun, and that counts as done all the same.

    What cannot be computed now is computed when the step is undone; a mistake never drops the record (R15).
    """
    step = run.step(record)
    if step.compensation is None or record.undo is not None or not run.forward:
        return
    try:
        names = names_of(run, record)
        if isinstance(step.body, Call):
            _choose(step.body, record, names)
        register(run, step, record, names)
    except (ExpressionError, Mistake):
        record.undo = Undo(early=[{} for _ in step.compensation.actions], loops=run.state.frames[record.frame].loops)
        run.state.undoable[record.path] = True


def _begin_wait(run: Run, body: WaitFor, record: Record) -> None:
    if (kept := waits.first_kept(run.saga, run.state, body, record)) is not None:
        succeed(run, record, body.output_of(*kept))
        return
    limit = calls.duration(body.timeout, names_of(run, record), "timeout")
    for signal in body.signals:
        run.state.waiting.setdefault(signal, []).append(record.path)
    if limit is not None:
        run.set_timer(record.path, run.state.now + limit.total_seconds(), f"signal {body.either} for {record.path}")


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
                path = handler_path(record.path)
                opened = _open(run, record, FrameKind.SEQUENCE, body=HandlerSteps(index), path=path)
                opened.variables = {"error": failure_view(error)}
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
        message = _text(handler.raises.message.render(names_of(run, record) | {"error": failure_view(before)}))
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
            return Error(rule.type, _text(message), record.path)
    return None


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
