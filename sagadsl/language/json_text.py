"""JSON text, read strictly: numbers that JSON cannot carry are refused wherever they come from.

Python reads ``NaN``, ``Infinity`` and ``1e999`` without a word, and writes what no other language reads (Y20).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

_SUSPICIOUS = re.compile(rb"NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{309}")


def read_json(text: str | bytes, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return what a text of JSON says. Raises ``ValueError``.

    Args:
        pairs: Makes an object of its keys and values.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_float, object_pairs_hook=pairs)


def is_finite(value: Any) -> bool:
    """Whether every number in a value is one that JSON can carry."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    except (TypeError, RecursionError):  # whoever sends it says what is wrong
        return True
    return True


def is_strict(raw: bytes) -> bool:
    """The same of JSON that somebody has written; a quick look spares most of it being read."""
    if _SUSPICIOUS.search(raw) is None:
        return True
    try:
        read_json(raw)
    except ValueError:
        return False
    return True


def spelled_out(value: Any) -> Any:
    """Return a value with text in place of such numbers, for whoever shows what an old history holds."""
    if is_finite(value):
        return value
    match value:
        case dict():
            return {key: spelled_out(item) for key, item in value.items()}
        case list():
            return [spelled_out(item) for item in value]
        case _:
            return json.dumps(value)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"`{text[:40]}` is a number that JSON cannot carry")
    return value


def _refuse(word: str) -> Any:
    raise ValueError(f"`{word}` is no JSON number")
