"""Idempotency keys: who calls, which step, do or undo. Replay-critical.

A key depends on the saga's id and the step's path alone, so that it is the same at every
attempt, after a reset, after continue-as-new, and when an operator repeats the step (R49).
"""

from __future__ import annotations

import re

_BESIDE = re.compile(r"(?:\.probe)?(?:#\d+)?$")
"""What an activity id has beside path and compensation: a repetition has the same key, and a probe asks about it."""
_COMPENSATION = re.compile(r"\.compensation(?:\[(\d+)\])?$")


def forward_key(saga_id: str, path: str) -> str:
    """Return the key of the step at *path*, e.g. ``order-7/book/flight/do``."""
    return f"{saga_id}/{path}/do"


def undo_key(saga_id: str, path: str, index: int | None = None) -> str:
    """Return the key of what undoes the step at *path*; *index* counts the actions of a list."""
    return f"{saga_id}/{path}/undo" if index is None else f"{saga_id}/{path}/undo[{index}]"


def step_of_activity_id(activity_id: str) -> str:
    """Return the path of the step that an activity belongs to, also as its compensation or probe."""
    return _COMPENSATION.sub("", _BESIDE.sub("", activity_id))


def is_compensation(activity_id: str) -> bool:
    """Whether this activity undoes a step."""
    return _COMPENSATION.search(_BESIDE.sub("", activity_id)) is not None


def key_of_activity_id(saga_id: str, activity_id: str) -> str:
    """Return the key of the call that runs under *activity_id*, a path as the engine writes it."""
    path = _BESIDE.sub("", activity_id)
    undo = _COMPENSATION.search(path)
    if undo is None:
        return forward_key(saga_id, path)
    return undo_key(saga_id, path[: undo.start()], None if undo[1] is None else int(undo[1]))
