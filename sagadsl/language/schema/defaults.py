"""Completes an input by the ``default``s of its schema. Replay-critical.

A missing property gets its ``default``, in every object that is present or comes from a default itself, also in lists
and in objects by name, through ``$ref`` (``#/…``) and ``allOf``. Alternatives (``anyOf``, ``oneOf``, ``if``) give no
defaults, because it is not known before which one holds. A null counts as present, and stays null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.language.schema.references import target

MOST = 10_000
"""The most defaults for one input."""

_DEEPEST = 50
"""The deepest nesting of defaults; a default that leads to itself would go on for ever."""


class TooManyDefaults(ValueError):
    """The defaults of a schema make an input that is too large."""

    def __str__(self) -> str:
        return f"the defaults of its schema lead to themselves, or make more than {MOST:,} values"


def filled(schema: Any, data: Any, root: Any = None) -> Any:
    """Return *data* with defaults for what it leaves out; *data* itself stays unchanged. Raises ``TooManyDefaults``.

    Args:
        root: The whole document when *schema* is a part of it.
    """
    return _Filling(schema if root is None else root).value(schema, data, 0)


def default_of(schema: Any, root: Any) -> tuple[Any, ...]:
    """Return the default of *schema* as the only element of a tuple; an empty tuple when there is none."""
    for each in _together(schema, root):
        if "default" in each:
            return (each["default"],)
    return ()


def _together(schema: Any, root: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield a schema, and the schemas that hold for every value of it (by ``$ref`` and ``allOf``)."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    yield schema
    if "$ref" in schema:
        yield from _together(target(schema["$ref"], root), root, depth + 1)
    if isinstance(schema.get("allOf"), list):
        for each in schema["allOf"]:
            yield from _together(each, root, depth + 1)


class _Filling:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MOST

    def value(self, schema: Any, data: Any, made: int) -> Any:
        """Return *data* with its defaults; *made* counts the defaults around it."""
        for each in _together(schema, self._root) if isinstance(data, dict | list) else ():
            data = self._object(each, data, made) if isinstance(data, dict) else self._list(each, data, made)
        return data

    def _object(self, schema: Mapping[str, Any], data: dict[str, Any], made: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        changed: dict[str, Any] = {}
        for name, part in properties.items():
            if name in data:
                changed[name] = self.value(part, data[name], made)
            elif default := default_of(part, self._root):
                changed[name] = self._made(part, default[0], made + 1)
        if isinstance(schema.get("additionalProperties"), Mapping) and "patternProperties" not in schema:
            others = (name for name in data if name not in properties)
            changed |= {name: self.value(schema["additionalProperties"], data[name], made) for name in others}
        same = all(name in data and data[name] is value for name, value in changed.items())
        return data if same else {**data, **changed}

    def _made(self, schema: Any, default: Any, made: int) -> Any:
        self._left -= 1
        if self._left < 0 or made > _DEEPEST:
            raise TooManyDefaults
        return self.value(schema, default, made)

    def _list(self, schema: Mapping[str, Any], data: list[Any], made: int) -> list[Any]:
        first = schema.get("prefixItems")
        first = first if isinstance(first, list) else []
        parts = [*first[: len(data)], *[schema.get("items")] * (len(data) - len(first))]
        changed = [self.value(part, item, made) for part, item in zip(parts, data, strict=True)]
        return data if all(one is other for one, other in zip(changed, data, strict=True)) else changed
