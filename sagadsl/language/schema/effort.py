"""Bounds the work of checking one value against a JSON Schema. Replay-critical.

The sender of a value can choose it badly, and 250 characters are enough: if alternatives refer to themselves, each
level of the value doubles the work. So the work is counted, in applied keywords of the schema. That number is the
same on every machine; time is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from msgspec import Struct

MOST = 500_000
"""The most units for one check: some seconds. A value of 1 MB under an ordinary schema needs half of them.

Earlier releases counted nothing. But the SDK gives a workflow task two seconds, and so many units take longer. So
no run of an earlier release has passed a check that is refused now.
"""

_PER_UNIT = 100
"""So many characters of a message, or of a searched text, take as long as one keyword."""
_PER_ERROR = 5

Keyword = Callable[[Any, Any, Any, Any], Any]
"""The library calls it with validator, rule, value, schema. It returns an iterable of mistakes, or ``None``."""


class Work(Struct):
    """The work that a check may still do, in units."""

    left: int


_at_hand: ContextVar[Work | None] = ContextVar("_at_hand", default=None)


class TooMuch(Exception):
    """A check that needs more work than it may do."""


@contextmanager
def limited(most: int) -> Iterator[Work]:
    """Limit all checks inside this block to *most* units of work; beyond that ``spend`` raises ``TooMuch``."""
    token = _at_hand.set(work := Work(most))
    try:
        yield work
    finally:
        _at_hand.reset(token)


def spend(units: int) -> None:
    """Count work before it is done. Raises ``TooMuch``. Without a limit it counts nothing."""
    work = _at_hand.get()
    if work is None:
        return
    work.left -= units
    if work.left < 0:
        raise TooMuch


def counted(word: str, apply: Keyword) -> Keyword:
    """Return a keyword of the library that counts its work, and the work to word its mistakes."""
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
    """Count the work to match each key against each pattern."""
    patterns = schema.get("patternProperties", ())
    if not isinstance(value, dict) or not patterns:
        return _of_rule(rule, value, schema)
    return 1 + len(patterns) * sum(1 + len(key) // _PER_UNIT for key in value)


def _squared(_rule: Any, value: Any, _schema: Any) -> int:
    """Count the work of a keyword for which the library searches a list once for each member."""
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
