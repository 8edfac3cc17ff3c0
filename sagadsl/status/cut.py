"""The status of a run that the server has ended: it was terminated, or it timed out.

No code of the run ran at that moment, so that its own status is out of date. A call that was under
way has an outcome that nobody knows, and nothing waits for anybody. The module is pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.status.lines import CALLS

_OPEN = ("running", "paused", "compensating")


def cut(status: Mapping[str, Any], how: str) -> dict[str, Any]:
    """Return *status* as it is once the run is over. *how* replaces its word: ``terminated`` or ``timed_out``."""
    left_out = ("waiting_for", "attention", "paused", "timeout_at", "kept_signals")
    kept = {key: value for key, value in status.items() if key not in left_out}
    notices = [each | ({"status": "unknown"} if each["status"] in _OPEN else {}) for each in status.get("notices", ())]
    told = {"notices": notices} if notices else {}
    return {**kept, "status": how, "steps": [_step(each) for each in status.get("steps", ())], **told}


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(step)
    if step["status"] in _OPEN:
        is_call = step.get("kind", "activity") in CALLS
        found |= {"status": "unknown", "outcome": "unknown"} if is_call else {"status": "cancelled"}
    undo = step.get("compensation")
    if undo and undo["status"] == "running":
        found["compensation"] = {**undo, "status": "unknown"}
    elif undo and undo["status"] == "paused":
        found["compensation"] = {**undo, "status": "failed"}
    elif undo and undo["status"] not in ("done", "failed", "skipped"):
        found["compensation"] = {**undo, "status": "not_attempted"}
    return found
