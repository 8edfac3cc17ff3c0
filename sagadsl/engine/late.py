"""What becomes of an attempt that ends after its call, before its step is undone. R97. Replay-critical.

The server takes no result of an attempt that it has timed out. So the attempt's worker tells the saga by a signal. What
it tells concerns the undo of the step and nothing else: the step stays failed, and what has read it stays as it is.
"""

from __future__ import annotations

from sagadsl.engine import ends, undo, unheard
from sagadsl.engine.facts import LateEnd, Outcome
from sagadsl.engine.records import Record, UndoProgress
from sagadsl.engine.run import Run
from sagadsl.language.paths import Purpose, parse_call

_SAME = 0.001
"""Seconds by which two clocks' readings of the same moment may differ: SDKs cut what the server says."""


def heard(run: Run, fact: LateEnd) -> None:
    """Take in how an attempt has ended late, if it is the one of which nobody had heard, and its undo has not begun."""
    call = parse_call(fact.call_id)
    record = run.state.records.get(call.step)
    if record is None or call.purpose is not Purpose.DO or not _is_missed(run, record, fact):
        return
    assert record.unheard is not None
    record.unheard.until = None
    ends.ended_late(run, record, record.unheard, fact)
    if unheard.timer_of(record) in run.state.timers:
        run.drop_timer(unheard.timer_of(record))
        undo.go_on(run, record)


def _is_missed(run: Run, record: Record, fact: LateEnd) -> bool:
    """Whether an attempt is the last one of the step's last call, and the saga does not know how it ended."""
    missed, state = record.unheard, run.state
    if missed is None or missed.until is None or record.outcome is not Outcome.UNKNOWN or record.undo is None:
        return False
    if fact.call_id in state.calls or fact.call_id != record.call_id or fact.attempt != record.attempts:
        return False
    if record.undo.progress is not UndoProgress.REGISTERED and unheard.timer_of(record) not in state.timers:
        return False
    if fact.began is None:  # an operator's reset numbers attempts anew, so that this may be an earlier one
        return fact.outcome is Outcome.SUCCEEDED
    return missed.began is not None and abs(missed.began - fact.began) <= _SAME


def nothing_heard(run: Run, path: str) -> None:
    """Go on with the undo of a step after the time in which it has waited."""
    undo.go_on(run, run.state.records[path])
