"""One step: how it begins, how it ends, and what its error leads to. Replay-critical.

Nothing here looks at what stands beside a step: its frame is told that it ended, and goes on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, assert_never

from sagadsl.engine import calls
from sagadsl.engine.facts import Error, Outcome, Settled
from sagadsl.engine.journal import Frame, FrameKind, Progress, Record, Undo
from sagadsl.engine.keys import forward_key, undo_key
from sagadsl.engine.run import Mistake, Run, error_of
from sagadsl.engine.scope import failure_view, scope
from sagadsl.language.expressions import ExpressionError
from sagadsl.language.model import (
    ActivityCall,
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

CANCELLED = "Cancelled"
"""Error type of a step that somebody else stopped, and of a saga that was cancelled."""


def start(run: Run, frame: Frame, step: Step) -> None:
    """Begin the next step of *frame*: its condition first, and its inputs only if that holds (F08)."""
    state = run.state
    path = f"{frame.path}/{step.id}" if frame.path else step.id
    record = Record(path, step.id, frame.path, run.tick(), state.now)
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
    """Do what a step of its kind does first. Raises ``ExpressionError`` or ``Mistake``; nothing was begun then."""
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
                raise Mistake("ExpressionError", f"`items` must give a list, found {_kind(items)}")
            _open(run, record, FrameKind.LOOP).items = items
        case Repeat():
            _open(run, record, FrameKind.REPEAT)
        case Switch(arms=arms):
            names = names_of(run, record)
            for index, arm in enumerate(arms):
                if arm.condition is None or arm.condition.render(names):
                    _open(run, record, FrameKind.SEQUENCE, body=f"arm:{index}")
                    return
            raise Mistake("NoMatchingCase", f"no case of switch `{step.id}` holds, and it has no `else`")
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
    """Return what the expressions of a forward step see."""
    names = scope(run.saga, run.state, run.state.frames[record.frame])
    names["idempotency_key"] = forward_key(run.state.saga_id, record.path)
    if run.state.failure is not None:
        names["failure"] = failure_view(run.state.failure)
    return names


def call_id(record: Record) -> str:
    """Return the id of a step's call on the host: its path, numbered when an operator had it repeated."""
    return record.path if record.repeats == 0 else f"{record.path}#{record.repeats + 1}"


def _begin_call(run: Run, step: Step, record: Record) -> None:
    body = step.body
    assert isinstance(body, ActivityCall | SagaCall)
    names = names_of(run, record)
    record.input = None if body.input is None else body.input.render(names)
    if step.compensation is not None and run.forward:
        register(run, step, record, names)
    if isinstance(body, ActivityCall):
        arguments = () if body.input is None else (record.input,)
        command: Any = calls.activity(body, call_id(record), arguments, names,
            summary=step.description or record.path, patient=run.forward and run.state.pivot_passed,
        )  # fmt: skip
    else:
        wants_journal = step.compensation is not None and step.compensation.auto
        command = calls.child(
            run, body, call_id(record), record.input, names, summary=record.path, journal=wants_journal
        )
    record.outcome = Outcome.UNKNOWN  # until somebody says how it ended
    if step.pivot:
        run.state.pivot_at = record.path
    run.call(command.call_id, record.path, command)


def register(run: Run, step: Step, record: Record, names: dict[str, Any]) -> None:
    """Make the record of a step's compensation, before the step itself is scheduled. RULES R4, R15."""
    assert step.compensation is not None
    frame = run.state.frames[record.frame]
    visible = {name: names[name] for name in names if name not in ("steps", "saga", "input", "failure")}
    visible.pop("idempotency_key", None)
    early_names = names | {
        "step": {"input": record.input, "idempotency_key": names["idempotency_key"]},
    }
    undo = Undo(loops=frame.loops, variables=visible)
    for index, action in enumerate(step.compensation.actions):
        several = index if len(step.compensation.actions) > 1 else None
        early_names["idempotency_key"] = undo_key(run.state.saga_id, record.path, several)
        undo.early.append(calls.render_early(action, early_names))
    record.undo = undo
    run.state.undoable[record.path] = True


def _begin_wait(run: Run, body: WaitFor, record: Record) -> None:
    kept = run.state.signals.get(body.signal)
    if kept:
        payload = kept.pop(0)
        if not kept:
            del run.state.signals[body.signal]
        succeed(run, record, payload)
        return
    limit = calls.duration(body.timeout, names_of(run, record), "timeout")
    run.state.waiting.setdefault(body.signal, []).append(record.path)
    if limit is not None:
        run.set_timer(record.path, run.state.now + limit.total_seconds(), f"signal {body.signal} for {record.path}")


def stop_waiting(run: Run, record: Record) -> None:
    """Forget the timer and the place in the queue of a step that sleeps or waits."""
    run.drop_timer(record.path)
    body = run.step(record).body
    if isinstance(body, WaitFor):
        queue = run.state.waiting.get(body.signal, [])
        if record.path in queue:
            queue.remove(record.path)
        if not queue:
            run.state.waiting.pop(body.signal, None)


def settled(run: Run, record: Record, fact: Settled) -> None:
    """Take in how a forward call ended."""
    step = run.step(record)
    record.outcome, record.attempts, record.journal = fact.outcome, fact.attempts, fact.journal
    if fact.outcome is Outcome.SUCCEEDED:
        try:
            refusal = _refusal(run, step, record, fact.output)
        except (ExpressionError, Mistake) as mistake:
            fail(run, record, error_of(mistake, record.path))  # it happened, so it stays to be undone
            return
        if refusal is None:
            if step.pivot:
                pass_pivot(run)
            succeed(run, record, fact.output)
            return
        record.outcome = Outcome.FAILED
        fail(run, record, refusal)
    elif fact.cancelled and record.cancel_asked and not (step.pivot and fact.outcome is Outcome.UNKNOWN):
        if step.pivot:
            run.state.pivot_at = ""
        run.end(record, Progress.CANCELLED)
    else:
        fail(run, record, fact.error or Error(CANCELLED, "it was cancelled from outside the saga", record.path))


def pass_pivot(run: Run) -> None:
    """Go past the point of no return: what would have stopped the saga comes too late. RULES R30, R43."""
    run.state.pivot_passed, run.state.pivot_at = True, ""
    if run.state.pending_stop is not None:
        run.state.others.append(run.state.pending_stop)
        run.state.pending_stop, run.state.cancelled = None, False


def succeed(run: Run, record: Record, output: Any) -> None:
    record.output, record.has_output = output, True
    run.end(record, Progress.COMPLETED)


def fail(run: Run, record: Record, error: Error) -> None:
    """Take in a step's error: its handlers, the pivot's rules, or its frame."""
    state, step = run.state, run.step(record)
    record.error = error
    if step.pivot and record.outcome is Outcome.UNKNOWN and run.forward:
        _doubt(run, step, record, error)
        return
    if state.pivot_at == record.path:
        state.pivot_at = ""
        record.cancel_asked = record.cancel_asked or state.pending_stop is not None
    frame = state.frames[record.frame]
    if frame.closing is not None or record.cancel_asked or state.stopped:
        if not state.stopped:
            state.others.append(error)
        run.end(record, Progress.FAILED)
        return
    for index, handler in enumerate(step.on_error):
        if _takes(run, record, handler, error):
            if handler.steps:
                _open(run, record, FrameKind.SEQUENCE, body=f"handler:{index}", suffix=".on_error").variables = {
                    "error": failure_view(error)
                }
            else:
                handled(run, record, index)
            return
    if run.forward and state.pivot_passed and not _taken_outside(run, record, error):
        pause(run, record, error)  # R44: no way back, so a person decides
        return
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
            run.state.others.append(error_of(mistake, record.path))
        else:
            record.handled = record.has_output = True
    elif handler.then is Then.STOP:
        run.state.stopped = True
    run.end(record, Progress.FAILED)


def pause(run: Run, record: Record, error: Error) -> None:
    """Keep a step open until an operator decides. RULES R22."""
    record.progress = Progress.PAUSED
    run.state.attention[record.path] = error


def _doubt(run: Run, step: Step, record: Record, error: Error) -> None:
    """Nobody knows whether the pivot happened: ask its probe, or an operator. RULES R43."""
    if step.probe is None or f"{record.path}.probe" in run.state.calls:
        pause(run, record, error)
        return
    names = names_of(run, record)
    try:
        arguments = (record.input,) if step.probe.input is None else (step.probe.input.render(names),)
        command = calls.activity(
            step.probe,
            f"{record.path}.probe",
            arguments,
            names,
            summary=f"did {record.path} happen?",
            patient=False,
        )
    except (ExpressionError, Mistake) as mistake:
        run.state.others.append(error_of(mistake, record.path))
        pause(run, record, error)
        return
    run.call(command.call_id, record.path, command)


def probed(run: Run, record: Record, fact: Settled) -> None:
    """Take in what a pivot's probe found: true, false, or still nobody knows."""
    assert record.error is not None
    if fact.outcome is Outcome.SUCCEEDED and fact.output is True:
        record.outcome = Outcome.SUCCEEDED
        pass_pivot(run)
        succeed(run, record, None)
    elif fact.outcome is Outcome.SUCCEEDED and fact.output is False:
        record.outcome = Outcome.FAILED
        fail(run, record, record.error)
    else:
        if fact.error is not None:
            run.state.others.append(fact.error)
        pause(run, record, record.error)


def _refusal(run: Run, step: Step, record: Record, output: Any) -> Error | None:
    """Return the error of a result that means no: ``failed_if`` (F11)."""
    if not step.failed_if:
        return None
    names = names_of(run, record) | {"output": output}
    for rule in step.failed_if:
        if rule.condition.render(names):
            message = f"the result of `{step.id}` means no" if rule.message is None else rule.message.render(names)
            return Error(rule.type, _text(message), record.path)
    return None


def _takes(run: Run, record: Record, handler: Handler, error: Error) -> bool:
    if handler.types and error.type not in handler.types:
        return False
    if handler.condition is None:
        return True
    try:
        return bool(handler.condition.render(names_of(run, record) | {"error": failure_view(error)}))
    except ExpressionError as mistake:
        run.state.others.append(error_of(mistake, record.path))
        return False


def _taken_outside(run: Run, record: Record, error: Error) -> bool:
    """Say whether a block around the step has a handler for its error, so that it need not pause here."""
    state = run.state
    frame = state.frames[record.frame]
    while True:
        while frame.parent is not None:
            frame = state.frames[frame.parent]
        if not frame.owner:
            return False
        owner = state.records[frame.owner]
        handlers = () if frame.body.startswith("handler") else run.step(owner).on_error
        if any(not handler.types or error.type in handler.types for handler in handlers):
            return True
        frame = state.frames[owner.frame]


def _open(run: Run, record: Record, kind: FrameKind, body: str = "steps", suffix: str = "") -> Frame:
    loops = run.state.frames[record.frame].loops
    frame = Frame(record.path + suffix, kind, record.path, body, loops=loops)
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
        return float(moment)
    try:
        parsed = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise Mistake(
            "ExpressionError",
            f"`sleep_until` must be a time with its zone such as `2030-01-31T09:00:00Z`, found `{moment!r}`",
        )
    return parsed.timestamp()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _kind(value: Any) -> str:
    return {dict: "an object", str: "text", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
