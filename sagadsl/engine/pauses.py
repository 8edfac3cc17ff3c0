"""Pauses: where the saga waits for an operator instead of going back, and for how long. Replay-critical. R61, R62."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sagadsl.engine import calls, retries
from sagadsl.engine.facts import Error
from sagadsl.engine.journal import FrameKind, HandlerSteps
from sagadsl.engine.matching import is_one_of
from sagadsl.engine.records import Progress, Record
from sagadsl.engine.run import Mistake, Run, error_of
from sagadsl.engine.scope import failure_view, names_of, outwards
from sagadsl.language.calls import Duration
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Branching, Handler, Pause, Then
from sagadsl.language.own_errors import PAUSE_TIMEOUT


def takes(run: Run, record: Record, handler: Handler, error: Error) -> bool:
    """Say whether a handler of the step at *record* takes *error*; one whose ``if`` cannot be computed does not."""
    if handler.types and not is_one_of(error, handler.types, run.state.rules):
        return False
    if handler.condition is None:
        return True
    try:
        return bool(handler.condition.render(names_of(run, record) | {"error": failure_view(error)}))
    except ExpressionError as mistake:
        run.note(error_of(mistake, record.path))
        return False


def wanted(run: Run, record: Record, error: Error, *, by_default: bool) -> Pause | None:
    """Return how the saga waits at a failed step whose own handlers do not take its error; ``None``: it does not.

    The blocks around are asked from the inside out, and the first handler that takes the error counts. A handler that
    only pauses takes it here, at the step itself: so nothing beside it stops, and the step alone can be repeated.

    Args:
        by_default: ``defaults.on_error: pause`` counts when no handler takes the error.
    """
    if not run.saga.pauses or not may_pause(run):
        return None
    for enclosing in outwards(run.state, run.state.frames[record.frame]):
        if not enclosing.owner or enclosing.parent is not None:
            continue  # the root, or a round, whose loop comes next
        owner = run.state.records[enclosing.owner]
        step = run.step(owner)
        if isinstance(enclosing.body, HandlerSteps):  # a handler that fails ends with the error that it should handle
            error = owner.error or error
            continue
        if enclosing.kind in (FrameKind.PARALLEL, FrameKind.LOOP):
            assert isinstance(step.body, Branching)
            if step.body.complete_when is not None and not step.body.cancel_on_failure:  # it may do without this branch
                return None
        if retries.has_more(run, owner, error):
            return None
        handler = next((each for each in step.on_error if takes(run, owner, each, error)), None)
        if handler is not None:
            only_pauses = handler.then is Then.PAUSE and not handler.steps
            return Pause(handler.pause_timeout) if only_pauses else None
    return run.step(record).last_resort if by_default else None


def may_pause(run: Run) -> bool:
    """Say whether it makes sense to wait: not when the saga has failed already, and will be undone anyway."""
    return run.forward and (run.state.failure is None or run.state.pivot_passed)


def pause(run: Run, record: Record, error: Error, timeout: Duration | None = None) -> None:
    """Keep a step open until an operator decides. R22. Behind the pivot nothing can be undone, so no time limits it."""
    limit = None
    if timeout is not None and not run.state.pivot_passed:
        names = names_of(run, record) | {"error": failure_view(error)}
        limit = limit_of(run, timeout, names, record.path)
    record.progress = Progress.PAUSED
    run.needs_attention(record.path, error, limit)


def limit_of(run: Run, timeout: Duration, names: Mapping[str, Any], path: str) -> timedelta | None:
    """Return how long to wait for an operator; ``None``, without limit, when it cannot be computed."""
    try:
        return calls.duration(timeout, names, "pause_timeout")
    except (ExpressionError, Mistake) as mistake:
        run.note(error_of(mistake, path))
        return None


def nobody_came(path: str) -> Error:
    """Return the error that the saga notes beside the first one when a pause has lasted too long."""
    return Error(PAUSE_TIMEOUT, "nobody decided within the `pause_timeout`", path)
