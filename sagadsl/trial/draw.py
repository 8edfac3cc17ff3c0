"""Draws a JSON value that fits a JSON Schema: always the same value for the same schema and number.

Trials need *some* output of an activity or input of a saga. The values are small and readable: the
first example, default or enum member; without these the smallest value that fits. This is not a
generator of test data, since nothing is random. A schema may use keywords that are not understood
here (``pattern``, ``not``), so check the value if it has to fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sagadsl.language.schema.references import followed

_DEEPEST = 12
_TEXT_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T09:00:00Z",
    "time": "09:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "json-pointer": "/value",
    "regex": "^value$",
    "hostname": "example.org",
}


def draw(schema: Any, number: int = 0, name: str = "value", *, full: bool = True, items: int = 1) -> Any:
    """Return a value of *schema*.

    Args:
        number: Which value: other numbers choose other examples, enum members and texts.
        name: The word that texts begin with, so that people recognise them: ``reference-1``.
        full: Give optional properties too.
        items: Length of lists where the schema leaves it open.
    """
    return _Drawing(schema if isinstance(schema, Mapping) else {}, number, full, items).value(schema, name, 0)


class _Drawing:
    def __init__(self, root: Mapping[str, Any], number: int, full: bool, items: int) -> None:
        self._root, self._number, self._full, self._items = root, number, full, items

    def value(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        for word in ("examples", "enum"):
            if schema.get(word):
                return schema[word][self._number % len(schema[word])]
        for word in ("const", "default"):
            if word in schema:
                return schema[word]
        type_ = self._type(schema)
        if depth > _DEEPEST:
            return None
        match type_:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return self._text(schema, name)
            case "integer" | "number":
                return self._amount(schema, whole=type_ == "integer")
            case "boolean":
                return self._number % 2 == 0
            case _:
                return None

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """Follow references and take the first alternative, so that one plain schema is left."""
        for _ in range(_DEEPEST):
            if not isinstance(schema, Mapping):
                return {}
            if "$ref" in schema:
                schema = followed(schema, self._root)
            elif any(schema.get(word) for word in ("allOf", "anyOf", "oneOf")):
                schema = self._merged(schema)
            else:
                return schema
        return {}

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        merged = {key: value for key, value in schema.items() if key not in ("allOf", "anyOf", "oneOf")}
        parts = list(schema.get("allOf") or ())
        for word in ("anyOf", "oneOf"):
            choices = schema.get(word) or []
            if choices:
                solid = [each for each in choices if not (isinstance(each, Mapping) and each.get("type") == "null")]
                parts.append((solid or choices)[self._number % len(solid or choices)])
        for part in parts:
            for key, value in self._resolved(part).items():
                if key == "properties":
                    merged[key] = {**merged.get(key, {}), **value}
                elif key == "required":
                    merged[key] = [*merged.get(key, ()), *value]
                else:
                    merged.setdefault(key, value)
        return merged

    def _type(self, schema: Mapping[str, Any]) -> str:
        type_ = schema.get("type")
        if isinstance(type_, list):
            type_ = next((each for each in type_ if each != "null"), "null")
        if isinstance(type_, str):
            return type_
        for word, implied in (
            ("properties", "object"),
            ("items", "array"),
            ("minLength", "string"),
            ("minimum", "number"),
        ):
            if word in schema:
                return implied
        return "null"

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [name for name in schema.get("required") or () if isinstance(name, str)]
        wanted = [*(properties if self._full and depth < _DEEPEST // 2 else ()), *required]
        return {name: self.value(properties.get(name, {}), name, depth + 1) for name in dict.fromkeys(wanted)}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        size = max(self._items, _size(schema, "minItems", 0))
        size = min(size, _size(schema, "maxItems", size))
        one = name.removesuffix("s") or name
        prefix = schema.get("prefixItems") or []
        drawn = []
        for index in range(size):
            inner = prefix[index] if index < len(prefix) else schema.get("items", {})
            number, self._number = self._number, self._number + index
            drawn.append(self.value(inner, one, depth + 1))
            self._number = number
        return drawn

    def _text(self, schema: Mapping[str, Any], name: str) -> str:
        text = _TEXT_FORMATS.get(schema.get("format", ""))
        if text is None:
            text = f"{name}-{self._number + 1}"
        text = text.ljust(_size(schema, "minLength", 0), "x")
        return text[: _size(schema, "maxLength", len(text))]

    def _amount(self, schema: Mapping[str, Any], *, whole: bool) -> int | float:
        low = schema.get("minimum")
        if low is None and "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + (1 if whole else 0.5)
        high = schema.get("maximum")
        if high is None and "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"] - (1 if whole else 0.5)
        value = max(1, low) if low is not None else 1 if high is None else min(1, high)
        value += self._number
        if high is not None and value > high:
            value = high
        factor = schema.get("multipleOf")
        if factor:
            value = -(-value // factor) * factor
        return int(value) if whole else value


def _size(schema: Mapping[str, Any], word: str, left_out: int) -> int:
    """Return a size as a whole number: JSON Schema may write it `3.0`."""
    size = schema.get(word)
    return int(size) if isinstance(size, int | float) else left_out
