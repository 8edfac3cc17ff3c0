"""The markers that go along with data: what is known of attempts, the reason of a cancel, the size of a payload.

Separate from the interceptor, so that a client does not import the SDK's worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sagadsl.immutable import Immutable

MARKER = "sagadsl"
MAX_PLACE = 160
"""The most characters of a place: beside them an error has to fit into what the server keeps of an attempt."""
_LIMIT = "sagadsl.start_to_close="

HERE, ANYWHERE = "here", "anywhere"

CUT_BY_THE_SERVER = "Failure exceeds size limit."
"""Message of the wrapper that the server puts around an error that is too long to be kept between two attempts."""

ATTEMPTS_ACTIVITY = "sagadsl.attempts"
TAKEN_ACTIVITY = "sagadsl.taken"
"""Local activities that answer with ``Recorded``; see ``attempts``."""

ENDPOINT_ACTIVITY = "sagadsl.endpoint"
MISSING = "missing"
"""Local activity, and what it answers when the server has no such endpoint; see ``endpoints``."""

CAME_ACTIVITY = "sagadsl.came"
"""Local activity; see ``arrivals``."""

MAX_PAYLOAD_BYTES = 2_000_000
"""The server takes 2 MiB a payload; the rest is room for a codec. R52."""


def reason(by: str, why: str) -> str:
    """Join who cancels a saga, and why, in one text: a cancel carries only one."""
    return f"{why} (by {by})".lstrip() if by else why


def by_and_why(text: str) -> tuple[str, str]:
    """Split a text from ``reason`` into who and why; any other text is all why."""
    why, found, by = text.rpartition("(by ")
    return (by[:-1], why.rstrip()) if found and by.endswith(")") else ("", text)


def outcome_of(details: Sequence[Any]) -> tuple[int, bool] | None:
    """Return (attempt, clean) from the last of an error's *details*; ``None`` if the worker is not ours."""
    match list(details)[-1:]:
        case [{"sagadsl": {"attempt": int(attempt), "clean": bool(clean)}}]:
            return attempt, clean
    return None


def marker(attempt: int, *, clean: bool, unknown: str = "", place: str = "") -> dict[str, Any]:
    """Return the last detail of an error or a heartbeat of attempt number *attempt*.

    Args:
        unknown: ``HERE`` when this worker does not have the activity, ``ANYWHERE`` when no other worker can have it.
        place: Where the author's code raised an error that was not meant; see ``place_in``.
    """
    more = {"unknown": unknown, "place": place}
    return {MARKER: {"attempt": attempt, "clean": clean, **{name: text for name, text in more.items() if text}}}


def place_in(details: Sequence[Any]) -> str:
    """Return where an activity raised the error that has these *details*: file, line and function; empty if unknown."""
    match list(details)[-1:]:
        case [{"sagadsl": {"place": str(place)}}]:
            return place[:MAX_PLACE]
    return ""


def unknown_in(details: Sequence[Any]) -> bool | None:
    """Return whether no worker can know the activity; ``None`` unless a worker that lacks it has given *details*."""
    match list(details)[-1:]:
        case [{"sagadsl": {"unknown": "here" | "anywhere" as where}}]:
            return bool(where == ANYWHERE)
    return None


def limit_as_type(limit: timedelta) -> str:
    """Return a limit as an error type for a retry policy: a local activity sees only its policy and its input."""
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
    """What the server has recorded of a call that has ended without a marker of our worker.

    Attributes:
        attempt: Number of the last attempt; ``None`` when it did not start, or nobody knows.
        alone: It was the only attempt, and ended in an error that the function itself reported.
        ran: Seconds from the beginning of the last attempt to the end of the call.
        since: Seconds from the scheduling to the end of the call.
        began: When the last attempt began, in seconds since 1970.
    """

    attempt: int | None = None
    alone: bool = False
    ran: float | None = None
    since: float | None = None
    began: float | None = None

    def as_json(self) -> dict[str, Any]:
        began = {} if self.began is None else {"began": self.began}
        return {"attempt": self.attempt, "alone": self.alone, "ran": self.ran, "since": self.since, **began}

    @classmethod
    def from_json(cls, data: Any) -> Recorded:
        """Read what ``as_json`` has written; for any other *data*, return a record without knowledge."""
        if not isinstance(data, Mapping):
            return cls()
        return cls(data.get("attempt"), bool(data.get("alone")), data.get("ran"), data.get("since"), data.get("began"))
