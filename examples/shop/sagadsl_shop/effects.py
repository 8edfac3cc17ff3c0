"""What the activities have done: lines in a log, each effect once per key. Knows no activity by name.

The log is the file that ``SAGADSL_SHOP_LOG`` names, which all worker processes share; without it
each process has its own, in memory.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG = "SAGADSL_SHOP_LOG"

_memory: list[Effect] = []


class AlreadyUndone(Exception):
    """The undo of this key came first, so the effect must not happen any more."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One line of the log.

    Attributes:
        name: What was done, e.g. ``book_hotel``.
        key: Under which idempotency key: of the step itself, also when the step was undone.
        data: What came out of it.
        undoes: This line takes back what the key did.
    """

    name: str
    key: str
    data: dict[str, Any]
    undoes: bool = False


def do(name: str, key: str, data: dict[str, Any]) -> dict[str, Any]:
    """Note an effect, unless its key has had one; return what came out of it the first time."""

    def judge(log: list[Effect]) -> tuple[Effect | None, dict[str, Any]]:
        mine = [effect for effect in log if effect.key == key]
        if any(effect.undoes for effect in mine):
            raise AlreadyUndone(key)
        if mine:
            return None, mine[0].data
        return Effect(name, key, data), data

    return _transact(judge)


def undo(name: str, key: str) -> dict[str, Any]:
    """Take back what *key* did, once; a key that never did anything is refused from now on."""

    def judge(log: list[Effect]) -> tuple[Effect | None, dict[str, Any]]:
        mine = [effect for effect in log if effect.key == key]
        if any(effect.undoes for effect in mine):
            return None, {"undone": bool(mine) and not mine[0].undoes}
        result = {"undone": bool(mine)}
        return Effect(name, key, result, undoes=True), result

    return _transact(judge)


def happened(key: str) -> bool:
    """Whether *key* did something that still stands."""
    mine = [effect for effect in read() if effect.key == key]
    return bool(mine) and not any(effect.undoes for effect in mine)


def read() -> list[Effect]:
    """Return the whole log, oldest line first."""
    path = os.environ.get(LOG)
    if path is None:
        return list(_memory)
    return _parse(Path(path).read_text("utf-8")) if Path(path).exists() else []


def forget() -> None:
    """Empty the log of this process; a file is its owner's to remove."""
    _memory.clear()


def _transact(judge: Callable[[list[Effect]], tuple[Effect | None, dict[str, Any]]]) -> dict[str, Any]:
    """Decide and write as one, so that two attempts at once cannot both find nothing."""
    path = os.environ.get(LOG)
    if path is None:
        added, result = judge(_memory)
        if added is not None:
            _memory.append(added)
        return result
    with Path(path).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        added, result = judge(_parse(file.read()))
        if added is not None:
            line = {"name": added.name, "key": added.key, "data": added.data, "undoes": added.undoes}
            file.write(json.dumps(line) + "\n")
    return result


def _parse(text: str) -> list[Effect]:
    return [Effect(**json.loads(line)) for line in text.splitlines()]
