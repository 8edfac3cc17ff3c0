"""Says which keys of a schema were probably meant by keys of a value that the schema does not have, at every level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sagadsl.language.expressions.data import shortened
from sagadsl.language.schema.references import target
from sagadsl.language.suggest import Suggestions

_HINTS = 5
_SHOWN = 60
"""The most characters of a key that are shown: anybody may send a long one."""

_ITEMS = 100
"""The most items of a list that are looked at: the first wrong one is enough."""

_DEEPEST = 20
_MOST = 10_000
"""The most schemas that are looked at for all parts of one value."""

_COMPARISONS = 2_000
"""The most names that are compared: some ten milliseconds, since a service does this for anybody."""


def meant(given: Any, schema: Mapping[str, Any] | bool | None) -> str:
    """Return which keys were meant by those that a value has and its schema does not, where it lacks a near one.

    A key further down is named with the keys above it: ``did you mean `address.street` by `address.stret`?``
    """
    if not isinstance(schema, Mapping):
        return ""
    found = _Search(schema).hints(given, alternatives([schema], schema), "", 0)
    return "; ".join(f"did you mean {each}?" for each in islice(dict.fromkeys(found), _HINTS))


def alternatives(schemas: Iterable[Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return schemas with those that they name or join, each once: any of them may say what belongs to a value."""
    found: dict[int, Mapping[str, Any]] = {}
    rest = [*schemas]
    while rest:
        schema = rest.pop(0)
        if not isinstance(schema, Mapping) or id(schema) in found:
            continue
        found[id(schema)] = schema
        rest.append(target(schema.get("$ref"), root))
        rest += (each for word in ("anyOf", "oneOf", "allOf") for each in schema.get(word, ()))
    return [*found.values()]


def of_property(schemas: Iterable[Mapping[str, Any]], name: str, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the schemas of property *name* of objects of these *schemas*; empty when there is none."""
    found = []
    for each in schemas:
        keys = each.get("properties", {})
        found.append(keys[name] if name in keys else each.get("additionalProperties"))
    return alternatives(found, root)


class _Search:
    """The search through one value. It has an end for every value and every schema: anybody may send them."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._left, self._suggestions = root, _MOST, Suggestions(_COMPARISONS)

    def hints(self, value: Any, schemas: Sequence[Mapping[str, Any]], place: str, depth: int) -> Iterator[str]:
        """Yield what was meant in *value*, for which there are these *schemas*, each with what is there."""
        self._left -= len(schemas)
        if not schemas or depth > _DEEPEST or self._left < 0:
            return
        if isinstance(value, Mapping):
            yield from self._in_object(value, schemas, place, depth)
        elif isinstance(value, list):
            items = alternatives((each.get("items") for each in schemas), self._root)
            for index, inner in enumerate(islice(value, _ITEMS)):
                yield from self.hints(inner, items, f"{place.removesuffix('.')}[{index}].", depth + 1)

    def _in_object(
        self, value: Mapping[str, Any], schemas: Sequence[Mapping[str, Any]], place: str, depth: int
    ) -> Iterator[str]:
        tables = (each.get("properties") for each in schemas)
        known = dict.fromkeys(key for table in tables if isinstance(table, Mapping) for key in table)
        missing = [key for key in known if key not in value]
        for key, inner in value.items():
            if self._left < 0:
                return
            if key in known:
                below = of_property(schemas, key, self._root)
                yield from self.hints(inner, below, f"{place}{key}.", depth + 1)
            elif missing and (near := self._suggestions.closest(str(key), missing)) is not None:
                yield f"`{place}{near}` by `{place}{shortened(str(key), _SHOWN)}`"
