"""The signal by which a worker tells a saga of an attempt that has ended late; any Temporal client may send it.

Its first argument is ``{"activity": "pay", "attempt": 1, "outcome": "succeeded", "started_at": 1764482400.123}``. Its
second argument is what the activity has returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from temporalio.api.common.v1 import Payload

from sagadsl.engine.facts import Outcome
from sagadsl.immutable import Immutable
from sagadsl.language.notation.moments import instant
from sagadsl.temporal.wire.headers import with_header

LATE_END = "sagadsl.late_end"
"""Name of the signal."""

_HEADER = "sagadsl-settles"
_OUTCOMES = {each.value: each for each in (Outcome.SUCCEEDED, Outcome.FAILED)}


class LateReport(Immutable):
    """What is told of an attempt.

    Attributes:
        activity: The id of the activity. ``attempt``: the number of the attempt.
        outcome: It has succeeded, or has failed and nothing was done, also not by an attempt before it.
        started_at: When it began, in seconds since 1970; ``None`` if the sender's SDK does not say.
    """

    activity: str
    attempt: int
    outcome: Outcome
    started_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        started = {} if self.started_at is None else {"started_at": self.started_at}
        return {"activity": self.activity, "attempt": self.attempt, "outcome": self.outcome.value, **started}

    @classmethod
    def read(cls, data: Any) -> LateReport:
        """Raises ``ValueError`` for anything that is no such report."""
        if not isinstance(data, Mapping):
            raise ValueError("it is no object")
        name, attempt, outcome = data.get("activity"), data.get("attempt"), data.get("outcome")
        if not isinstance(name, str) or not isinstance(attempt, int) or isinstance(attempt, bool):
            raise ValueError("`activity` must be the id of an activity, and `attempt` a whole number")
        if not isinstance(outcome, str) or outcome not in _OUTCOMES:
            raise ValueError(f"`outcome` must be `succeeded` or `failed`, found `{str(outcome)[:40]}`")
        return cls(name, attempt, _OUTCOMES[outcome], _moment(data.get("started_at")))


def _moment(written: Any) -> float | None:
    if isinstance(written, int | float) and not isinstance(written, bool):
        return float(written)
    return instant(written) if isinstance(written, str) else None


def settles_in(headers: Mapping[str, Payload]) -> bool:
    """Whether the saga that calls an activity wants to hear of an attempt that ends late."""
    return _HEADER in headers


def headers_that_settle(headers: Mapping[str, Payload]) -> Mapping[str, Payload]:
    """Return the headers of an activity with the wish to hear of an attempt that ends late."""
    return with_header(headers, _HEADER, True)
