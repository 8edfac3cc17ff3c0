"""Texts to look for in other texts, in a time that does not grow with their number."""

from __future__ import annotations

from bisect import bisect_left, insort

SHOWN = "***"
"""Stands in the place of a text that is not shown."""

SHORTEST = 4
"""Characters of the shortest text that is looked for inside of others: a shorter one is in many words."""

_FEW = 16
"""So many texts are looked for one by one."""


class SecretTexts:
    """A set of texts, which may grow."""

    __slots__ = ("_all", "_in_order", "_lengths", "_longest", "_shown")

    def __init__(self) -> None:
        self._all: set[str] = set()
        self._in_order: list[str] = []
        self._lengths: dict[str, set[int]] = {}
        self._longest = 0
        self._shown: set[str] = set()

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, text: str) -> bool:
        return text in self._all

    def add(self, text: str) -> None:
        """Add a text that is not empty."""
        if text in self._all:
            return
        self._all.add(text)
        if len(text) < SHORTEST:
            return
        insort(self._in_order, text)
        self._lengths.setdefault(text[:SHORTEST], set()).add(len(text))
        self._longest = max(self._longest, len(text))
        if SHOWN[0] in text:
            self._shown.add(text)

    def within(self, text: str) -> list[str]:
        """Return those that stand inside of *text*, or may do so after others were replaced; the longest first."""
        if len(self._in_order) <= _FEW:
            found = {each for each in self._in_order if each in text} | self._shown
        else:
            found = {*self._shown, *self._looked_up(text)}
        return sorted(found, key=lambda each: (-len(each), each))

    def _looked_up(self, text: str) -> set[str]:
        lengths, found = self._lengths, set[str]()
        for start in range(len(text) - SHORTEST + 1):
            for length in lengths.get(text[start : start + SHORTEST], ()):
                if (each := text[start : start + length]) in self._all:
                    found.add(each)
        return found

    def beginning_at_end(self, text: str) -> int:
        """Return how many characters at the end of *text* are the beginning of one of them; 0 if fewer than
        ``SHORTEST`` are."""
        for start in range(max(0, len(text) - self._longest), len(text) - SHORTEST + 1):
            if text[start : start + SHORTEST] in self._lengths:
                end = text[start:]
                at = bisect_left(self._in_order, end)
                if at < len(self._in_order) and self._in_order[at].startswith(end):
                    return len(end)
        return 0
