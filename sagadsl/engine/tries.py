"""A further try of a step that has failed: what the failed one did is undone first. R92. Replay-critical.

What a try of a block has done is undone, and the next one has keys of its own, since the effect of the old ones was
undone. A call that has failed is repeated as an operator would have it repeated: under its own key.
"""

from __future__ import annotations

from sagadsl.engine import ends, steps, undo
from sagadsl.engine.anew import next_try
from sagadsl.engine.child_ids import remember
from sagadsl.engine.chunks import forget_undone, taken_out
from sagadsl.engine.facts import Outcome
from sagadsl.engine.journal import State
from sagadsl.engine.records import LEFT, Progress, Record
from sagadsl.engine.run import Mistake, Run, error_of
from sagadsl.language.calls import SagaCall
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Leaf
from sagadsl.language.paths import TimerKind, branch_in, parse_timer, timer


def awaited(state: State) -> dict[str, int]:
    """Return the steps that wait for their next try, each with the number of the moment when the last one began."""
    if not state.timers and not state.held:
        return {}
    waiting = {path for path, kind in map(parse_timer, state.timers) if kind is TimerKind.AGAIN}
    waiting |= {key for kind, key in state.held if kind == "again"}
    return {path: state.records[path].began for path in waiting if path in state.records}


def prepare(run: Run, record: Record) -> None:
    """Undo what the failed try has done; then wait until the next one begins. What was left in it ends the tries."""
    if record.ended:  # it was cancelled at the same moment
        return
    is_same = _is_same(run, record)
    if _has_left(run, record) or is_same or not _undoes(run, record):
        undone(run, record)


def _undoes(run: Run, record: Record) -> bool:
    """Begin to undo what the failed try has done; false when it has done nothing that has to be undone."""
    return undo.begin(run, record.path, taken_out(run, lambda path: _is_part(record, path)))


def _is_same(run: Run, record: Record) -> bool:
    """Whether a step is only repeated: it has nothing to undo between two tries."""
    body = run.step(record).body
    return isinstance(body, Leaf) and not isinstance(body, SagaCall)


def _is_part(record: Record, path: str) -> bool:
    """Whether a step is the one that is tried again, or is in it; what its error handlers have done stays."""
    return path == record.path or branch_in(record.path, path) is not None


def undone(run: Run, record: Record) -> None:
    """Go on after what the failed try did was undone; if some of it was not, the step has failed."""
    if not _has_left(run, record):
        _wait(run, record)
        return
    assert record.error is not None
    record.next_try = None
    ends.fail(run, record, record.error, is_final=True)


def _has_left(run: Run, record: Record) -> bool:
    inside = (each.undo for path, each in run.state.records.items() if _is_part(record, path))
    return any(each is not None and each.progress in LEFT for each in inside)


def _wait(run: Run, record: Record) -> None:
    assert record.next_try is not None
    if record.cancel_asked or run.state.frames[record.frame].closing is not None:
        run.end(record, Progress.CANCELLED)
    else:
        run.set_timer(timer(record.path, TimerKind.AGAIN), record.next_try, f"next try of {record.path}")


def begin(run: Run, record: Record) -> None:
    """Begin the next try."""
    if record.ended or record.next_try is None:
        return
    record.next_try, record.error = None, None
    record.began = run.tick()
    is_same = _is_same(run, record)
    next_try(run, record, is_same=is_same)
    if is_same:
        record.doubt = record.doubt or record.outcome is Outcome.UNKNOWN
        record.repeats += 1
    else:
        _forget(run, record)
    try:
        steps.begin(run, run.step(record), record, is_repeated=True)
    except (ExpressionError, Mistake) as mistake:
        ends.fail(run, record, error_of(mistake, record.path))


def begin_stopped(run: Run) -> None:
    """Let what waited for its next try when the saga was stopped begin as a whole, when the saga goes on."""
    records = run.state.records
    for record in [each for each in records.values() if each.next_try is not None]:
        if record.path not in records or _is_same(run, record):
            record.next_try = None
            continue
        next_try(run, record, is_same=False)
        _forget(run, record)
        remember(run.state, record)
        del records[record.path]


def _forget(run: Run, record: Record) -> None:
    """Forget the steps of the failed try: what it did is undone."""
    state = run.state
    forget_undone(run.saga, state, lambda path: _is_part(record, path))
    if isinstance(run.step(record).body, SagaCall):
        record.repeats = state.anew[record.path]
        record.key = record.repeats + 1
        record.outcome, record.undo = Outcome.NOT_STARTED, None
        state.undoable.pop(record.path, None)
        return
    for path in [each for each in state.records if each != record.path and _is_part(record, each)]:
        remember(state, state.records[path])
        del state.records[path]
        state.undoable.pop(path, None)
