"""Which threads run a workflow task that must be short, because it holds up an event loop (see ``work.near_tasks``)."""

from __future__ import annotations

import threading

_LEFT: dict[int, bool] = {}
"""By the number of a thread in which such a task runs: whether the task has been given up."""


class TakesLong(BaseException):
    """The task would hold up the event loop. Nobody may catch it: the worker does the task again in a thread."""


def begins() -> None:
    """Note that this thread begins such a task."""
    _LEFT[threading.get_ident()] = False


def ends() -> bool:
    """Note that it has ended; return whether it was given up, so that nothing of it counts."""
    return _LEFT.pop(threading.get_ident(), False)


def give_up() -> None:
    """Give the task up if it is such a one. Raises ``TakesLong``."""
    thread = threading.get_ident()
    if thread in _LEFT:
        _LEFT[thread] = True
        raise TakesLong
