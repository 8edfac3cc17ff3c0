"""Whether a run is played only to learn its state; see ``rebuilt``. Replay-critical.

The history of a run that was killed ends in the middle of things. Its last workflow task is played once more, and what
comes of it goes nowhere: so that task waits for nothing, and looks nothing up.
"""

from __future__ import annotations

from temporalio import workflow

REBUILDS = "sagadsl.rebuilds"
"""Name of the function that only a run has which is played for its state."""


def is_played_for_its_state() -> bool:
    """Whether this run is played for its state, in all its tasks; false for a replay by a worker of sagas."""
    return REBUILDS in workflow.extern_functions()


def is_rebuilding() -> bool:
    """Whether this is the last workflow task of a run that is played for its state; false at every real task."""
    return is_played_for_its_state() and not workflow.unsafe.is_replaying()
