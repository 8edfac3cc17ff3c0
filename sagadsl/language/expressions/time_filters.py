"""The filters for moments and lengths of time. Replay-critical.

A moment is RFC 3339 text with its offset, a length of time is text as in ``sleep``. Every filter but ``in_zone`` gives
moments in one form, UTC to the millisecond, as ``saga.now`` has it. In this form text is ordered as time is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from sagadsl.language.expressions.data import Budget, ExpressionError, refuse
from sagadsl.language.expressions.filter_arguments import as_text, as_whole
from sagadsl.language.notation import durations
from sagadsl.language.notation.moments import has_form, read_moment, spell_moment
from sagadsl.language.notation.zones import zone, zone_names
from sagadsl.language.suggest import did_you_mean
from sagadsl.later import compiled_later

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_LONGEST = 100
"""The most characters of a length of time, or of the name of a zone."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MOST_DAYS = 3_700_000
_CLOCK = compiled_later(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_LETTER = compiled_later(r"%(.?)", re.DOTALL)

_LETTERS: Mapping[str, Callable[[datetime], str]] = {
    "%": lambda _: "%",
    "A": lambda at: _DAYS[at.weekday()],
    "B": lambda at: _MONTHS[at.month - 1],
    "G": lambda at: f"{at.isocalendar().year:04}",
    "H": lambda at: f"{at.hour:02}",
    "I": lambda at: f"{(at.hour + 11) % 12 + 1:02}",
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
    "V": lambda at: f"{at.isocalendar().week:02}",
    "Y": lambda at: f"{at.year:04}",
    "a": lambda at: _DAYS[at.weekday()][:3],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "d": lambda at: f"{at.day:02}",
    "f": lambda at: f"{at.microsecond:06}",
    "j": lambda at: f"{at.timetuple().tm_yday:03}",
    "m": lambda at: f"{at.month:02}",
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "u": lambda at: str(at.isoweekday()),
    "z": lambda at: at.isoformat()[-6:].replace(":", ""),
}
"""What each letter after ``%`` stands for; not by the platform's ``strftime``, which differs between machines."""


def moment_of(value: Any, asker: str) -> datetime:
    """Return the moment that a text writes, without what is smaller than a millisecond."""
    text = as_text(value, asker)
    found = read_moment(text) if has_form(text) else None
    if found is None:
        refuse(f"{asker} needs a moment with its offset, e.g. `2026-01-31T09:00:00Z`", value)
    return found - timedelta(microseconds=found.microsecond % 1000)


def length_of(value: Any, asker: str) -> timedelta:
    """Return the length that a text spells."""
    if isinstance(value, str) and len(value) > _LONGEST:
        refuse(f"{asker} needs a length of time", value)
    try:
        return durations.parse(value)
    except durations.NotADuration as error:
        raise ExpressionError(f"{asker} needs a length of time: {error}") from None


def _sum(moment: datetime, length: timedelta, asker: str) -> str:
    try:
        return spell_moment(moment.astimezone(UTC) + length)
    except OverflowError:
        raise ExpressionError(f"{asker} gives a moment before the year 1 or after the year 9999") from None


def _plus(_budget: Budget, value: Any, length: Any) -> str:
    return _sum(moment_of(value, "`plus`"), length_of(length, "`plus`"), "`plus`")


def _minus(_budget: Budget, value: Any, length: Any) -> str:
    return _sum(moment_of(value, "`minus`"), -length_of(length, "`minus`"), "`minus`")


def _until(_budget: Budget, value: Any, moment: Any) -> str:
    away = moment_of(moment, "`until`") - moment_of(value, "`until`")
    return durations.spell(max(away, timedelta()))


def _seconds(_budget: Budget, value: Any) -> int | float:
    text = as_text(value, "`seconds`")
    length = moment_of(text, "`seconds`") - _EPOCH if has_form(text) else length_of(text, "`seconds`")
    whole, rest = divmod(length // _MILLISECOND, 1000)
    return whole + rest / 1000 if rest else whole


def _in_zone(_budget: Budget, value: Any, name: Any) -> str:
    moment, there = moment_of(value, "`in_zone`"), zone_of(name)
    try:
        text = moment.astimezone(there).isoformat(timespec="milliseconds")
    except OverflowError:
        raise ExpressionError("`in_zone` gives a moment before the year 1 or after the year 9999") from None
    if not has_form(text):
        raise ExpressionError(f"`in_zone` cannot write this moment: {name} had an offset with seconds then")
    return text


def _at(_budget: Budget, value: Any, clock: Any, zone: Any, days: Any = 0) -> str:
    """Return when the clocks of a zone show a time, on the day that they have at a moment or some days from it.

    Where clocks go forward over this time, they count as if they had not; where they show it twice, the first counts.
    """
    moment, time, there = moment_of(value, "`at`"), clock_of(clock), zone_of(zone, "`at`")
    away = timedelta(days=days_of(days))
    try:
        day = moment.astimezone(there).date() + away
        return spell_moment(datetime.combine(day, time, there).astimezone(UTC))
    except OverflowError:
        raise ExpressionError("`at` gives a moment before the year 1 or after the year 9999") from None


def clock_of(value: Any) -> time:
    """Return the time of day that a text writes."""
    found = _CLOCK.fullmatch(as_text(value, "the time of `at`"))
    if found is None:
        refuse("`at` needs a time such as `09:00` or `17:30:15`", value)
    hour, minute, second = (int(part or 0) for part in found.groups())
    return time(hour, minute, second)


def days_of(value: Any) -> int:
    """Return the number of days from a moment to another day."""
    return as_whole(value, "the days of `at`", -_MOST_DAYS, _MOST_DAYS)


def zone_of(name: Any, asker: str = "`in_zone`") -> ZoneInfo:
    """Return the zone that a text names."""
    if len(as_text(name, f"the zone of {asker}")) > _LONGEST:
        refuse(f"{asker} needs the name of a time zone", name)
    found = zone(name)
    if found is None:
        hint = did_you_mean(name, zone_names()) or "zones have names such as `Europe/Berlin`"
        raise ExpressionError(f"there is no time zone `{name}`; {hint}")
    return found


def _format_time(budget: Budget, value: Any, pattern: Any) -> str:
    moment, text = moment_of(value, "`format_time`"), budget.text(pattern_of_time(pattern))
    return budget.text(_LETTER.sub(lambda found: _LETTERS[found[1]](moment), text))


def pattern_of_time(pattern: Any) -> str:
    """Return a pattern for ``format_time`` whose letters are all known."""
    text = as_text(pattern, "the pattern of `format_time`")
    for found in _LETTER.finditer(text):
        if found[1] not in _LETTERS or not found[1]:
            known = " ".join(f"%{letter}" for letter in _LETTERS)
            raise ExpressionError(f"`format_time` does not know `{found[0]}`; it knows {known}")
    return text


TIME_FILTERS: Mapping[str, Callable[..., Any]] = {
    "at": _at,
    "format_time": _format_time,
    "in_zone": _in_zone,
    "minus": _minus,
    "plus": _plus,
    "seconds": _seconds,
    "until": _until,
}
