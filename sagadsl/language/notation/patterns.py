"""Matches regular expressions of JSON Schema, which follow ECMA 262, in linear time. Replay-critical.

Neither authors of definitions nor senders of values are trusted. With Python's library, 27 characters can keep a worker
busy for seconds, and each further one doubles the time. So RE2 matches the patterns, in time proportional to the
text. Patterns that Python does not know, or that need more than linear time (lookahead, lookbehind, backreferences),
do not compile, and the check of schemas says so.

ECMA 262 and these libraries differ where nobody looks: Python's ``$`` also matches before a newline at the end, its
``\\d`` takes the digits of every script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.later import compiled_later

_PART = compiled_later(r"\\u[0-9A-Fa-f]{4}|\\.|\[\^?\]?|\{,|.", re.DOTALL)
_SPACES = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_OUTSIDE = {"$": r"\Z", ".": r"[^\n\r\u2028\u2029]", r"\s": f"[{_SPACES}]", r"\S": f"[^{_SPACES}]", "{,": "{0,"}
_INSIDE = {r"\s": _SPACES}
_UNICODE = compiled_later(r"\\u([0-9A-Fa-f]{4})")
_LARGEST = 2 << 20
"""The most bytes of memory for one pattern, besides its cache for texts."""
_REASONS = (
    ("(?=", "it looks ahead"),
    ("(?!", "it looks ahead"),
    ("(?<=", "it looks behind"),
    ("(?<!", "it looks behind"),
    ("repetition size", "it repeats something more than 1,000 times"),
    ("too large", "it is too large"),
    ("invalid escape sequence", "it refers back to a group, or escapes a character that needs no escape"),
)

Search = Callable[[str], bool]
"""Says whether a pattern matches somewhere in a text."""


class Pattern(Immutable):
    """A pattern that RE2 matches."""

    compiled: Any

    def is_in(self, text: str) -> bool:
        """Say whether it matches somewhere in *text*."""
        return self.compiled.search(_utf8(text)) is not None

    def groups_in(self, text: str) -> list[str | None] | None:
        """Return what its groups match where it first matches, or all that it matches there if it has no groups."""
        found = self.compiled.search(_utf8(text))
        if found is None:
            return None
        groups = found.groups() or (found.group(),)
        return [None if each is None else each.decode() for each in groups]


class NotLinear(ValueError):
    """A regular expression that cannot be matched in linear time. The message says why, in one clause."""


@lru_cache(maxsize=1024)
def backtracking(pattern: str) -> Search:
    """Return *pattern* as Python matches it, for the patterns of our own schemas. Raises ``re.error``."""
    found = re.compile("".join(_translated(pattern)), re.ASCII)
    return lambda text: found.search(text) is not None


def linear(pattern: str) -> Search:
    """Return *pattern* in linear time. Raises as :func:`compiled` does."""
    return compiled(pattern).is_in


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Pattern:
    """Return *pattern* for RE2. Raises ``re.error`` if Python cannot read it, or ``NotLinear``."""
    import re2  # noqa: PLC0415 # late: a command that checks no text need not load it

    backtracking(pattern)
    options = re2.Options()
    options.log_errors, options.max_mem = False, _LARGEST
    try:
        return Pattern(re2.compile(_for_re2(pattern), options))
    except re2.error as error:
        raise NotLinear(_reason(str(error))) from None


def linear_or_any(pattern: str) -> Search:
    """Return *pattern* for a run that began with a release that accepted every pattern: here, too, it is accepted."""
    try:
        return linear(pattern)
    except NotLinear:
        return backtracking(pattern)


def linear_or_none(pattern: str) -> Search | None:
    """Return *pattern* in linear time; ``None`` when that is impossible, so that nobody can say which texts fit."""
    try:
        return linear(pattern)
    except NotLinear:
        return None


def _reason(said: str) -> str:
    return next((reason for part, reason in _REASONS if part in said), said)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # the text holds half a character
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _for_re2(pattern: str) -> bytes:
    return _utf8("".join(map(_part_for_re2, _translated(pattern))))


def _part_for_re2(part: str) -> str:
    if part == r"\Z":
        return r"\z"
    if len(part) == 2 and part[0] == "\\" and (part[1] == "_" or not part.isascii()):
        return part[1]  # needs no escape, and RE2 accepts none
    return _UNICODE.sub(r"\\x{\1}", part)


def _translated(pattern: str) -> list[str]:
    parts, inside = [], False
    for part in _PART.findall(pattern):
        if inside and part.startswith("["):  # inside a class, `[` opens nothing
            parts.append("".join(rf"\{char}" if char == "[" else char for char in part))
            inside = not part.endswith("]")
        else:
            parts.append((_INSIDE if inside else _OUTSIDE).get(part, part))
            inside = part != "]" if inside else part.startswith("[")
    return parts
