"""Idempotency keys: who calls, which step, do or undo; and the ids of child sagas. Replay-critical.

A key depends on the saga's id and the step's path alone, so that it is the same at every
attempt, after a reset, after continue-as-new, and when an operator repeats the step (R49).
So does a child's id, of which its own keys are made.
"""

from __future__ import annotations

import re
from hashlib import sha256

MAX_ID = 255
"""Bytes of an id that every database of a server takes; a longer one may be waited for in vain, for ever."""

_BESIDE = re.compile(r"(?:\.probe)?(?:#\d+)?$")
"""What an activity id has beside path and compensation: a repetition has the same key, and a probe asks about it."""
_COMPENSATION = re.compile(r"\.compensation(?:\[(\d+)\])?$")

_LONGEST_CALL = 200
_MARK = 12
_CUT = re.compile(rf"~[0-9a-f]{{{_MARK}}}([/~])([^~]*)$")
"""What stands behind the beginning of a parent's id: the mark of the whole, then the call, or after `~` its end."""


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


def child_id(saga_id: str, call_id: str, *, cut: bool = True) -> str:
    """Return the workflow id of a child saga: its parent's id and the call's, e.g. ``order-7/book/flight``.

    Args:
        cut: One that would be too long is made shorter: the beginning of the parent's, a mark of the whole, the call.
    """
    whole = f"{saga_id}/{call_id}"
    raw = whole.encode("utf-8", "replace")
    if not cut or len(raw) <= MAX_ID:
        return whole
    mark, call = sha256(raw).hexdigest()[:_MARK], f"/{call_id}"
    if len(call) > _LONGEST_CALL:
        call = f"~{call_id[-_LONGEST_CALL:]}"
    room = MAX_ID - len(call) - 1 - _MARK  # a call's id is ASCII
    return f"{saga_id.encode('utf-8', 'replace')[:room].decode('utf-8', 'ignore')}~{mark}{call}"


def call_of_child(saga_id: str, workflow_id: str) -> str:
    """Return the id of the call that began a child saga: what ``child_id`` was given; its end behind ``…`` if cut."""
    beginning = f"{saga_id}/"
    if workflow_id.startswith(beginning):
        return workflow_id.removeprefix(beginning)
    found = _CUT.search(workflow_id)
    if found is None:
        return workflow_id
    return found[2] if found[1] == "/" else f"…{found[2]}"
