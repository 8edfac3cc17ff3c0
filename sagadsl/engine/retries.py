"""Whether a step that has failed is tried again, and when. R92. Replay-critical.

A block or a child saga is tried again as its ``retry`` says, any step as a handler with ``then: retry`` says.
"""

from __future__ import annotations

from datetime import timedelta

from sagadsl.engine import calls
from sagadsl.engine.facts import Error
from sagadsl.engine.matching import is_one_of
from sagadsl.engine.records import Progress, Record
from sagadsl.engine.run import Mistake, Run, error_of
from sagadsl.engine.scope import names_of
from sagadsl.immutable import replace
from sagadsl.language.calls import Call, Count, Retry
from sagadsl.language.expressions.values import ExpressionError
from sagadsl.language.model import Leaf, WaitFor
from sagadsl.language.own_errors import EXPRESSION_ERROR

_AT_ONCE = timedelta(0)
"""A signal is awaited again at once: one that came in a pause would have come too early."""


def by_policy(run: Run, record: Record, error: Error) -> bool:
    """Try a step again if its ``retry`` says so; false if not."""
    policy = run.step(record).retry
    return policy is not None and has_more(run, record, error) and _again(run, record, error, policy)


def by_handler(run: Run, record: Record, error: Error, tries: Retry) -> bool:
    """Try a step again as a handler asks, unless that makes no sense or it was tried too often; false if not."""
    if not _is_below(run, record, tries.maximum_attempts):
        return False
    if isinstance(run.step(record).body, WaitFor):
        tries = replace(tries, initial_interval=_AT_ONCE, maximum_interval=_AT_ONCE)
    return _again(run, record, error, tries)


def has_more(run: Run, record: Record, error: Error) -> bool:
    """Whether the ``retry`` of a step allows a further try after *error*."""
    policy = run.step(record).retry
    if policy is None or is_one_of(error, policy.non_retryable_error_types, run.state.rules):
        return False
    if error.type == EXPRESSION_ERROR or run.state.pivot_passed:
        return False
    return _is_below(run, record, policy.maximum_attempts)


def _is_below(run: Run, record: Record, most: Count | None) -> bool:
    """Whether a step was tried less than *most* times; a number that cannot be computed allows no further try."""
    try:
        number = calls.count(most, names_of(run, record), "maximum_attempts")
    except (ExpressionError, Mistake) as mistake:
        run.note(error_of(mistake, record.path))
        return False
    return number is None or record.tries < number


def _again(run: Run, record: Record, error: Error, policy: Retry) -> bool:
    if not _may_be_tried(run, record, error):
        return False
    try:
        names = names_of(run, record)
        pause = calls.retry_plan(replace(policy, maximum_attempts=None), names, patient=False).pause(record.tries)
    except (ExpressionError, Mistake) as mistake:
        run.note(error_of(mistake, record.path))
        return False
    record.tries += 1
    record.error, record.next_try = error, run.state.now + pause
    record.progress = Progress.RUNNING
    run.todo.append(("failed", record.path))
    return True


def _may_be_tried(run: Run, record: Record, error: Error) -> bool:
    """Whether a further try may lead to an end; it does not when the saga goes back, or is past its pivot."""
    state, step = run.state, run.step(record)
    if not run.forward or state.failure is not None or state.stopped or state.pending_stop is not None:
        return False
    if state.frames[record.frame].closing is not None or record.cancel_asked or state.pivot_passed:
        return False
    if isinstance(step.body, Leaf) and not isinstance(step.body, Call | WaitFor):
        return False  # nothing else could come of it
    return error.type != EXPRESSION_ERROR and record.path != state.pivot_at
