"""Reads JSON text strictly, wherever it comes from: it refuses text that two readers could understand differently.

Python silently reads ``NaN``, ``Infinity`` and ``1e999``, and writes what no other language reads. When a key comes
twice, readers differ in which one they take. Other languages replace half a character by another character, and
a number beyond every double becomes infinity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sagadsl.later import compiled_later

_SUSPICIOUS = compiled_later(rb"NaN|Infinity|[eE]\+?[0-9]{3}|[0-9]{309}")
MAX_DEPTH = 200
"""The most levels of lists and objects. In deeper data, each walk would meet Python's limit at another depth."""
_HALF = compiled_later("[\ud800-\udfff]")
_MOST_DIGITS = 310
"""No double has more digits before its point, so a longer number is too large without being read."""


def read_json(text: str | bytes) -> Any:
    """Return the value of a JSON text (UTF-8, with or without its mark). Raises ``ValueError`` with one clause."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        found = json.loads(
            text.removeprefix("\ufeff"),
            parse_constant=_refuse,
            parse_float=_float,
            parse_int=whole_number,
            object_pairs_hook=_object,
        )
        if text.count("[") + text.count("{") > MAX_DEPTH and _is_deep(found):
            raise RecursionError
        if "\\u" in text or not text.isascii():
            whole_texts(found)
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} is not UTF-8") from None
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    return found


def _is_deep(value: Any) -> bool:
    """Whether a value is nested too deeply. It uses no recursion, which would itself meet Python's limit."""
    level, depth = [value] if isinstance(value, list | dict) else [], 0
    while level and depth <= MAX_DEPTH:
        inner = (each for outer in level for each in (outer.values() if isinstance(outer, dict) else outer))
        level = [each for each in inner if isinstance(each, list | dict)]
        depth += 1
    return depth > MAX_DEPTH


def whole_number(text: str) -> int:
    """Return the whole number that decimal digits spell. Raises ``ValueError`` if it is beyond every double."""
    value = int(text) if len(text) <= _MOST_DIGITS else None
    try:
        float(text if value is None else value)
    except OverflowError:
        value = None
    if value is None:
        raise ValueError(f"`{text[:40]}…` is a number that JSON cannot carry")
    return value


def small_number(text: str) -> int | None:
    """Return the number that up to nine ASCII digits spell; ``None`` for any other text.

    Python's ``isdigit`` accepts ``²``, but ``int`` refuses it.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def whole_texts(value: Any) -> None:
    """Raise ``ValueError`` if a text in a value holds half a character, which no UTF-8 can spell."""
    match value:
        case str() if found := _HALF.search(value):
            raise ValueError(f"`\\u{ord(found[0]):04x}` is half a character")
        case dict():
            for key, item in value.items():
                whole_texts(key)
                whole_texts(item)
        case list():
            for item in value:
                whole_texts(item)


def is_finite(value: Any) -> bool:
    """Whether JSON can carry every number in a value."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    except (TypeError, RecursionError):  # the sender of the value reports what is wrong
        return True
    return True


def canonical(value: Any) -> str:
    """Return a text that all equal values share. For JSON, 30.0 equals 30, and the order of keys does not count."""
    return json.dumps(_alike(value), sort_keys=True, separators=(",", ":"), default=repr)


def _alike(value: Any) -> Any:
    match value:
        case dict():
            return {key: _alike(each) for key, each in value.items()}
        case list():
            return [_alike(each) for each in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def is_strict(raw: bytes) -> bool:
    """Whether JSON can carry every number in a text from others; a quick look suffices for most. Replay-critical."""
    if _SUSPICIOUS.search(raw) is None:
        return True
    try:
        json.loads(raw, parse_constant=_refuse, parse_float=_float)
    except ValueError:
        return False
    return True


def spelled_out(value: Any) -> Any:
    """Return a value with text in place of numbers that JSON cannot carry, to show the contents of an old history."""
    if is_finite(value):
        return value
    match value:
        case dict():
            return {key: spelled_out(item) for key, item in value.items()}
        case list():
            return [spelled_out(item) for item in value]
        case _:
            return json.dumps(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key `{key[:100]}` stands twice")
        found[key] = value
    return found


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"`{text[:40]}` is a number that JSON cannot carry")
    return value


def _refuse(word: str) -> Any:
    raise ValueError(f"`{word}` is no JSON number")


TYPES: Mapping[str, str] = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
}
"""JSON Schema's names for the types of values, each with the word that messages about data use."""


def json_type(value: Any) -> str:
    """Return JSON Schema's name for the type of a value; a whole number is an ``integer``."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"
