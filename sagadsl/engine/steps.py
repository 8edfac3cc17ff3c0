"""How a step begins: by its kind, or with the call that it makes. Replay-critical.

Nothing here looks at the steps beside it. How a step ends is in ``ends``.
"""

from __future__ import annotations

import math
from typing import Any, assert_never

from sagadsl.engine import anew, calls, ends, limits, loops, own_life, unheard, waits
from sagadsl.engine.chunks import begun
from sagadsl.engine.facts import Error, Outcome
from sagadsl.engine.journal import ArmSteps, Frame, FrameBody, FrameKind
from sagadsl.engine.records import Progress, Record, Undo, UndoProgress
from sagadsl.engine.run import BEHIND_PIVOT, OUTPUT_BYTES, STEP_WORK, Mistake, Run, error_of
from sagadsl.engine.scope import STATE, SagaView, names_in, names_of
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
from sagadsl.language.own_errors import CANCELLED, EXPRESSION_ERROR, NO_MATCHING_CASE, PAYLOAD_TOO_LARGE
from sagadsl.language.paths import path_in, undo_key

_EVERYWHERE = frozenset(("steps", "saga", "input", "failure", "idempotency_key"))
"""Names that are everywhere, and not variables of a block."""


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
        ends.fail(run, record, error_of(mistake, path))


def begin(run: Run, step: Step, record: Record, *, is_repeated: bool = False) -> None:
    """Begin a step by its kind. When it raises ``ExpressionError`` or ``Mistake``, nothing has begun.

    Args:
        is_repeated: A handler has the step tried again. A call has its input already, and its key stands for it.
    """
    if step.timeout is not None:
        limits.begin(run, step, record)
    match step.body:
        case ActivityCall() | SagaCall() | Send():
            _begin_call(run, step, step.body, record, keeps_input=is_repeated and isinstance(step.body, KeyedCall))
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
            ends.succeed(run, record, values.render(names_of(run, record)))
        case Fail():
            ends.fail(run, record, _own_error(run, record, step.body))
        case Return(value=value):
            _return(run, record, value)
        case Answer(value=value):
            answer = value.render(names_of(run, record))
            run.state.answer = run.state.answer or [answer]  # R103: whoever waited for the first one is gone
            ends.succeed(run, record, answer)
        case _:
            assert_never(step.body)


def _own_error(run: Run, record: Record, body: Fail) -> Error:
    names = names_of(run, record)
    given: tuple[Any, ...] = () if body.result is None else (body.result.render(names),)
    if given and (size := len(compact(given[0]))) > OUTPUT_BYTES:
        raise Mistake(PAYLOAD_TOO_LARGE, f"`result` has {size:,} bytes, at most {OUTPUT_BYTES:,} fit")
    return Error(body.type, ends.in_words(body.message.render(names)), record.path, result=given)


def _return(run: Run, record: Record, value: Value) -> None:
    """End the saga early, with success. What runs beside the step is asked to stop when the step has ended. R110."""
    if not run.forward or run.state.failure is not None:
        raise Mistake(CANCELLED, "the saga has failed already, so it cannot end with success")
    output = value.render(names_of(run, record))
    run.state.returned = [output]
    ends.succeed(run, record, output)
    run.todo.append(("returned", record.path))


def _begin_call(run: Run, step: Step, body: Call, record: Record, *, keeps_input: bool) -> None:
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
    if not _EVERYWHERE.issuperset(names):
        visible = {name: value for name, value in names.items() if name not in _EVERYWHERE}
        if STATE in visible and not any(calls.reads_name(each, STATE) for each in step.compensation.actions):
            del visible[STATE]  # it may be large, and each step of each round would keep one
    began, body = record.started_at, step.body
    saga_view = names["saga"] if began == run.state.now else SagaView(run.saga, run.state, began)
    about = {"input": record.input, "idempotency_key": names["idempotency_key"]}
    if called := calls.chosen(body, record):
        about["activity"] = called
    early_names = {**names, "saga": saga_view, "step": about}
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
        ends.succeed(run, record, body.output_of(*kept))
        return
    limit = calls.duration(body.timeout, names_of(run, record), "timeout")
    for signal in body.signals:
        run.state.waiting.setdefault(signal, []).append(record.path)
    if limit is not None:
        run.set_timer(record.path, run.state.now + limit.total_seconds(), f"signal {body.either} for {record.path}")


def _is_patient(run: Run, step: Step) -> bool:
    """R44: after the pivot a step is tried until it succeeds, unless its author says how to go on without it."""
    return run.forward and run.state.pivot_passed and all(each.then is Then.COMPENSATE for each in step.on_error)


def _open(run: Run, record: Record, kind: FrameKind, body: FrameBody = "steps") -> Frame:
    frame = Frame(record.path, kind, record.path, body, loops=run.state.frames[record.frame].loops)
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
