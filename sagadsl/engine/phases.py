"""How a saga goes from phase to phase: what stops it, what then undoes it, and how it closes. Replay-critical."""

from __future__ import annotations

from typing import Any

from sagadsl.engine import blocks, ends, handover, result, returning, tries, undo
from sagadsl.engine.facts import Error, Status
from sagadsl.engine.journal import Closing, Frame, FrameKind, Phase
from sagadsl.engine.run import STEPS_AT_ONCE, TIMEOUT_TIMER, Run
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Fail
from sagadsl.language.own_errors import (
    COMPENSATION_FAILED,
    EXPRESSION_ERROR,
    HISTORY_FULL,
    SAGA_TIMEOUT,
    TOO_MANY_STEPS,
)
from sagadsl.language.paths import ON_FAILURE, ROOT, is_on_failure, step_id_in

_WELL = (None, Closing.EARLY)
"""How the forward part closes when the saga completes."""


def stop_at_last(run: Run) -> bool:
    """Stop a saga whose stop has waited for its pivot to settle; false if no stop waits, or not yet."""
    state = run.state
    if state.pending_stop is None or state.pivot_at or ROOT not in state.frames:
        return False
    blocks.stop(run, state.pending_stop)
    return True


def stop_forward(run: Run, why: Error) -> None:
    """Handle a cancel or the timeout: stop what runs, unless it is too late. R9, R25, R27, R28, R30, R35."""
    state = run.state
    state.timed_out = state.timed_out or why.type == SAGA_TIMEOUT
    if state.returning and not state.pivot_passed:  # behind the pivot a stop comes too late (R30)
        returning.forsake(run)
        state.paused = state.paused and why.type == SAGA_TIMEOUT
        state.cancelled = state.failure is None and why == ends.SAGA_CANCELLED
        run.fail_with(why)
    elif state.phase is not Phase.FORWARD or state.pivot_passed or state.pending_stop is not None:
        run.note(why)
    elif ROOT not in state.frames:  # the saga has not begun yet
        state.pending_stop = why
    elif not state.pivot_at:
        blocks.stop(run, why)
    else:
        state.pending_stop = why  # wait until it is known whether the pivot happened
        record = state.records[state.pivot_at]
        if record.call_id in state.calls:
            blocks.cancel(run, record.path)


def history_full(run: Run) -> None:
    """Begin only compensations from now on; after the pivot, where nothing is undone, fail the saga. R51."""
    state = run.state
    error = Error(HISTORY_FULL, "the history of the run is full, and what the saga has to keep fits into no new one")
    if state.pivot_passed and state.phase is Phase.FORWARD and ROOT in state.frames:
        blocks.stop(run, error)
    elif state.pivot_passed and state.returning:
        state.returning = ""
        run.fail_with(error)
    else:
        stop_forward(run, error)


def stop_endless(run: Run) -> None:
    """Stop a loop that waits for nothing: it would keep its worker busy for ever. R56."""
    state, run.began = run.state, 0
    error = Error(TOO_MANY_STEPS, f"{STEPS_AT_ONCE:,} steps have begun, and none of them waits for anything")
    if state.phase is Phase.FORWARD:
        blocks.stop(run, error)
    elif state.phase is Phase.FINISHING:
        run.note(error)
        blocks.close(run, state.frames[ON_FAILURE], Closing.CANCELLED)


def frame_over(run: Run, frame: Frame) -> None:
    """Handle the end of the forward part, or of ``on_failure``."""
    state = run.state
    if frame.body == ON_FAILURE:
        run.note(frame.failure)
        _close(run)
        return
    run.drop_timer(TIMEOUT_TIMER)
    if frame.closing in _WELL and (refusal := handover.refuse(run)) is not None:
        frame.closing, frame.failure = Closing.FAILED, refusal
    if frame.closing is Closing.EARLY or (frame.closing is None and state.rules >= result.OUTPUT_NEVER_FAILS):
        result.conclude(run, frame)
        state.status = Status.COMPLETED
        return
    if frame.closing is None:
        try:
            state.output = result.saga_output(run, frame)
            state.status = Status.COMPLETED
            return
        except ExpressionError as mistake:
            frame.failure = Error(EXPRESSION_ERROR, f"`output` of the saga: {mistake}")
    run.fail_with(frame.failure)
    compensate(run)


def compensate(run: Run) -> None:
    """Begin the compensation pass, or what comes after it when there is nothing to undo."""
    state = run.state
    state.phase = Phase.COMPENSATING
    run.count_afresh()
    if state.returning:
        if not returning.begin(run):
            returning.go_on(run)
        return
    if state.stopped or state.pivot_passed or not undo.begin(run, "", list(state.undoable)):
        _finish(run)


def undone(run: Run, key: str, *, failed: bool) -> None:
    """Go on after a compensation pass: of the saga, of a step that is tried again, or of the losers of a block."""
    if key == "":
        if not (run.state.returning and returning.go_on(run)):
            _finish(run)
    elif (record := run.state.records[key]).next_try is not None:
        tries.undone(run, record)
    else:
        blocks.losers_undone(run, run.state.frames[key], failed)


def _finish(run: Run) -> None:
    """Run ``on_failure`` after the compensations, then close."""
    state = run.state
    if _rejection(run):  # a no that is no incident: nobody is told
        _close(run)
        return
    was_run = any(is_on_failure(path) for path in state.records)  # by the run whose work this one has taken up
    if run.saga.on_failure and not state.undo_only and not was_run:
        run.count_afresh()
        state.phase = Phase.FINISHING
        run.open(Frame(ON_FAILURE, FrameKind.SEQUENCE, "", ON_FAILURE))
    else:
        _close(run)


def _rejection(run: Run) -> tuple[Any, ...]:
    """Return the result with which the saga says no; empty if it fails, was cancelled, or has left something. R111.

    The error of a child that has said no is only an error for its parent: the parent's own ``fail`` has to say it.
    """
    state, error = run.state, run.state.failure
    if error is None or state.undo_only or state.undo_failed or state.stopped or state.pivot_passed:
        return ()
    place = run.saga.places.get(step_id_in(error.step)) if error.step else None
    return error.result if place is not None and isinstance(place.step.body, Fail) else ()


def _close(run: Run) -> None:
    state = run.state
    if said := _rejection(run):
        state.status, state.output = Status.REJECTED, said[0]
    elif state.undo_failed or state.stopped or state.pivot_passed:
        state.status = Status.FAILED
    elif state.cancelled:
        state.status = Status.CANCELLED
    else:
        state.status = Status.COMPENSATED
    if state.undo_only:
        state.failure = None if state.status is Status.COMPENSATED else Error(
            COMPENSATION_FAILED, "the completed saga could not be undone as a whole"
        )  # fmt: skip
