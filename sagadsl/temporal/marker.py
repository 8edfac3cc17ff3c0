"""What travels beside the data: what is known of attempts, the reason of a cancel, the size of a payload.

Apart from the interceptor, so that a client need not import the SDK's worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sagadsl.immutable import Immutable

MARKER = "sagadsl"
_LIMIT = "sagadsl.start_to_close="

HERE, ANYWHERE = "here", "anywhere"

CUT_BY_THE_SERVER = "Failure exceeds size limit."
"""What stands around an error that the server keeps between two attempts and finds too long."""

ATTEMPTS_ACTIVITY = "sagadsl.attempts"
TAKEN_ACTIVITY = "sagadsl.taken"
"""Local activities that answer with ``Recorded``; see ``attempts``."""

CAME_ACTIVITY = "sagadsl.came"
"""Local activity; see ``arrivals``."""

MAX_PAYLOAD_BYTES = 2_000_000
"""The server takes 2 MiB a payload; the rest is room for a codec. R52."""


def reason(by: str, why: str) -> str:
    """Return who cancels a saga, and why, as the one text that a cancel takes along."""
    return f"{why} (by {by})".lstrip() if by else why


def by_and_why(text: str) -> tuple[str, str]:
    """Return who and why from ``reason``; of a text by somebody else, all of it is why."""
    why, found, by = text.rpartition("(by ")
    return (by[:-1], why.rstrip()) if found and by.endswith(")") else ("", text)


def outcome_of(details: Sequence[Any]) -> tuple[int, bool] | None:
    """Return (attempt, clean) as the last of an error's *details* says, or ``None`` for a worker that is not ours."""
    match list(details)[-1:]:
        case [{"sagadsl": {"attempt": int(attempt), "clean": bool(clean)}}]:
            return attempt, clean
    return None


def marker(attempt: int, *, clean: bool, unknown: str = "") -> dict[str, Any]:
    """Return the last detail of an error, or of a heartbeat, of attempt number *attempt*.

    Args:
        unknown: ``HERE`` when this worker does not have the activity, ``ANYWHERE`` when no other worker can have it.
    """
    return {MARKER: {"attempt": attempt, "clean": clean, **({"unknown": unknown} if unknown else {})}}


def unknown_in(details: Sequence[Any]) -> bool | None:
    """Return whether an activity is known nowhere, of an error of a worker that does not have it; else ``None``."""
    match list(details)[-1:]:
        case [{"sagadsl": {"unknown": "here" | "anywhere" as where}}]:
            return bool(where == ANYWHERE)
    return None


def limit_as_type(limit: timedelta) -> str:
    """Return a limit as one of a retry policy's error types: all that a local activity is told besides its input."""
    return f"{_LIMIT}{limit.total_seconds()}"


def limit_in(types: Sequence[str]) -> timedelta | None:
    """Return what ``limit_as_type`` has put among *types*; ``None`` if it has not."""
    for each in types:
        if each.startswith(_LIMIT):
            return timedelta(seconds=float(each.removeprefix(_LIMIT)))
    return None


def without_marker(details: Sequence[Any]) -> Sequence[Any]:
    """Return *details* as the activity itself gave them."""
    return details if outcome_of(details) is None else details[:-1]


class Recorded(Immutable):
    """What the server has recorded of a call that has ended without a word of our worker's.

    Attributes:
        attempt: Number of the last attempt; ``None`` when it did not start, or nobody knows.
        alone: It was the only one, and ended in an error that the function itself reported.
        ran: Seconds from the beginning of the last attempt to the end of the call.
        since: Seconds from the scheduling to the end of the call.
    """

    attempt: int | None = None
    alone: bool = False
    ran: float | None = None
    since: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {"attempt": self.attempt, "alone": self.alone, "ran": self.ran, "since": self.since}

    @classmethod
    def from_json(cls, data: Any) -> Recorded:
        """Return what ``as_json`` gave *data* of; of anything else, that nothing is known."""
        if not isinstance(data, Mapping):
            return cls()
        return cls(data.get("attempt"), bool(data.get("alone")), data.get("ran"), data.get("since"))
