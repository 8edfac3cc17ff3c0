"""Frames: the order in which steps begin, the end of a block, and what cancels what. Replay-critical."""

from __future__ import annotations

from typing import Any, Literal, assert_never

from sagadsl.engine import calls, steps, undo
from sagadsl.engine.chunks import unpack, waiting
from sagadsl.engine.error_scope import is_final
from sagadsl.engine.facts import Cancel, Error
from sagadsl.engine.journal import ArmSteps, Closing, Frame, FrameKind, HandlerSteps, Phase, Progress, Record
from sagadsl.engine.run import BEHIND_PIVOT, Mistake, Run, error_of
from sagadsl.engine.scope import scope
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import (
    Branching,
    ForEach,
    Group,
    Leaf,
    Parallel,
    Repeat,
    Step,
    Switch,
)
from sagadsl.language.own_errors import COMPENSATION_FAILED, REPEAT_EXHAUSTED, SAGA_TIMEOUT
from sagadsl.language.paths import ROOT, branch_in, handler_path, path_in, probe_path, round_path


def body_of(run: Run, frame: Frame) -> tuple[Step, ...]:
    """Return the steps that a frame runs."""
    if not frame.owner:
        return run.saga.on_failure if frame.body == "on_failure" else run.saga.steps
    step = run.step(run.state.records[frame.owner])
    match frame.body:
        case HandlerSteps(index):
            return step.on_error[index].steps
        case "steps" | ArmSteps():
            return _own_steps(step, frame.body)
        case "on_failure":
            raise AssertionError("no step has `on_failure`")
        case _:
            assert_never(frame.body)


def _own_steps(step: Step, which: Literal["steps"] | ArmSteps) -> tuple[Step, ...]:
    assert not isinstance(step.body, Leaf)
    match step.body:
        case Switch(arms):
            assert isinstance(which, ArmSteps)
            return arms[which.index].steps
        case Group(steps) | Parallel(steps) | ForEach(steps=steps) | Repeat(steps=steps):
            return steps
        case _:
            assert_never(step.body)


def advance(run: Run, frame: Frame) -> None:
    """Let a frame do what it can do now: begin steps, or end."""
    if frame.closing is not None:
        if not frame.open and frame.path not in run.state.unwinds:
            finish(run, frame)
        return
    match frame.kind:
        case FrameKind.SEQUENCE:
            _advance_sequence(run, frame)
        case FrameKind.PARALLEL | FrameKind.LOOP:
            _advance_branches(run, frame)
        case FrameKind.REPEAT:
            _advance_repeat(run, frame)
        case _:
            assert_never(frame.kind)


def _advance_sequence(run: Run, frame: Frame) -> None:
    if frame.open:
        return
    body = body_of(run, frame)
    if frame.cursor >= len(body):
        finish(run, frame)
    elif run.may_start("advance", frame.path):
        frame.cursor += 1
        steps.start(run, frame, body[frame.cursor - 1])


def _advance_branches(run: Run, frame: Frame) -> None:
    record = run.state.records[frame.owner]
    block = _branch_set(run, frame)
    if block.complete_when is not None and (frame.ended or frame.failed) and _complete(run, frame, record, block):
        return
    # After a failure, `wait` lets the running branches end and begins no other, unless the rest may still be enough.
    if frame.failure is None or block.complete_when is not None:
        limit = block.max_concurrency
        while limit is None or len(frame.open) < limit:
            begin = _next_branch(frame, block)
            if begin is None:
                break
            if not run.may_start("advance", frame.path):
                return
            _start_branch(run, frame, block, begin)
    if not frame.open:
        if frame.failure is not None:
            frame.closing = Closing.FAILED
        finish(run, frame)


def _branch_set(run: Run, frame: Frame) -> Branching:
    block = run.step(run.state.records[frame.owner]).body
    assert isinstance(block, Branching)
    return block


def _next_branch(frame: Frame, block: Branching) -> int | None:
    """Return the number of the next branch that may begin: in order, except for branches that need others."""
    if isinstance(block, ForEach):
        assert frame.items is not None
        return frame.cursor if frame.cursor < len(frame.items) else None
    for index in range(frame.cursor, len(block.steps)):
        step = block.steps[index]
        if step.id in frame.begun:
            if index == frame.cursor:
                frame.cursor += 1
        elif all(need in frame.done for need in step.needs):
            return index
    return None


def _start_branch(run: Run, frame: Frame, block: Branching, index: int) -> None:
    if isinstance(block, Parallel):
        frame.begun[block.steps[index].id] = True
        steps.start(run, frame, block.steps[index])
        return
    assert frame.items is not None
    frame.cursor = index + 1
    owner = run.state.records[frame.owner]
    round_ = _round(frame, owner, index)
    round_.variables = {block.variable: frame.items[index], "item_index": index}
    run.open(round_)


def _round(frame: Frame, owner: Record, index: int) -> Frame:
    path = round_path(frame.path, index)
    frame.open[path] = True
    return Frame(
        path, FrameKind.SEQUENCE, frame.owner, "steps", parent=frame.path, loops={**frame.loops, owner.step: index}
    )


def _complete(run: Run, frame: Frame, record: Record, block: Branching) -> bool:
    """End a block early when its ``complete_when`` holds; a condition that cannot be computed fails it."""
    assert block.complete_when is not None
    total = len(block.steps) if isinstance(block, Parallel) else len(frame.items or ())
    names = steps.names_of(run, record) | {
        "completed": len(frame.ended),
        "failed": frame.failed,
        "total": total,
    }
    if any(chain[0] == "outputs" for chain in block.complete_when.reads):  # a list as long as the block
        names["outputs"] = [frame.outputs[key] for key in frame.ended]
    try:
        if not block.complete_when.render(names):
            return False
    except ExpressionError as mistake:
        frame.failure = error_of(mistake, record.path)
        close(run, frame, Closing.FAILED)
        return True
    close(run, frame, Closing.EARLY)
    return True


def _advance_repeat(run: Run, frame: Frame) -> None:
    if frame.open or frame.path in run.state.timers:
        return
    if run.may_start("advance", frame.path):
        round_ = _round(frame, run.state.records[frame.owner], frame.cursor)
        round_.variables = {"item_index": frame.cursor}
        frame.cursor += 1
        run.open(round_)


def ended(run: Run, record: Record) -> None:
    """Handle the end of a step in its frame."""
    frame = run.state.frames.get(record.frame)
    if frame is None:
        return
    frame.open.pop(record.path, None)
    well = record.handled or record.progress in (Progress.COMPLETED, Progress.SKIPPED)
    if well and frame.kind is FrameKind.PARALLEL and frame.closing is None:
        frame.done[record.step] = True
        if record.has_output:
            frame.ended.append(record.step)
            frame.outputs[record.step] = record.output
    elif not well and record.progress is Progress.FAILED:
        _child_failed(run, frame, record.error)
    run.todo.append(("advance", frame.path))


def _child_failed(run: Run, frame: Frame, error: Error | None) -> None:
    frame.failed += 1
    if frame.closing is not None:
        return
    assert error is not None
    if is_final(run, frame, error):
        run.doom(error)
    if frame.failure is None:
        frame.failure = error
    else:
        run.note(error)  # R39: the first in history order is the failure
    if (
        run.state.stopped
        or frame.kind not in (FrameKind.PARALLEL, FrameKind.LOOP)
        or _branch_set(run, frame).cancel_on_failure
    ):
        close(run, frame, Closing.FAILED)


def stop(run: Run, why: Error) -> None:
    """Stop the whole saga and let it settle; *why* becomes its failure, unless it has one already. R9, R23, R25.

    When a person stops a paused saga, the pause ends. A full history ends it too, since there is no room to wait. A
    timer does not: a saga that an operator has paused begins nothing, also no undo, until somebody resumes it.
    """
    state = run.state
    state.pending_stop = None
    if state.rules < 2 or why.type != SAGA_TIMEOUT:
        state.paused = False
    state.cancelled = state.failure is None and why == steps.SAGA_CANCELLED
    run.doom(why)
    state.phase = Phase.SETTLING
    close(run, state.frames[ROOT], Closing.CANCELLED)


def close(run: Run, frame: Frame, why: Closing) -> None:
    """Begin nothing more in a frame, ask everything that runs in it to stop, and wait for it. R12, R38."""
    if frame.closing is None or why is Closing.CANCELLED:
        if why is Closing.CANCELLED:
            run.note(frame.failure)
        frame.closing = why
    run.drop_timer(frame.path)
    for child in list(frame.open):
        cancel(run, child)
    run.todo.append(("advance", frame.path))


def cancel(run: Run, path: str) -> None:
    """Ask the step or the round at *path* to stop."""
    state = run.state
    record = state.records.get(path)
    if record is None:
        close(run, state.frames[path], Closing.CANCELLED)
        return
    if record.ended:
        return
    if record.progress is Progress.PAUSED:
        if path == state.pivot_at:  # R43: a person has to say whether the pivot happened
            return
        state.attention.pop(path, None)
        run.end(record, Progress.CANCELLED)
        return
    handler = state.frames.get(handler_path(path))
    if handler is not None:
        close(run, handler, Closing.CANCELLED)
    elif path in state.frames:
        close(run, state.frames[path], Closing.CANCELLED)
    elif steps.call_id(record) in state.calls:
        record.cancel_asked = True
        run.commands.append(Cancel(steps.call_id(record)))
    elif probe_path(path) not in state.calls:
        steps.stop_waiting(run, record)
        run.end(record, Progress.CANCELLED)


def finish(run: Run, frame: Frame) -> None:
    """Close a frame for good, and tell the step or frame that waits for it."""
    if frame.parent is not None:
        _round_over(run, frame)
    elif isinstance(frame.body, HandlerSteps):
        _handler_over(run, frame, frame.body.index)
    elif not frame.owner:
        run.todo.append(("over", frame.path))
    else:
        _block_over(run, frame)


def _block_over(run: Run, frame: Frame) -> None:
    record = run.state.records[frame.owner]
    if frame.closing is Closing.EARLY and _undo_losers(run, frame, record):
        return
    output = outputs(run, frame) if frame.closing in (None, Closing.EARLY) else None
    del run.state.frames[frame.path]
    match frame.closing:
        case None | Closing.EARLY:
            steps.succeed(run, record, output)
        case Closing.FAILED:
            assert frame.failure is not None
            steps.fail(run, record, frame.failure)
        case _:
            run.end(record, Progress.CANCELLED)


def _handler_over(run: Run, frame: Frame, index: int) -> None:
    record = run.state.records[frame.owner]
    del run.state.frames[frame.path]
    if frame.closing is None:
        steps.handled(run, record, index)
    elif frame.closing is Closing.FAILED:
        run.note(frame.failure)
        steps.fail_for_good(run, record)
    else:
        run.note(record.error)
        run.end(record, Progress.CANCELLED)


def _round_over(run: Run, round_: Frame) -> None:
    state = run.state
    assert round_.parent is not None
    frame = state.frames[round_.parent]
    frame.open.pop(round_.path, None)
    owner = state.records[frame.owner]
    if round_.closing is Closing.FAILED:
        _child_failed(run, frame, round_.failure)
    elif round_.closing is None and frame.kind is FrameKind.REPEAT:
        _repeat_again(run, frame, round_, owner)
    elif round_.closing is None:
        index = str(round_.loops[owner.step])
        frame.ended.append(index)
        frame.outputs[index] = outputs(run, round_)
    state.frames.pop(round_.path, None)
    run.todo.append(("advance", frame.path))


def _repeat_again(run: Run, frame: Frame, round_: Frame, owner: Record) -> None:
    body = run.step(owner).body
    assert isinstance(body, Repeat)
    try:
        names = scope(run.saga, run.state, round_)
        if body.until.render(names):
            frame.outputs = outputs(run, round_)
            frame.closing = Closing.EARLY
        elif body.maximum_attempts is not None and frame.cursor >= body.maximum_attempts:
            raise Mistake(REPEAT_EXHAUSTED, f"`until` did not hold in {frame.cursor} rounds")
        elif body.every is not None:
            pause = calls.duration(body.every, names, "every")
            assert pause is not None
            run.set_timer(frame.path, run.state.now + pause.total_seconds(), f"next round of {owner.path}")
    except (ExpressionError, Mistake) as mistake:
        frame.failure = error_of(mistake, owner.path)
        frame.closing = Closing.FAILED


def outputs(run: Run, frame: Frame) -> Any:
    """Return the output of a block: outputs by step id, or for ``for_each`` a list in the order of the items."""
    if frame.kind is FrameKind.REPEAT:
        return frame.outputs
    if frame.kind is FrameKind.LOOP:
        return [frame.outputs[key] for key in sorted(frame.ended, key=int)]
    if frame.kind is FrameKind.PARALLEL:
        return {step.id: frame.outputs[step.id] for step in body_of(run, frame) if step.id in frame.outputs}
    found = ((step.id, run.state.records.get(path_in(frame.path, step.id))) for step in body_of(run, frame))
    return {name: record.output for name, record in found if record is not None and record.has_output}


def _undo_losers(run: Run, frame: Frame, record: Record) -> bool:
    """Begin to undo what the losers of ``complete_when`` have done; false when there is nothing to undo. R40."""
    block = run.step(record).body
    if not isinstance(block, Branching) or block.keep_remaining:
        return False
    losers = []
    of_the_first_time = bool(record.repeats) and run.state.rules >= BEHIND_PIVOT
    for packed in [each for each in waiting(run.state) if each.last > record.began or of_the_first_time]:
        unpack(run, packed)
    for path in reversed(run.state.undoable):
        if run.state.records[path].began < record.began and not record.repeats:
            break  # anything older belongs to another block, unless an operator had this one repeated
        branch = branch_in(frame.path, path)
        if branch is not None and branch not in frame.outputs:  # `outputs` holds all branches that ended well
            losers.append(path)
    losers.reverse()
    return undo.begin(run, frame.path, losers)


def losers_undone(run: Run, frame: Frame, failed: bool) -> None:
    """Go on after the losers of a block have been undone; if one could not be undone, the block fails."""
    if failed and frame.closing is Closing.EARLY:
        frame.closing = Closing.FAILED
        frame.failure = Error(COMPENSATION_FAILED, f"what `{frame.path}` left behind could not be undone", frame.path)
    run.todo.append(("advance", frame.path))
