"""Attempts of which nobody has heard, and how long the undo of their step waits for them. R96. Replay-critical.

A timeout ends an attempt for the server, not for its worker: the attempt may go on, and have its effect later. With
``timeouts.settle`` the undo of the step does not begin before that time has passed since the call ended, unless the
attempt is heard of (``late``). It is a matter of the undo alone: handlers run, and further attempts begin, as without.
"""

from __future__ import annotations

from datetime import timedelta

from sagadsl.engine import calls
from sagadsl.engine.facts import Outcome, Settled
from sagadsl.engine.journal import State
from sagadsl.engine.records import Record, Unheard
from sagadsl.engine.run import Run
from sagadsl.language.calls import Duration
from sagadsl.language.model import Step
from sagadsl.language.own_errors import TIMEOUT
from sagadsl.language.paths import TimerKind, timer


def prepare(run: Run, step: Step, record: Record, settle: Duration, names: calls.Names) -> None:
    """Note how long the undo of a step waits, if it has one. Raises ``ExpressionError`` or ``Mistake``."""
    if step.compensation is None or not run.forward:
        return
    seconds = (calls.duration(settle, names, "settle") or timedelta()).total_seconds()
    if record.unheard is None:
        record.unheard = Unheard(seconds)
    else:  # an earlier call of the step may be awaited still
        record.unheard.seconds = seconds


def call_ended(run: Run, unheard: Unheard, fact: Settled) -> None:
    """Note until when an attempt of the call that has ended may be awaited.

    An earlier attempt may run, too, when the last one has reported an error. A call that was cancelled is not awaited:
    nothing of it runs, or its worker has stopped it.
    """
    if fact.outcome is Outcome.SUCCEEDED:
        unheard.until = None
    elif fact.outcome is Outcome.UNKNOWN and not fact.cancelled:
        has_fallen_silent = fact.error is not None and fact.error.type == TIMEOUT
        if has_fallen_silent or (fact.attempts or 1) > 1:
            unheard.until, unheard.began = run.state.now + unheard.seconds, fact.began


def awaited_until(state: State, record: Record) -> float | None:
    """Return until when an undo of the step that began now would wait; ``None``: it would not."""
    unheard = record.unheard
    if unheard is None or unheard.until is None or record.outcome is not Outcome.UNKNOWN:
        return None
    return unheard.until if state.now < unheard.until else None


def awaits(run: Run, record: Record) -> bool:
    """Let the undo of a step wait if an attempt is awaited; false if not."""
    until = awaited_until(run.state, record)
    if until is None:
        return False
    run.set_timer(timer_of(record), until, f"late end of {record.path}")
    return True


def timer_of(record: Record) -> str:
    """Return the id of the timer for the wait of a step's undo."""
    return timer(record.path, TimerKind.SETTLE)
