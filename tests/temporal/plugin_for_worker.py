"""A module of activities, as a user has one beside the definitions."""

from __future__ import annotations

import threading

from sagadsl import activity


@activity(name="worker.where")
def where() -> str:
    """Return what kind of thread it runs in."""
    return threading.current_thread().name.partition("_")[0]
