"""A part of a long status: so many steps, in their order, behind one of them.

A saga of thousands of steps shows its steps in parts. Whoever reads them says behind which step the next part begins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sagadsl.immutable import Immutable

MOST = 2_000
"""How many steps a status shows one by one; the answer to a query has at most 2 MB (R52)."""

PAGE = 100
"""How many steps a part has if nobody says it."""


_KINDS = 20
"""The most steps that come too often to show one by one, and are named."""


class Part(Immutable):
    """Which steps a reader wants to see.

    Attributes:
        limit: How many, at most.
        after: The path of the step behind which they begin; empty: they begin with the first step.
    """

    limit: int = MOST
    after: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"limit": self.limit, "after": self.after}

    @classmethod
    def read(cls, data: Any) -> Part | None:
        """Return the part that a query asks for; ``None`` when it asks for none, or for none that makes sense."""
        if not isinstance(data, Mapping):
            return None
        limit, after = data.get("limit", MOST), data.get("after", "")
        is_number = isinstance(limit, int) and not isinstance(limit, bool)
        return cls(max(1, min(limit, MOST)), after) if is_number and isinstance(after, str) else None

    def of(self, paths: Sequence[str]) -> tuple[slice, dict[str, Any]]:
        """Return where the part is among the paths of all steps, and what a status says of it.

        ``first`` is the number of its first step and ``of`` that of the last one there is; ``next`` is the step behind
        which the next part begins, ``None`` behind the last step. Without the step ``after`` there is no part, and
        ``first`` is ``None``.
        """
        if self.after and self.after not in paths:
            return slice(0), {"first": None, "of": len(paths), "next": None}
        begin = paths.index(self.after) + 1 if self.after else 0
        end = min(begin + self.limit, len(paths))
        following = paths[end - 1] if begin < end < len(paths) else None
        return slice(begin, end), {"first": begin + 1, "of": len(paths), "next": following}


def in_part(status: Mapping[str, Any], part: Part | None) -> dict[str, Any]:
    """Return *status* with the steps of a part alone, if whoever has answered has not left out the others already."""
    if part is None or "part" in status:
        return dict(status)
    steps = status.get("steps", [])
    where, said = part.of([step["path"] for step in steps])
    return {**status, "steps": steps[where], "part": said}


def counted(left_out: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return what to say of steps that are only counted: their id, and how many of them have which status. Of very many
    different steps it is said together, with how many they are instead of an id."""
    if len(left_out) <= _KINDS:
        return [(str(each["step"]), words(each)) for each in left_out]
    together: Counter[str] = Counter()
    for each in left_out:
        together.update({word: number for word, number in each.items() if word != "step"})
    return [(f"{len(left_out):,} more steps", words(together))]


def words(numbers: Mapping[str, Any]) -> str:
    """Return numbers by status in words: ``3 completed, 1 to undo``."""
    return ", ".join(f"{number:,} {word.replace('_', ' ')}" for word, number in numbers.items() if word != "step")
