"""Reads and writes moments: RFC 3339 with its offset, as ``sleep_until`` takes it. Replay-critical.

Checks and runs use it, so that a run can wait for every moment that ``validate`` accepts. It knows no clock.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sagadsl.later import compiled_later

LATEST = datetime(2126, 1, 1, tzinfo=UTC)
"""The latest moment that a definition may name: a run waits for a hundred years at most, whenever it begins."""

_RFC_3339 = compiled_later(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def read_moment(text: object) -> datetime | None:
    """Return the moment that a text spells; ``None`` for anything else, or for a moment without an offset."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def spell_moment(moment: datetime) -> str:
    """Return a moment in UTC, to the millisecond: the one form in which sagadsl writes moments."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def has_form(text: str) -> bool:
    """Whether a text has the form of RFC 3339. Python also reads other forms; editors and other languages do not."""
    return _RFC_3339.fullmatch(text) is not None


def instant(text: str | None) -> float | None:
    """Return a moment in the form of RFC 3339 as seconds since 1970; ``None`` for anything else."""
    found = read_moment(text) if text is not None and has_form(text) else None
    return None if found is None else found.timestamp()
