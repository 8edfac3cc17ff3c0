"""Says which keys of a schema were probably meant by keys of a value that the schema does not have, at every level."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from sagadsl.language.schema.references import target
from sagadsl.language.suggest import Suggestions

_HINTS = 5
_ITEMS = 100
"""The most items of a list that are looked at: the first wrong one is enough."""

_DEEPEST = 20


def meant(given: Any, schema: Mapping[str, Any] | bool | None) -> str:
    """Return which keys were meant by those that a value has and its schema does not, where it lacks a near one.

    A key further down is named with the keys above it, e.g. ``address.street``.
    """
    if not isinstance(schema, Mapping):
        return ""
    found = _hints(given, [*alternatives(schema, schema)], "", _Search(schema, Suggestions()))
    return "; ".join(f"did you mean `{each}`?" for each in islice(dict.fromkeys(found), _HINTS))


def alternatives(schema: Any, root: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """Yield a schema, and those that it names or joins: any of them may say what belongs to a value."""
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    yield schema
    yield from alternatives(target(schema.get("$ref"), root), root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(word, ()):
            yield from alternatives(each, root, depth + 1)


def of_property(schemas: Sequence[Mapping[str, Any]], name: str, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas of property *name* of objects of these *schemas*; empty when there is none."""
    found: list[Mapping[str, Any]] = []
    for each in schemas:
        keys = each.get("properties", {})
        if name in keys:
            found += alternatives(keys[name], root)
        elif isinstance(each.get("additionalProperties"), Mapping):
            found += alternatives(each["additionalProperties"], root)
    return found


class _Search(NamedTuple):
    """What stays the same, but for the depth, while a value is searched."""

    root: Mapping[str, Any]
    suggestions: Suggestions
    depth: int = 0

    def below(self) -> _Search:
        return self._replace(depth=self.depth + 1)


def _hints(value: Any, schemas: Sequence[Mapping[str, Any]], place: str, search: _Search) -> Iterator[str]:
    root, suggestions, depth = search
    if not schemas or depth > _DEEPEST or suggestions.are_over:
        return
    if isinstance(value, Mapping):
        tables = (each.get("properties") for each in schemas)
        known = dict.fromkeys(key for table in tables if isinstance(table, Mapping) for key in table)
        missing = [key for key in known if key not in value]
        for key, inner in value.items():
            if key in known:
                yield from _hints(inner, of_property(schemas, key, root), f"{place}{key}.", search.below())
            elif (near := suggestions.closest(str(key), missing)) is not None:
                yield f"{place}{near}"
    elif isinstance(value, list):
        items = [inner for each in schemas for inner in alternatives(each.get("items"), root)]
        for index, inner in enumerate(islice(value, _ITEMS)):
            yield from _hints(inner, items, f"{place.removesuffix('.')}[{index}].", search.below())
