"""Frames: the order in which steps begin, the end of a block, and what cancels what. Replay-critical."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, assert_never

from sagadsl.engine import ends, limits, loops, steps, undo
from sagadsl.engine.chunks import unpack, waiting
from sagadsl.engine.error_scope import is_final
from sagadsl.engine.facts import Cancel, Error
from sagadsl.engine.journal import ArmSteps, Closing, Frame, FrameKind, HandlerSteps, Phase
from sagadsl.engine.records import Progress, Record
from sagadsl.engine.run import BEHIND_PIVOT, Run, error_of
from sagadsl.engine.scope import names_of, scope
from sagadsl.language.calls import SagaCall
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Branching, ForEach, Group, Leaf, Parallel, Repeat, Step, Switch
from sagadsl.language.own_errors import COMPENSATION_FAILED, SAGA_TIMEOUT
from sagadsl.language.paths import ROOT, TimerKind, branch_in, handler_path, path_in, timer


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
    if run.state.migrating and not run.may_start("advance", frame.path):  # the new definition may have more steps (R75)
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
        limit = loops.limit(frame, block.max_concurrency)
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


def is_over(run: Run, frame: Frame) -> bool:
    """Whether nothing in a sequence runs any more, and nothing begins."""
    return not frame.open and (frame.closing is not None or frame.cursor >= len(body_of(run, frame)))


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
    run.open(loops.round_of(run, frame, index))


def _complete(run: Run, frame: Frame, record: Record, block: Branching) -> bool:
    """End a block early when its ``complete_when`` holds; a condition that cannot be computed fails it."""
    assert block.complete_when is not None
    total = len(block.steps) if isinstance(block, Parallel) else len(frame.items or ())
    names = names_of(run, record) | {
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
    owner = run.state.records[frame.owner]
    if not run.may_start("advance", frame.path):
        return
    if not frame.cursor and _is_over_at_once(run, frame, owner):
        finish(run, frame)
    else:
        run.open(loops.round_of(run, frame, frame.cursor))


def _is_over_at_once(run: Run, frame: Frame, owner: Record) -> bool:
    body = run.step(owner).body
    assert isinstance(body, Repeat)
    try:
        if not loops.is_over(frame, body, names_of(run, owner)):
            return False
        frame.closing = Closing.EARLY
    except ExpressionError as mistake:
        frame.failure, frame.closing = error_of(mistake, owner.path), Closing.FAILED
    return True


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
        run.fail_with(error)
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
    state.cancelled = state.failure is None and why == ends.SAGA_CANCELLED
    run.fail_with(why)
    state.phase = Phase.SETTLING
    close(run, state.frames[ROOT], Closing.CANCELLED)


def end_early(run: Run) -> None:
    """End the saga with what a step has returned: ask everything that still runs to stop, and let it settle. R110.

    What stops the saga before all has settled wins: the saga is not over yet. A branch that has failed in the same
    moment, and with it the saga, wins too.
    """
    root = run.state.frames[ROOT]
    if root.closing is None and run.state.failure is None:
        close(run, root, Closing.EARLY)


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
    if record.next_try is not None and path in state.unwinds:  # what it did is undone first
        record.cancel_asked = True
        return
    if record.progress is Progress.PAUSED:
        if path == state.pivot_at:  # R43: a person has to say whether the pivot happened
            return
        error = run.decided(path)
        if not state.pivot_passed:
            run.note(error)
        run.end(record, Progress.CANCELLED)
        return
    handler = state.frames.get(handler_path(path))
    if handler is not None:
        close(run, handler, Closing.CANCELLED)
    elif path in state.frames:
        close(run, state.frames[path], Closing.CANCELLED)
    elif record.call_id in state.calls:
        record.cancel_asked = True
        run.commands.append(Cancel(record.call_id, _is_abandoned(run, record)))
    elif ends.probe_id(record) not in state.calls:
        ends.stop_waiting(run, record)
        run.drop_timer(timer(path, TimerKind.AGAIN))
        run.end(record, Progress.CANCELLED)


def _is_abandoned(run: Run, record: Record) -> bool:
    """Whether a stop leaves the step's child saga alone. One whose own time is over has been asked to end. R116."""
    body = run.step(record).body
    return isinstance(body, SagaCall) and body.abandons and record.path != run.state.pivot_at and not record.expired


def time_is_over(run: Run, path: str) -> None:
    """Ask a block or a child saga whose time is over to end, and what runs in it; it fails when it has settled. R93."""
    state, record = run.state, run.state.records[path]
    frame = state.frames.get(path)
    if frame is None:
        if record.call_id in state.calls and not record.cancel_asked:
            record.expired = True
            run.commands.append(Cancel(record.call_id))
    elif frame.closing is None:
        if frame.failure is None:
            frame.failure = limits.reached(path)
        else:
            run.note(limits.reached(path))
        close(run, frame, Closing.FAILED)


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
    try:
        output = _block_output(run, frame, record)
    except ExpressionError as mistake:
        output = None
        if frame.closing in (None, Closing.EARLY):
            frame.failure, frame.closing = error_of(mistake, record.path), Closing.FAILED
        else:
            run.note(error_of(mistake, record.path))
    else:
        record.output, record.has_output = output, run.step(record).output is not None
    del run.state.frames[frame.path]
    match frame.closing:
        case None | Closing.EARLY:
            ends.succeed(run, record, output)
        case Closing.FAILED:
            assert frame.failure is not None
            ends.fail(run, record, frame.failure)
        case _:
            run.end(record, Progress.CANCELLED)


def _block_output(run: Run, frame: Frame, record: Record) -> Any:
    """Return what a block gives: what its ``output`` says, however it ended; else, if it ended well, its outputs."""
    said = run.step(record).output
    if said is None:
        return outputs(run, frame) if frame.closing in (None, Closing.EARLY) else None
    names = scope(run.saga, run.state, frame, lenient=True)
    return said.render({**names, "output": outputs(run, frame)})


def _handler_over(run: Run, frame: Frame, index: int) -> None:
    record = run.state.records[frame.owner]
    del run.state.frames[frame.path]
    if frame.closing is None:
        ends.handled(run, record, index)
    elif frame.closing is Closing.FAILED:
        run.note(frame.failure)
        ends.fail_for_good(run, record)
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
        loops.round_ended(run, frame, round_, outputs(run, round_))
    elif round_.closing is None:
        index = str(round_.loops[owner.step])
        frame.ended.append(index)
        frame.outputs[index] = outputs(run, round_)
        _remember(run, frame, round_, owner)
    state.frames.pop(round_.path, None)
    run.todo.append(("advance", frame.path))


def _remember(run: Run, frame: Frame, round_: Frame, owner: Record) -> None:
    """Change the state of a loop over items after a round; what cannot be computed fails the loop."""
    body = run.step(owner).body
    assert isinstance(body, ForEach)
    try:
        loops.remember(run, frame, round_, body)
    except ExpressionError as mistake:
        frame.failure = error_of(mistake, owner.path)
        close(run, frame, Closing.FAILED)


def outputs(run: Run, frame: Frame) -> Any:
    """Return the output of a block: outputs by step id, or for ``for_each`` a list in the order of the items."""
    if frame.kind is FrameKind.REPEAT:
        return frame.outputs
    if frame.kind is FrameKind.LOOP:
        return [frame.outputs[key] for key in sorted(frame.ended, key=int)]
    if frame.kind is FrameKind.PARALLEL:
        return {step.id: frame.outputs[step.id] for step in body_of(run, frame) if step.id in frame.outputs}
    return outputs_of(run, frame, body_of(run, frame))


def outputs_of(run: Run, frame: Frame, inside: Sequence[Step]) -> dict[str, Any]:
    """Return the outputs of the steps of a sequence by step id."""
    found = ((step.id, run.state.records.get(path_in(frame.path, step.id))) for step in inside)
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
