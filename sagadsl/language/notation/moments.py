"""Reads moments: RFC 3339 with its offset, as ``sleep_until`` takes it. Replay-critical.

Checks and runs use it, so that a run can wait for every moment that ``validate`` accepts. It knows no clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

LATEST = datetime(2126, 1, 1, tzinfo=UTC)
"""The latest moment that a definition may name: a run waits for a hundred years at most, whenever it begins."""

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def read_moment(text: object) -> datetime | None:
    """Return the moment that a text spells; ``None`` for anything else, or for a moment without an offset."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def has_form(text: str) -> bool:
    """Whether a text has the form of RFC 3339. Python also reads other forms; editors and other languages do not."""
    return _RFC_3339.fullmatch(text) is not None
