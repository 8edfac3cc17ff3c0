"""Things that are kept because somebody has used them lately: as many as fit into so many bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")


class Recent(Generic[Key, Kept]):
    """A mapping that forgets what nobody has used for the longest time.

    Args:
        most: Bytes that everything in it may have together. Something larger is not kept at all.
    """

    __slots__ = ("_found", "_left", "_most")

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._found: OrderedDict[Key, tuple[Kept, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: Key) -> Kept | None:
        """Return what is kept under *key*, and keep it for longer; ``None`` if nothing is."""
        found = self._found.get(key)
        if found is None:
            return None
        self._found.move_to_end(key)
        return found[0]

    def keep(self, key: Key, what: Kept, size: int) -> None:
        """Keep *what*, which has *size* bytes, in place of what was kept under *key*."""
        _, before = self._found.pop(key, (None, 0))
        self._left += before
        if size > self._most:
            return
        self._found[key] = what, size
        self._left -= size
        while self._left < 0:
            _, (_, freed) = self._found.popitem(last=False)
            self._left += freed
