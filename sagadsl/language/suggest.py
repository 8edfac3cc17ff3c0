"""Suggests the nearest name of a list: "did you mean …?". It does not know what the names mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

_NEAR = 0.7
"""The least likeness: below it a suggestion misleads more often than it helps."""


def closest(word: str, names: Iterable[str], near: float = _NEAR) -> str | None:
    """Return the name of *names* that *word* was probably meant to be, or ``None`` if none is so *near*.

    Case, ``-`` and camelCase do not count. If two names are equally near, the first in
    alphabetical order wins, so that the answer does not depend on the order of *names*.
    """
    wanted = _plain(word)
    best, likeness = None, 0.0
    for name in sorted(set(names)):
        if name == word:
            continue
        now = _likeness(wanted, _plain(name))
        if now > likeness:
            best, likeness = name, now
    return best if likeness >= near else None


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return ``did you mean `x`?``, or nothing when no name is near."""
    found = closest(word, names)
    return "" if found is None else f"did you mean `{found}`?"


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Return the names in backticks, sorted, cut off after *limit*; ``none`` when there are none."""
    every = sorted(set(names))
    shown = ", ".join(f"`{name}`" for name in every[:limit])
    more = len(every) - limit
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def counted(number: int, one: str, many: str) -> str:
    """Return the *number* of things with their word: ``1 saga``, ``2 sagas``."""
    return f"{number} {one if number == 1 else many}"


class Suggestions:
    """:func:`closest` for all mistakes of one definition, with one bound: thousands of mistakes would take minutes."""

    def __init__(self, comparisons: int = 20_000) -> None:
        self._left = comparisons

    def closest(self, word: str, names: Iterable[str]) -> str | None:
        """Return the nearest name; ``None`` when no name is near, or when there have been enough suggestions."""
        if self.are_over:
            return None
        known = tuple(names)
        self._left -= len(known)
        return closest(word, known) if self._left >= 0 else None

    @property
    def are_over(self) -> bool:
        """Whether there have been enough suggestions, so that lists of names can be left out too."""
        return self._left < 0


def _plain(name: str) -> str:
    """Return a name in plain form: ``max_attempts`` for ``maxAttempts`` and ``max-attempts``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").casefold()


def _at_best(wanted: str, name: str) -> float:
    """Return what difflib could at most say of two names, by the letters that they share in any order."""
    shared = sum((Counter(wanted) & Counter(name)).values())
    return 2.0 * shared / (len(wanted) + len(name) or 1)


def _ratio(wanted: str, name: str) -> float:
    from difflib import SequenceMatcher  # noqa: PLC0415 # who makes no mistake need not load it

    return SequenceMatcher(None, wanted, name, autojunk=False).ratio()


def _likeness(wanted: str, name: str) -> float:
    if wanted == name:
        return 1.0
    if _last(wanted) == _last(name) and ("." in wanted) != ("." in name):
        return 0.95  # `refund` for `payments.refund`: difflib finds them far apart
    if len(wanted) > 1 and sorted(wanted) == sorted(name):
        return 0.9  # swapped letters: in a short word difflib finds too little likeness
    ratio = _ratio(wanted, name) if _at_best(wanted, name) >= _NEAR else 0.0
    if len(wanted) > 3 and (name.startswith(wanted) or (wanted.startswith(name) and len(name) > 3)):
        ratio = max(ratio, 0.75)
    if _abbreviates(wanted, name):
        ratio = max(ratio, 0.8)
    return ratio


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _abbreviates(wanted: str, name: str) -> bool:
    """Whether *wanted* abbreviates *name*, as ``max_attempts`` does ``maximum_attempts``: each word begins alike."""
    ours, theirs = wanted.split("_"), name.split("_")
    return len(ours) == len(theirs) > 1 and all(
        len(short) > 1 and long.startswith(short) for short, long in zip(ours, theirs, strict=True)
    )
