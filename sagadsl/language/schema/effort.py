"""Bounds the work of checking one value against a JSON Schema. Replay-critical.

The sender of a value can choose it badly, and 250 characters are enough: if alternatives refer to themselves, each
level of the value doubles the work. So the work is counted, in applied keywords of the schema. That number is the
same on every machine; time is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

MOST = 500_000
"""Units of one check: some seconds. A value of 1 MB under a schema as people write it is half of that.

The SDK gives a workflow task two seconds, and so much takes longer: a run of an earlier release, which counted
nothing, has not passed a check that is refused now.
"""

_PER_UNIT = 100
"""Characters of a message, or of a text that is looked through, that take as long as a keyword."""
_PER_ERROR = 5

Keyword = Callable[[Any, Any, Any, Any], Any]
"""As the library calls it: validator, rule, value, schema; returns an iterable of mistakes, or ``None``."""


@dataclass(slots=True)
class Work:
    """The work that a check may still be, in units."""

    left: int


_at_hand: ContextVar[Work | None] = ContextVar("_at_hand", default=None)


class TooMuch(Exception):
    """A check needs more work than it may."""


@contextmanager
def limited(most: int) -> Iterator[Work]:
    """Let what is checked inside this block be so many units of work; beyond them ``spend`` raises ``TooMuch``."""
    token = _at_hand.set(work := Work(most))
    try:
        yield work
    finally:
        _at_hand.reset(token)


def spend(units: int) -> None:
    """Count work that is about to be done. Raises ``TooMuch``. Where no limit is set, nothing is counted."""
    work = _at_hand.get()
    if work is None:
        return
    work.left -= units
    if work.left < 0:
        raise TooMuch


def counted(word: str, apply: Keyword) -> Keyword:
    """Return a keyword of the library that counts its work, and that of wording its mistakes."""
    cost = _COSTS.get(word, _of_rule)

    def keyword(check: Any, rule: Any, value: Any, schema: Any) -> Iterator[Any]:
        spend(cost(rule, value, schema))
        for error in apply(check, rule, value, schema) or ():
            spend(_PER_ERROR + len(error.message) // _PER_UNIT)
            yield error

    return keyword


def _of_rule(rule: Any, _value: Any, _schema: Any) -> int:
    return 1 + (len(rule) // 10 if isinstance(rule, list | dict) else 0)


def _of_text(_rule: Any, value: Any, _schema: Any) -> int:
    return 1 + (len(value) // _PER_UNIT if isinstance(value, str) else 0)


def _of_format(rule: Any, value: Any, schema: Any) -> int:
    return len(value) if rule == "regex" and isinstance(value, str) else _of_text(rule, value, schema)


def _of_keys(rule: Any, value: Any, schema: Any) -> int:
    """Each key is matched by each pattern."""
    patterns = schema.get("patternProperties", ())
    if not isinstance(value, dict) or not patterns:
        return _of_rule(rule, value, schema)
    return 1 + len(patterns) * sum(1 + len(key) // _PER_UNIT for key in value)


def _squared(_rule: Any, value: Any, _schema: Any) -> int:
    """The library looks for each member in the list of those that are known."""
    return 1 + (len(value) ** 2 // 500 if isinstance(value, list | dict) else 0)


_COSTS: dict[str, Callable[[Any, Any, Any], int]] = {
    "pattern": _of_text,
    "format": _of_format,
    "patternProperties": _of_keys,
    "additionalProperties": _of_keys,
    "unevaluatedItems": _squared,
    "unevaluatedProperties": _squared,
    "multipleOf": lambda _rule, _value, _schema: 5,
    **dict.fromkeys(("$ref", "$dynamicRef"), lambda _rule, _value, _schema: 3),
    **dict.fromkeys(("enum", "const"), lambda _rule, _value, _schema: 1),  # they look it up, and count its text
}
