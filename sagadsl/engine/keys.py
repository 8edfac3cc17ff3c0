"""Idempotency keys: who calls, which step, do or undo; and the ids of child sagas. Replay-critical.

A key depends on the saga's id and the step's path alone, so that it is the same at every
attempt, after a reset, after continue-as-new, and when an operator repeats the step (R49).
So does a child's id, of which its own keys are made.

A saga that is begun anew under the id of one that has ended has a *generation*, a token that its
starter makes. It stands behind the id in keys (``order-7~4f1c09a2be/pay/do``) and in the ids of
children, and behind the ids of activities (``pay~4f1c09a2be``), where workers read it.
"""

from __future__ import annotations

import re
from hashlib import sha256

MAX_ID = 255
"""Characters of an id that every database of a server takes; a longer one may be waited for in vain, for ever.

PostgreSQL counts code points. Ids that are made here are held to so many bytes, which are never fewer."""

_BESIDE = re.compile(r"(?:\.probe)?(?:#\d+)?\Z")
"""What an activity id has beside path and compensation: a repetition has the same key, and a probe asks about it."""
_COMPENSATION = re.compile(r"\.compensation(?:\[(\d+)\])?\Z")

_GENERATION = re.compile(r"~([0-9A-Za-z]{1,32})\Z")
"""What stands behind the id of an activity: no path has a `~`."""

_LONGEST_CALL = 200
_MARK = 12
_CUT = re.compile(rf"~[0-9a-f]{{{_MARK}}}([/~])([^~]*)\Z")
"""What stands behind the beginning of a parent's id: the mark of the whole, then the call, or after `~` its end."""


def forward_key(caller: str, path: str) -> str:
    """Return the key of the step at *path*, e.g. ``order-7/book/flight/do``."""
    return f"{caller}/{path}/do"


def undo_key(caller: str, path: str, index: int | None = None) -> str:
    """Return the key of what undoes the step at *path*; *index* counts the actions of a list."""
    return f"{caller}/{path}/undo" if index is None else f"{caller}/{path}/undo[{index}]"


def caller_of(saga_id: str, generation: str) -> str:
    """Return who calls: the saga's id, with the generation of one that was begun anew."""
    return f"{saga_id}~{generation}" if generation else saga_id


def is_generation(text: str) -> bool:
    """Whether *text* can stand behind an id."""
    return _GENERATION.fullmatch(f"~{text}") is not None


def activity_id(call_id: str, generation: str) -> str:
    """Return the id under which the host runs a call."""
    return caller_of(call_id, generation)


def call_of_activity(activity_id: str) -> str:
    """Return the call that runs under an id: what ``activity_id`` was given."""
    return _GENERATION.sub("", activity_id)


def step_of_activity_id(activity_id: str) -> str:
    """Return the path of the step that an activity belongs to, also as its compensation or probe."""
    return _COMPENSATION.sub("", _path(activity_id))


def is_compensation(activity_id: str) -> bool:
    """Whether this activity undoes a step."""
    return _COMPENSATION.search(_path(activity_id)) is not None


def key_of_activity_id(saga_id: str, activity_id: str) -> str:
    """Return the key of the call that runs under *activity_id*."""
    path, calls = _path(activity_id), _whose(saga_id, activity_id)
    undo = _COMPENSATION.search(path)
    if undo is None:
        return forward_key(calls, path)
    return undo_key(calls, path[: undo.start()], None if undo[1] is None else int(undo[1]))


def step_key_of_activity_id(saga_id: str, activity_id: str) -> str:
    """Return the key of the forward call of the step that an activity belongs to."""
    return forward_key(_whose(saga_id, activity_id), step_of_activity_id(activity_id))


def _path(activity_id: str) -> str:
    return _BESIDE.sub("", call_of_activity(activity_id))


def _whose(saga_id: str, activity_id: str) -> str:
    generation = _GENERATION.search(activity_id)
    return saga_id if generation is None else caller_of(saga_id, generation[1])


def child_id(caller: str, call_id: str, *, cut: bool = True) -> str:
    """Return the workflow id of a child saga: its parent's id and the call's, e.g. ``order-7/book/flight``.

    Args:
        cut: One that would be too long is made shorter: the beginning of the parent's, a mark of the whole, the call.
    """
    whole = f"{caller}/{call_id}"
    raw = whole.encode("utf-8", "replace")
    if not cut or len(raw) <= MAX_ID:
        return whole
    mark, call = sha256(raw).hexdigest()[:_MARK], f"/{call_id}"
    if len(call) > _LONGEST_CALL:
        call = f"~{call_id[-_LONGEST_CALL:]}"
    room = MAX_ID - len(call) - 1 - _MARK  # a call's id is ASCII
    return f"{caller.encode('utf-8', 'replace')[:room].decode('utf-8', 'ignore')}~{mark}{call}"


def call_of_child(saga_id: str, workflow_id: str) -> str:
    """Return the id of the call that began a child saga: what ``child_id`` was given; its end behind ``…`` if cut."""
    who, slash, call = workflow_id.removeprefix(saga_id).partition("/")
    if workflow_id.startswith(saga_id) and slash and (not who or _GENERATION.fullmatch(who)):
        return call
    found = _CUT.search(workflow_id)
    if found is None:
        return workflow_id
    return found[2] if found[1] == "/" else f"…{found[2]}"


def standalone_key(namespace: str, activity_id: str, run_id: str) -> str:
    """Return the key of an activity that no workflow has called; no step's path is like a run id."""
    return f"{namespace}/{activity_id}/{run_id}/do"
