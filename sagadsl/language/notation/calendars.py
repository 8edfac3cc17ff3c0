"""Reads when a schedule is due: cron's five fields, or a calendar with a name for each field.

Both give the numbers of each field, so two spellings of the same times are equal. As on Temporal, a time has to meet
every field, also day of month and day of week, which cron takes for alternatives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.immutable import Derived, Immutable, field, replace
from sagadsl.later import compiled_later

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_PART = compiled_later(r"(?:\*|([0-9]{1,4}|[a-z]{3})(?:-([0-9]{1,4}|[a-z]{3}))?)(?:/([0-9]{1,4}))?")
_LIKE = "write five fields, minute hour day-of-month month day-of-week, like `30 4 * * mon-fri`"


class NotACalendar(ValueError):
    """A text that names no times.

    Attributes:
        reason: What is wrong with it, in one clause.
        suggestion: What to write instead.
    """

    def __init__(self, reason: str, suggestion: str) -> None:
        super().__init__(reason, suggestion)
        self.reason, self.suggestion = reason, suggestion


class _Range(Immutable):
    """What may stand in one field; the names count from *low*."""

    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS: Mapping[str, _Range] = {
    "second": _Range(0, 59),
    "minute": _Range(0, 59),
    "hour": _Range(0, 23),
    "day_of_month": _Range(1, 31),
    "month": _Range(1, 12, _MONTHS),
    "year": _Range(2000, 2100),
    "day_of_week": _Range(0, 7, _DAYS),
}
"""The fields of a calendar, as Temporal knows them. Sunday is 0, and also 7."""

_CRON = ("minute", "hour", "day_of_month", "month", "day_of_week")


class Calendar(Immutable):
    """The times at which every field has one of its numbers.

    Attributes:
        year: Empty for every year.
        text: As it is written.
    """

    second: tuple[int, ...] = (0,)
    minute: tuple[int, ...] = (0,)
    hour: tuple[int, ...] = (0,)
    day_of_month: tuple[int, ...] = tuple(range(1, 32))
    month: tuple[int, ...] = tuple(range(1, 13))
    year: tuple[int, ...] = ()
    day_of_week: tuple[int, ...] = tuple(range(7))
    text: Derived[str] = field(default="")

    @property
    def names_days_twice(self) -> bool:
        """Whether it limits the day of month and the day of week, so that only days count that meet both."""
        return len(self.day_of_month) < 31 and len(self.day_of_week) < 7


def read_cron(text: str) -> Calendar:
    """Return the times of five fields, or of a word like ``@daily``. Raises ``NotACalendar``."""
    fields = _SHORT.get(text.strip().lower(), text).split()
    if text.lstrip().startswith("@") and len(fields) == 1:
        words = ", ".join(f"`{word}`" for word in _SHORT)
        raise NotACalendar(f"`{text}` is no word of cron that is known here", f"known are {words}; or use `every`")
    if len(fields) != len(_CRON):
        count = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        raise NotACalendar(f"`{text}` has {count}", _LIKE)
    return replace(_calendar(dict(zip(_CRON, fields, strict=True))), text=text.strip())


def read_calendar(data: Mapping[str, Any]) -> Calendar:
    """Return the times of a mapping of fields: numbers, or texts in the manner of cron. Raises ``NotACalendar``."""
    found = _calendar({name: str(value) for name, value in data.items()})
    return replace(found, text=", ".join(f"{name} {value}" for name, value in data.items()))


def spelled(numbers: tuple[int, ...]) -> str:
    """Return numbers as ranges: ``1-5,7``."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs(numbers))


def runs(numbers: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each row of numbers without a gap."""
    begin = 0
    for index in range(1, len(numbers) + 1):
        if index == len(numbers) or numbers[index] != numbers[index - 1] + 1:
            yield numbers[begin], numbers[index - 1]
            begin = index


def _calendar(fields: Mapping[str, str]) -> Calendar:
    numbers: dict[str, Any] = {
        name: _numbers(name, text) for name, text in fields.items() if not (name == "year" and text == "*")
    }
    return Calendar(**numbers)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.lower().split(","):
        found |= _part(name, text, part.strip())
    if name == "day_of_week":
        found = {number % 7 for number in found}
    return tuple(sorted(found))


def _part(name: str, text: str, part: str) -> set[int]:
    range_, words = FIELDS[name], name.replace("_", " ")
    matched = _PART.fullmatch(part)
    if matched is None:
        raise NotACalendar(f"`{text}` is no {words}", f"write {_example(name)}")
    first, last, step = matched.groups()
    high = 6 if name == "day_of_week" else range_.high
    begin = range_.low if first is None else _number(name, text, first)
    end = _number(name, text, last) if last is not None else begin if first is not None and step is None else high
    if end < begin and name == "day_of_week" and last is not None and end == 0:
        end = 7  # `fri-sun`
    if end < begin:
        raise NotACalendar(f"`{part}` in the {words} ends before it begins", "write two ranges, like `22-23,0-5`")
    if step is not None and int(step) == 0:
        raise NotACalendar(f"`{part}` in the {words} has steps of 0", "write a step of at least 1")
    return set(range(begin, end + 1, int(step or 1)))


def _number(name: str, text: str, word: str) -> int:
    range_ = FIELDS[name]
    if word in range_.names:
        return range_.low + range_.names.index(word)
    if not word.isdigit() or not range_.low <= int(word) <= range_.high:
        raise NotACalendar(f"`{text}` is no {name.replace('_', ' ')}", f"write {_example(name)}")
    return int(word)


def _example(name: str) -> str:
    range_ = FIELDS[name]
    words = f", or `{range_.names[1]}`" if range_.names else ""
    return f"a number from {range_.low} to {range_.high}{words}, a range `a-b`, a list `a,b`, or `*/n`"
