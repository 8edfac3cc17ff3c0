"""Reads durations: ``500ms``, ``30s``, ``5m``, ``1h30m``, ``2d``, ``1w``, or ISO 8601 without years and months.

Checks, the build and runs use it, so that a spelling means the same length everywhere. It
knows no clock, and nothing of where a duration is used.
"""

from __future__ import annotations

import re
from datetime import timedelta

from sagadsl.later import compiled_later

PATTERN = (
    r"^(?:(?=[0-9])(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?"
    r"|P(?=[0-9T])(?:[0-9]+W|(?:[0-9]+D)?(?:T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?))$"
)
"""Every accepted spelling; in the syntax of ECMA 262, because the JSON Schema has this pattern too."""

FORMAT = "sagadsl-duration"
"""The ``format`` in the JSON Schema for texts that :func:`is_duration` accepts: no pattern can bound a length."""

SPELLINGS = "`500ms`, `30s`, `5m`, `1h30m`, `2d`, `1w` or ISO 8601 (`PT30S`, `P1DT2H`)"
LONGEST = timedelta(days=36500)
"""Temporal's server counts nanoseconds in 64 bits: 292 years. A round hundred is enough."""

_ACCEPTED = compiled_later(PATTERN)
_PART = compiled_later(r"([0-9]+)([A-Za-z]+)")
_UNITS = (
    ("w", timedelta(weeks=1)),
    ("d", timedelta(days=1)),
    ("h", timedelta(hours=1)),
    ("m", timedelta(minutes=1)),
    ("s", timedelta(seconds=1)),
    ("ms", timedelta(milliseconds=1)),
)
_LENGTH = dict(_UNITS)
_LONG_NAMES = {
    name: unit
    for unit, names in {
        "w": "w week weeks",
        "d": "d day days",
        "h": "h hr hrs hour hours",
        "m": "m min mins minute minutes",
        "s": "s sec secs second seconds",
        "ms": "ms msec msecs milli millis millisecond milliseconds",
    }.items()
    for name in names.split()
}


class NotADuration(ValueError):
    """A value that is not a duration.

    Attributes:
        value: What was found.
        reason: What is wrong with the value, in one clause.
        suggestion: What to write instead, in one clause.
        code: The code of the finding that a check reports for it.
    """

    def __init__(self, value: object, reason: str, suggestion: str, code: str = "SD501") -> None:
        super().__init__(value, reason, suggestion, code)  # every argument, so that pickle can make it again
        self.value, self.reason, self.suggestion, self.code = value, reason, suggestion, code

    def __str__(self) -> str:
        return f"{self.reason}; {self.suggestion}"


def parse(text: object) -> timedelta:
    """Return the length that *text* spells. Raises :class:`NotADuration` with what to write instead.

    It accepts a value of any type, because at run time an expression may give any.
    """
    if not isinstance(text, str):
        raise _not_text(text)
    if not _ACCEPTED.fullmatch(text):
        raise _explain(text)
    iso, body = text.startswith("P"), text.removeprefix("P")
    date, _, time = body.partition("T")
    # `M` means minutes only after the `T`, and the pattern allows it nowhere else.
    parts = _PART.findall((date + time).lower() if iso else text)
    try:
        length = sum((int(number) * _LENGTH[unit] for number, unit in parts), timedelta())
    except (OverflowError, ValueError):  # too many days for a timedelta, or too many digits for an int
        length = timedelta.max
    if length > LONGEST:
        shown = text if len(text) < 30 else f"{text[:27]}..."
        raise NotADuration(text, f"`{shown}` is longer than 100 years", "give a length below `36500d`")
    return length


def is_duration(text: str) -> bool:
    """Whether *text* spells a duration, or holds an expression that will give one."""
    if "{{" in text:
        return True
    try:
        parse(text)
    except NotADuration:
        return False
    return True


def spell(length: timedelta) -> str:
    """Return the shortest spelling of *length*, down to milliseconds: ``1h30m``."""
    if length < timedelta(0):
        return f"-{spell(-length)}"
    rest, text = length // timedelta(milliseconds=1) * timedelta(milliseconds=1), ""
    for unit, size in _UNITS[1:]:  # weeks stay days: `7d` reads as well as `1w`
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _not_text(value: object) -> NotADuration:
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = {True: "true", False: "false", None: "null"}.get(value, "") if value in (True, False, None) else ""
        found = f"`{shown}`" if shown else "a list" if isinstance(value, list) else "a mapping"
        return NotADuration(value, f"a duration is text, not {found}", f"write it like {SPELLINGS}")
    return _bare(value, f"{value:g}" if abs(value) < 1e15 else str(value))


def _bare(value: object, number: str) -> NotADuration:
    whole = number if re.fullmatch(r"[0-9]{1,9}", number) else ""
    suggestion = f"write `{whole}s` (or `PT{whole}S`)" if whole else f"write it like {SPELLINGS}"
    if number.startswith("-"):
        return NotADuration(value, f"a duration cannot be negative: {number}", suggestion)
    return NotADuration(value, f"durations need a unit: {number} could be seconds or milliseconds", suggestion, "SD502")


def _explain(text: str) -> NotADuration:
    """Say what is wrong with *text*, and guess what was meant."""
    like, plain = f"write it like {SPELLINGS}", text.strip()
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    if not plain:
        return NotADuration(text, "a duration cannot be empty", like)
    if re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+", plain, re.ASCII):
        return _bare(text, plain)
    if plain.startswith("-"):
        return NotADuration(text, f"a duration cannot be negative: `{shown}`", like)
    if plain[0] in "Pp":
        return _explain_iso(text, shown, plain.upper())
    if meant := _loosely(plain):
        return NotADuration(text, f"`{shown}` is not a duration", f"write `{meant}`")
    if years := re.fullmatch(r"([0-9]{1,4}) ?(y|years?|mo|months?)", plain, re.IGNORECASE):
        days = int(years[1]) * (365 if years[2].lower().startswith("y") else 30)
        return NotADuration(text, f"`{shown}` has no fixed length", f"count in days, e.g. `{days}d`", "SD503")
    return NotADuration(text, f"`{shown}` is not a duration", like)


def _explain_iso(text: str, shown: str, plain: str) -> NotADuration:
    if plain != text and _ACCEPTED.fullmatch(plain):
        return NotADuration(text, f"`{shown}` is not a duration", f"write `{plain}`")
    if weeks := re.fullmatch(r"PT([0-9]{1,6})([WD])", plain):
        return NotADuration(
            text,
            f"`{shown}` puts {'weeks' if weeks[2] == 'W' else 'days'} after the `T`",
            f"write `P{weeks[1]}{weeks[2]}`",
        )
    date = re.fullmatch(r"P(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,6})D)?(T.*)?", plain)
    if date and (date[1] or date[2]):
        days = int(date[1] or 0) * 365 + int(date[2] or 0) * 30 + int(date[3] or 0)
        named = " and ".join(unit for unit, count in (("years", date[1]), ("months", date[2])) if count)
        return NotADuration(
            text, f"`{shown}` counts {named}, which have no fixed length", f"count in days, e.g. `P{days}D`", "SD503"
        )
    if date := re.fullmatch(r"PT([0-9]{1,9})[.,]([0-9]{1,3})S", plain):
        millis = int(date[1]) * 1000 + int(date[2].ljust(3, "0"))
        return NotADuration(
            text, f"`{shown}` has a decimal fraction", f"write `{spell(timedelta(milliseconds=millis))}`"
        )
    return NotADuration(text, f"`{shown}` is not an ISO 8601 duration", f"write it like {SPELLINGS}")


def _loosely(plain: str) -> str:
    """Read the spellings of other tools: ``30 sec``, ``1h 30m``, ``1.5h``, ``30S``; empty for any other text."""
    found = re.findall(r"([0-9]{1,9})(?:\.([0-9]{1,6}))? ?([A-Za-z]+)", plain)
    if re.sub(r"[0-9]+(?:\.[0-9]+)? ?[A-Za-z]+(?:,? (?:and )?)?", "", f"{plain} ").strip():
        return ""
    length = timedelta()
    for whole, fraction, name in found:
        unit = _LONG_NAMES.get(name.lower())
        if unit is None:
            return ""
        length += int(whole) * _LENGTH[unit] + _LENGTH[unit] * int(fraction or 0) / 10 ** len(fraction)
    return spell(length) if found and length <= LONGEST else ""
