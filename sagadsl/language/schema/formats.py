"""The values of ``format`` in JSON Schema that are checked. Replay-critical.

Every way to start a saga checks the same formats. ``validate`` warns of all others, which check nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from sagadsl.language.notation.patterns import backtracking

_DATE = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_TIME = (
    r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|[-+](?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}))"
)
_BELOW = {"hour": 24, "minute": 60, "second": 61, "hours": 24, "minutes": 60}  # second 60 is a leap second
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"
_CLOCK = r"T(?=[0-9])(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?"
_URI = r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2})*"
_REFERENCE = f"{_URI}(?:#{_URI})?"


_compiled = lru_cache(maxsize=None)(re.compile)
"""When the first text is checked: most definitions name none of these formats."""


def _like(pattern: str) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        found = _compiled(pattern).fullmatch(text)
        return found is not None and _on_the_clock(found.groupdict())

    return check


def _on_the_clock(parts: Mapping[str, str | None]) -> bool:
    """Say whether the parts of a date and a time exist, such as the hour 23, but not the hour 24."""
    if any(int(parts.get(name) or 0) >= end for name, end in _BELOW.items()):
        return False
    if "year" in parts:
        with suppress(ValueError):
            return bool(date(int(parts["year"] or 0), int(parts["month"] or 0), int(parts["day"] or 0)))
        return False
    return True


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except (AddressValueError, re.error, OverflowError, RecursionError):
            return False
        return True

    return check


CHECKED: Mapping[str, Callable[[str], bool]] = {
    "date": _like(_DATE),
    "time": _like(_TIME),
    "date-time": _like(f"{_DATE}[Tt]{_TIME}"),
    "duration": _like(rf"P(?:[0-9]+W|(?=[0-9T])(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+D)?(?:{_CLOCK})?)"),
    "email": _like(rf"[^\s@\x00-\x1f\x7f]{{1,64}}@{_HOST}"),
    "hostname": _like(_HOST),
    "ipv4": _reads(IPv4Address),
    "ipv6": _reads(IPv6Address),
    "uri": _like(rf"[A-Za-z][A-Za-z0-9+.-]*:{_REFERENCE}"),
    "uri-reference": _like(_REFERENCE),
    "uuid": _like(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
    "json-pointer": _like(r"(?:/(?:[^~/]|~[01])*)*"),
    "regex": _reads(backtracking),
}
"""The formats, each with the function that says whether a text has this format."""
