"""What a run notes for those who watch it from outside: for traces and metrics. Nothing follows from it."""

from __future__ import annotations

from enum import Enum

from sagadsl.engine.records import Record
from sagadsl.immutable import Immutable


class What(Enum):
    """What has happened.

    ``UNDO_FAILED``: an action of a compensation has failed for good, whatever follows from that. ``WAITS``: something
    begins to wait for an operator; ``DECIDED``: it waits no longer.
    """

    STEP_OVER = "step over"
    UNDO_OVER = "undo over"
    UNDO_FAILED = "undo failed"
    WAITS = "waits"
    DECIDED = "decided"


class Noted(Immutable):
    """Something that has happened in a run.

    Attributes:
        record: The step, if it is one; the state may forget it in the same moment.
        path: Otherwise: the step or the call that waits.
        seconds: How long it has waited.
    """

    what: What
    record: Record | None = None
    path: str = ""
    seconds: float = 0.0
