"""How a closed saga is opened again where it stood: its blocks, as they were when they ended. R45. Replay-critical.

What ended well is kept, and the saga goes on from the first step that did not.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import assert_never

from sagadsl.engine import blocks, limits, loops, tries
from sagadsl.engine.calls import duration
from sagadsl.engine.journal import ArmSteps, Closing, Frame, FrameBody, FrameKind, Phase, State
from sagadsl.engine.records import Progress, Record, UndoProgress
from sagadsl.engine.run import TIMEOUT_TIMER, Mistake, Run, error_of
from sagadsl.engine.scope import names_of, scope
from sagadsl.language.expressions.data import kind
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Arm, Block, ForEach, Group, Leaf, Loop, Parallel, Repeat, Step, Switch
from sagadsl.language.own_errors import EXPRESSION_ERROR
from sagadsl.language.paths import ROOT, branch_in, is_on_failure, path_in, rounds_in

_TRIED_TO_UNDO = (UndoProgress.DONE, UndoProgress.FAILED, UndoProgress.SKIPPED)
"""How it ends when a step is undone; if it has failed, nobody knows whether the step still stands."""


def go_forward(run: Run) -> None:
    """Open a closed saga again at its first step that did not end well."""
    state = run.state
    before, state.failure = state.failure, None
    run.note(before)
    state.phase, state.stopped, state.cancelled = Phase.FORWARD, False, False
    state.pending_stop, state.pivot_at = None, ""
    _forget_alarms(run)
    tries.begin_stopped(run)
    root = Frame(ROOT, FrameKind.SEQUENCE, "", "steps")
    run.open(root)
    begin_timeout(run)
    _go_on(run, root, run.saga.steps)


def _forget_alarms(run: Run) -> None:
    """Let ``on_failure`` run once more if the saga fails once more, under keys of its own. R65."""
    state = run.state
    ran = {path: record for path, record in state.records.items() if is_on_failure(path)}
    numbers = {record.step: record.repeats for record in ran.values()}
    for key in list(state.gone):  # rounds that nobody knows one by one any more
        id_ = key.partition(" ")[0]
        place = run.saga.places.get(id_)
        if place is not None and place.is_on_failure:
            numbers.setdefault(id_, 0)
            del state.gone[key]
    for path in ran:
        del state.records[path]
    for id_, number in numbers.items():
        state.anew[id_] = max(state.anew.get(id_, 0), number) + 1


def begin_timeout(run: Run) -> None:
    """Begin the saga's timeout anew: who lets a saga go on wants it to have its time."""
    if run.saga.timeout is None:
        return
    root = run.state.frames[ROOT]
    try:
        limit = duration(run.saga.timeout, scope(run.saga, run.state, root), "timeout")
    except (ExpressionError, Mistake):
        return  # it could be computed when the saga began, from the same data
    assert limit is not None
    run.set_timer(TIMEOUT_TIMER, run.state.now + limit.total_seconds(), f"timeout of {run.saga.name}")


def ended_well(record: Record) -> bool:
    """Whether the steps behind a step may go on from its end: it ended well, and nobody has undone it since."""
    return not _was_undone(record) and (record.handled or record.progress in (Progress.COMPLETED, Progress.SKIPPED))


def _was_undone(record: Record) -> bool:
    """Whether a step was undone, or may have been."""
    return record.undo is not None and record.undo.progress in _TRIED_TO_UNDO


def _go_on(run: Run, frame: Frame, inside: tuple[Step, ...]) -> None:
    """Put a sequence at its first step that did not end well; if that one is a block, open it."""
    for index, step in enumerate(inside):
        record = run.state.records.get(path_in(frame.path, step.id))
        if record is not None and ended_well(record):
            continue
        frame.cursor = index
        if record is not None and _can_open(run.state, step, record):
            frame.cursor += 1
            _open(run, frame, step, record)
        return
    frame.cursor = len(inside)


def _can_open(state: State, step: Step, record: Record) -> bool:
    """Whether a block has begun steps to go on from; otherwise it begins as a whole."""
    if not isinstance(step.body, Block):
        return False
    inside = [each for path, each in state.records.items() if branch_in(record.path, path) is not None]
    if isinstance(step.body, Repeat) or (isinstance(step.body, ForEach) and step.body.max_concurrency == 1):
        return bool(inside) and not any(_was_undone(each) for each in inside)  # one round goes on, never several
    return bool(inside)


def _open(run: Run, around: Frame, step: Step, record: Record) -> None:
    """Open a block again as it was when it ended: what ended well in it is kept."""
    record = run.state.records[record.path] = replace(  # others may share a record that has ended
        record,
        progress=Progress.RUNNING,
        ended=0,
        ended_at=None,
        error=None,
        handled=False,
        cancel_asked=False,
        output=None,
        has_output=False,
    )
    around.open[record.path] = True
    body = step.body
    assert not isinstance(body, Leaf)
    match body:
        case Group(inside):
            frame = _frame(run, around, record, FrameKind.SEQUENCE)
            _go_on(run, frame, inside)
        case Switch(arms):
            arm = _arm(run.state, record, arms)
            frame = _frame(run, around, record, FrameKind.SEQUENCE, ArmSteps(arm))
            _go_on(run, frame, arms[arm].steps)
        case Parallel(inside):
            frame = _frame(run, around, record, FrameKind.PARALLEL)
            _open_branches(run, frame, inside)
        case ForEach():
            frame = _frame(run, around, record, FrameKind.LOOP)
            _open_loop(run, frame, body, record)
        case Repeat():
            frame = _frame(run, around, record, FrameKind.REPEAT)
            _open_loop(run, frame, body, record)
        case _:
            assert_never(body)
    with suppress(ExpressionError, Mistake):  # it could be computed before; otherwise it has none any more
        limits.begin(run, step, record)
    with suppress(ExpressionError, Mistake):  # otherwise its bound counts
        frame.limit = loops.computed_limit(body, names_of(run, record, record.started_at))
    run.open(frame)


def _frame(run: Run, around: Frame, record: Record, kind: FrameKind, body: FrameBody = "steps") -> Frame:
    """Return the frame of a block. It is known at once, since what is in it reads the names around it."""
    frame = Frame(record.path, kind, record.path, body, loops=around.loops)
    run.state.frames[frame.path] = frame
    return frame


def _arm(state: State, record: Record, arms: tuple[Arm, ...]) -> int:
    for index, arm in enumerate(arms):
        if any(path_in(record.path, step.id) in state.records for step in arm.steps):
            return index
    return 0


def _open_branches(run: Run, frame: Frame, inside: tuple[Step, ...]) -> None:
    known = [(step, run.state.records.get(path_in(frame.path, step.id))) for step in inside]
    begun = [(step, record) for step, record in known if record is not None]
    for step, record in sorted(begun, key=lambda each: each[1].ended):
        if ended_well(record):
            frame.begun[step.id] = frame.done[step.id] = True
            if record.has_output:
                frame.ended.append(step.id)
                frame.outputs[step.id] = record.output
        elif _can_open(run.state, step, record):
            frame.begun[step.id] = True
            _open(run, frame, step, record)


def _open_loop(run: Run, frame: Frame, body: Loop, record: Record) -> None:
    """Open the rounds of a loop; what cannot be computed, such as its ``next``, fails the loop once more."""
    try:
        if isinstance(body, ForEach):
            _open_items(run, frame, body, record)
        else:
            _open_rounds(run, frame, body, record)
    except ExpressionError as mistake:
        frame.failure, frame.closing = error_of(mistake, record.path), Closing.FAILED


def _open_items(run: Run, frame: Frame, body: ForEach, record: Record) -> None:
    try:
        names = names_of(run, record, record.started_at)
        items, frame.variables = body.items.render(names), loops.first(body, names)
        if not isinstance(items, list):
            raise Mistake(EXPRESSION_ERROR, f"`items` must give a list, found {kind(items)}")
    except (ExpressionError, Mistake):
        items = []  # it gave a list before, from the same data
    frame.items = items
    for index in rounds_begun(run.state, record):
        round_ = _round(run, frame, index, body)
        if round_ is not None:
            frame.ended.append(str(index))
            frame.outputs[str(index)] = blocks.outputs_of(run, round_, body.steps)
            loops.remember(run, frame, round_, body)


def _open_rounds(run: Run, frame: Frame, body: Repeat, record: Record) -> None:
    frame.variables = loops.first(body, names_of(run, record, record.started_at))
    rounds = rounds_begun(run.state, record)
    for index in rounds if body.memory is not None else rounds[-1:]:
        round_ = _round(run, frame, index, body)
        if round_ is not None:  # the loop was not over after it: another round follows
            loops.remember(run, frame, round_, body)


def _round(run: Run, frame: Frame, index: int, body: Loop) -> Frame | None:
    """Open a round again at its first step that did not end well; return the round if all of its steps ended well."""
    round_ = loops.round_of(run, frame, index)
    run.state.frames[round_.path] = round_
    _go_on(run, round_, body.steps)
    if round_.cursor < len(body.steps) or round_.open:
        run.open(round_)
        return None
    del frame.open[round_.path], run.state.frames[round_.path]
    return round_


def rounds_begun(state: State, record: Record) -> list[int]:
    """Return the numbers of the rounds of a loop that have begun."""
    found = {index for path in state.records for loop, index, _ in rounds_in(path) if loop == record.path}
    return sorted(found)
