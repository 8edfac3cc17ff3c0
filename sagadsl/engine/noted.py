"""What a run notes for those who watch it from outside: for traces and metrics. Nothing follows from it."""

from __future__ import annotations

from typing import Literal

from sagadsl.engine.records import Record
from sagadsl.immutable import Immutable

What = Literal["step over", "undo over", "undo failed", "waits", "decided", "unpacked"]
"""What has happened.

``undo failed``: an action of a compensation has failed for good, whatever follows from that. ``waits``: something
begins to wait for an operator; ``decided``: it waits no longer. ``unpacked``: a step that is over has a
record again, since it is to be undone.
"""


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
