"""Which known name did the author mean? Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that *name* most likely stands for, or ``None``.

    A name that is a whole word of a known one counts too: ``refund`` means
    ``payments.refund``, which edit distance alone would miss.
    """
    names = sorted(set(known))
    folded: dict[str, str] = {}
    for each in names:
        folded.setdefault(_fold(each), each)
    found = get_close_matches(_fold(name), folded, n=1, cutoff=0.7)
    if found:
        return folded[found[0]]
    words = set(_fold(name).split())
    return next((each for each in names if words and words <= set(_fold(each).split())), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean `x`?``, or nothing when no known name is close."""
    found = closest(name, known)
    return "" if found is None or found == name else f"did you mean `{found}`?"


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Return names in backticks, sorted, cut off after *limit*; ``none`` when there are none."""
    every = sorted(set(names))
    shown = ", ".join(f"`{name}`" for name in every[:limit])
    more = len(every) - limit
    return f"{shown} and {more} more" if more > 0 else shown or "none"


def _fold(name: str) -> str:
    return name.lower().replace("-", " ").replace("_", " ").replace(".", " ")
