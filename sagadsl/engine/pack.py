"""Packs steps that are over: small enough for continue-as-new, and with all that undoing needs. Replay-critical.

When a round is over, only a step's own compensation still reads the step. Everything that the compensation reads is
known by then, except ``failure``. So this module computes the compensation's input, and makes the step a row of a
chunk: a few bytes instead of a record. When the saga is undone, chunks are unpacked one at a time, newest first.
Steps that need no undoing are only counted. Outputs that nothing reads are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain as chain_of
from typing import Any

from sagadsl.engine import calls, unheard
from sagadsl.engine.chunks import TO_UNDO, Rows, chunk, count, done, row
from sagadsl.engine.journal import Frame, FrameKind, State
from sagadsl.engine.records import Progress, Record, UndoProgress
from sagadsl.engine.run import Mistake, Run
from sagadsl.engine.undo import is_due
from sagadsl.immutable import Immutable
from sagadsl.language.calls import Compensation
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.kinds import RenderedAt
from sagadsl.language.model import Saga
from sagadsl.language.paths import parse_call, round_path, rounds_in, step_id_in
from sagadsl.language.walk import Site, is_input, sites

_EARLY = ("input", "saga")
"""Names that mean the same whenever a compensation is rendered."""


class _Needs(Immutable):
    """The data of a saga that is still read when a step is over.

    Attributes:
        outputs: Steps whose output, or part of it, an expression may read; ``None`` means any step.
        steps: Steps whose compensation cannot be computed before the saga has failed, and the steps that such a
            compensation reads. Their records stay. ``None`` means any step.
    """

    outputs: frozenset[str] | None
    steps: frozenset[str] | None


def pack(saga: Saga, state: State, *, is_over: bool = False) -> None:
    """Make *state* small; the saga behaves the same afterwards.

    Args:
        is_over: The saga has completed: only its undoing still reads the state (R46).
    """
    needs = _needs(saga, any_output=saga.output is None and not (is_over or state.output_dropped), is_over=is_over)
    if needs.steps is None:
        return
    run = Run(saga, state)
    busy = _busy(state)
    rows: Rows = {}
    undone: Rows = {}
    last = 0
    quiet = [record for record in state.records.values() if record.ended and record.path not in busy]
    quiet = [record for record in quiet if unheard.awaited_until(state, record) is None]
    ready = [record for record in quiet if record.step not in needs.steps and _complete(run, record)]
    for record in ready:  # not before all are complete: one compensation may read another step's output
        if is_over or _round_is_over(state, record):
            last = max(last, _put_away(run, record, rows, undone))
        else:
            _strip(run, record, needs)
    if rows:
        state.chunks.append(chunk(last, rows))
    if undone:
        state.chunks.append(chunk(0, undone, undone=True))
    for frame in state.frames.values():
        _strip_frame(run, frame, needs)
    for unwind in state.unwinds.values():
        unwind.order = [path for path in unwind.order if path in state.records and path in busy]


def _needs(saga: Saga, *, any_output: bool, is_over: bool) -> _Needs:
    outputs: set[str] = set()
    steps: set[str] = set()
    late: set[str] = set()
    any_step = False
    former = (site for each in saga.former.values() for site in sites(each) if site.phase is RenderedAt.UNDO)
    for site in chain_of(sites(saga), former):
        step = site.step
        undoes = site.phase is RenderedAt.UNDO
        is_late = undoes and step is not None and _is_late(site)
        if is_late:
            assert step is not None
            late.add(step.id)
        for chain in site.value.reads:
            whole = ("outputs", RenderedAt.BRANCHES), ("output", RenderedAt.BLOCK)
            if (chain[0], site.phase) in whole and step is not None:
                outputs.add(step.id)
            if chain[0] != "steps":
                continue
            if len(chain) == 1:
                any_step, any_output = any_step or is_late, True
            elif is_late:
                steps.add(chain[1])
                outputs.add(chain[1])
            elif is_over:
                continue
            elif len(chain) == 2 or chain[2] == "output":
                outputs.add(chain[1])
    return _Needs(None if any_output else frozenset(outputs), None if any_step else frozenset(steps | late))


def kept_outputs(saga: Saga, state: State) -> Callable[[str], bool]:
    """Return a function that says whether the output of a step is kept; any other may be forgotten already."""
    needs = _needs(saga, any_output=saga.output is None and not state.output_dropped, is_over=False)
    return lambda step_id: _is_read(saga, step_id, needs)


def _is_late(site: Site) -> bool:
    """Whether a value of a compensation can be computed only when the saga is undone."""
    reads = site.value.reads
    if is_input(site):
        return any(chain[0] == "failure" or chain in (("saga",), ("saga", "run_id")) for chain in reads)
    return any(chain[0] not in _EARLY for chain in reads)


def _busy(state: State) -> frozenset[str]:
    """Return the paths of records that are still in use."""
    found = {*state.calls.values(), *state.timers, state.pivot_at}
    found |= {parse_call(path).step for path in state.attention}
    for paths in state.waiting.values():
        found.update(paths)
    for frame in state.frames.values():
        found.update((frame.owner, *frame.open))
    for unwind in state.unwinds.values():
        found.update((*unwind.pending, *unwind.running))
    return frozenset(found)


def _round_is_over(state: State, record: Record) -> bool:
    return any(round_ not in state.frames for _, _, round_ in rounds_in(record.path))


def _complete(run: Run, record: Record) -> bool:
    """Compute the compensation's input as of the end of its step (R14); false when that is not possible."""
    undo, compensation = record.undo, run.step_to_undo(record).compensation
    if undo is None or compensation is None or undo.progress is not UndoProgress.REGISTERED:
        return True
    if not is_due(compensation, record.outcome):
        return True
    early: list[dict[str, Any]] = []
    for index, action in enumerate(compensation.actions):
        value = action.call.input
        if value is None or not value.reads:
            early.append({})
            continue
        names = calls.undo_names(run, record, undo, index if len(compensation.actions) > 1 else None)
        try:
            whole = calls.render_late(value, undo.early[index], names)
        except (ExpressionError, Mistake):
            return False  # the mistake is reported when the step is undone (R15)
        early.append({"": whole} if value.items is None else whole)
    undo.early, undo.variables = early, {}
    return True


def _put_away(run: Run, record: Record, rows: Rows, undone: Rows) -> int:
    """Make a record a row, or only count it; return when it was over, 0 if it has no row."""
    state, undo, compensation = run.state, record.undo, run.step_to_undo(record).compensation
    last = 0
    if record.progress is Progress.ABANDONED:
        return 0  # the report names it by its path
    if undo is not None and compensation is not None:
        if undo.progress is UndoProgress.REGISTERED and is_due(compensation, record.outcome):
            rows.setdefault(record.step, []).append(row(state, record, undo, keeps_input=_keeps_input(compensation)))
            count(state, record.step, TO_UNDO)
            last = max(record.ended, record.settled)
        elif undo.progress is UndoProgress.DONE:
            undone.setdefault(record.step, []).append(done(record, undo))
            count(state, record.step, "undone")
        elif undo.progress not in (UndoProgress.REGISTERED, UndoProgress.NOT_DUE):
            return 0  # the report names it by its path
    count(state, record.step, record.progress.value)
    del state.records[record.path]
    state.undoable.pop(record.path, None)
    return last


def _keeps_input(compensation: Compensation) -> bool:
    """Whether the compensation takes its step's own input."""
    return compensation.auto or any(action.call.input is None for action in compensation.actions)


def _strip(run: Run, record: Record, needs: _Needs) -> None:
    """Drop the data that nobody reads of a step that keeps its record."""
    compensation = run.step_to_undo(record).compensation
    if compensation is None or not _keeps_input(compensation):
        record.input = None
    if not _is_read(run.saga, record.step, needs):
        record.output = None


def _is_read(saga: Saga, step_id: str, needs: _Needs) -> bool:
    if needs.outputs is None or step_id in needs.outputs:
        return True
    return any(step_id_in(block) in needs.outputs for block in saga.places[step_id].blocks)


def _strip_frame(run: Run, frame: Frame, needs: _Needs) -> None:
    if frame.kind not in (FrameKind.LOOP, FrameKind.PARALLEL):
        return
    if not _is_read(run.saga, run.state.records[frame.owner].step, needs):
        frame.outputs = dict.fromkeys(frame.outputs)
    if frame.items is not None:  # a list of its own: the one that it came from is the user's
        begun = frame.cursor
        frame.items = [
            item if index >= begun or round_path(frame.path, index) in frame.open else None
            for index, item in enumerate(frame.items)
        ]
