"""How many bytes a value can have as JSON, by its schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.language.schema.references import target

MOST_BYTES = 2_000_000
"""The largest value that sagadsl sends, whatever its schema allows."""

_NUMBER = 25
_CHARACTER = 6
"""Of a character: JSON may escape it."""


def largest(schema: Mapping[str, Any] | bool | None) -> int:
    """Return the most bytes of a value that fits; ``MOST_BYTES`` where the schema sets no limit."""
    return min(MOST_BYTES, _largest(schema, schema, 0))


def _largest(schema: Any, root: Any, depth: int) -> int:
    if not isinstance(schema, Mapping) or depth > 20:
        return MOST_BYTES
    if "$ref" in schema:
        return _largest(target(schema["$ref"], root), root, depth + 1)
    for word in ("anyOf", "oneOf"):
        if schema.get(word):
            return max(_largest(each, root, depth + 1) for each in schema[word])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return max((len(str(each)) * _CHARACTER + 10 for each in values), default=0)
    types = schema.get("type")
    return max(_of_type(each, schema, root, depth) for each in ([types] if isinstance(types, str) else types or [""]))


def _of_type(word: str, schema: Mapping[str, Any], root: Any, depth: int) -> int:
    match word:
        case "null" | "boolean":
            return 5
        case "integer" | "number":
            return _NUMBER
        case "string" if "maxLength" in schema:
            return int(schema["maxLength"]) * _CHARACTER + 2
        case "array" if "maxItems" in schema:
            return int(schema["maxItems"]) * (_largest(schema.get("items"), root, depth + 1) + 1) + 2
        case "object" if schema.get("additionalProperties") is False and "patternProperties" not in schema:
            inner = schema.get("properties", {})
            return sum(len(name) * _CHARACTER + 4 + _largest(each, root, depth + 1) for name, each in inner.items()) + 2
        case _:
            return MOST_BYTES
