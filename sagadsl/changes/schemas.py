"""Compares two JSON Schemas: which values does the second one take no longer, and which does it take in addition?

It decides by keywords. Where it cannot tell, it says so: a caller has to look.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.language.expressions.data import shortened
from sagadsl.language.notation.json_text import json_type
from sagadsl.language.schema.defaults import default_of
from sagadsl.language.schema.references import target

_DEEPEST = 12
_LOW = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_HIGH = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_RULES = ("pattern", "format", "multipleOf", "uniqueItems")
_UNCLEAR = (
    *("anyOf", "oneOf", "allOf", "not", "if", "then", "else", "patternProperties", "propertyNames", "contains"),
    *("prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedItems"),
)
_ALL = frozenset(("null", "boolean", "integer", "number", "string", "array", "object"))


class Effect(Enum):
    """What a difference means for values that fitted the first schema."""

    NARROWER = "narrower"
    WIDER = "wider"
    UNCLEAR = "unclear"


class Difference(Immutable):
    """One difference.

    Attributes:
        place: The part of the value, e.g. ``input.address.zip``.
        said: What is different, as the end of a sentence whose subject is the place.
    """

    effect: Effect
    place: str
    said: str

    def __str__(self) -> str:
        return f"`{self.place}` {self.said}"


def compare(one: Any, other: Any, what: str, *, fills: bool = False) -> list[Difference]:
    """Return the differences between two schemas; ``None`` takes anything.

    Args:
        what: The name of the value.
        fills: Whoever takes the value fills in the defaults of missing properties.
    """
    one, other = ({} if schema is None else schema for schema in (one, other))
    roots = _Roots(one, other, fills, _is_same(one, other))
    return list(dict.fromkeys(_compare(one, other, what, roots, 0)))


class _Roots(Immutable):
    """The documents that references lead into."""

    one: Any
    other: Any
    fills: bool
    are_same: bool


def _compare(one: Any, other: Any, place: str, roots: _Roots, depth: int) -> Iterator[Difference]:
    one, other = _meant(one, roots.one), _meant(other, roots.other)
    if one == other and roots.are_same:
        return
    if depth > _DEEPEST:
        yield Difference(Effect.UNCLEAR, place, "is declared differently, deep inside")
        return
    yield from _types(one, other, place)
    yield from _choices(one, other, place)
    yield from _bounds(one, other, place)
    yield from _properties(one, other, place, roots, depth)
    if "items" in one or "items" in other:
        yield from _compare(one.get("items", {}), other.get("items", {}), f"{place}[]", roots, depth + 1)
    for word in _UNCLEAR:
        if one.get(word) != other.get(word):
            yield Difference(Effect.UNCLEAR, place, f"has another `{word}`")


def _meant(schema: Any, root: Any) -> Mapping[str, Any]:
    """Return a schema as a mapping, behind its references."""
    for _ in range(_DEEPEST):
        if not (isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str)):
            break
        schema = target(schema["$ref"], root)
    if schema is False:
        return {"not": {}}
    return schema if isinstance(schema, Mapping) else {}


def _kinds(schema: Mapping[str, Any]) -> frozenset[str]:
    said = schema.get("type")
    kinds = {said} if isinstance(said, str) else set(said) if isinstance(said, list) else set()
    if not kinds and "const" in schema:
        kinds = {json_type(_plain(schema["const"]))}
    if not kinds and isinstance(schema.get("enum"), list):
        kinds = {json_type(_plain(each)) for each in schema["enum"]}
    if "number" in kinds:
        kinds.add("integer")
    return frozenset(kinds) or _ALL


def _types(one: Mapping[str, Any], other: Mapping[str, Any], place: str) -> Iterator[Difference]:
    before, after = _kinds(one), _kinds(other)
    if lost := before - after:
        allowed = _listed(after - {"integer"} if "number" in after else after)
        if before == _ALL:
            yield Difference(Effect.NARROWER, place, f"is now {allowed}; it could be anything")
        else:
            gone = _listed(lost - _covered(before))
            yield Difference(Effect.NARROWER, place, f"cannot be {gone} any more, but {allowed}")
    if gained := after - before:
        said = "can be anything now" if after == _ALL else f"can be {_listed(gained - _covered(after))}, too"
        yield Difference(Effect.WIDER, place, said)


def _covered(kinds: frozenset[str]) -> frozenset[str]:
    return frozenset(("integer",)) if "number" in kinds else frozenset()


def _listed(kinds: frozenset[str]) -> str:
    return " or ".join(f"`{kind}`" for kind in sorted(kinds)) or "nothing"


def _choices(one: Mapping[str, Any], other: Mapping[str, Any], place: str) -> Iterator[Difference]:
    before, after = _only(one), _only(other)
    if before is None and after is None:
        return
    if before is None:
        yield Difference(Effect.NARROWER, place, f"is now one of {_values(after or [])}")
    elif after is None:
        yield Difference(Effect.WIDER, place, "is not limited to certain values any more")
    else:
        if lost := _without(before, after):
            yield Difference(Effect.NARROWER, place, f"cannot be {_values(lost)} any more")
        if gained := _without(after, before):
            yield Difference(Effect.WIDER, place, f"can be {_values(gained)}, too")


def _only(schema: Mapping[str, Any]) -> list[Any] | None:
    """Return the values to which a schema limits; ``None`` when it does not."""
    choices = list(schema["enum"]) if isinstance(schema.get("enum"), list) else None
    if "const" not in schema:
        return choices
    only = [schema["const"]]
    return only if choices is None else [each for each in only if not _without([each], choices)]


def _without(values: list[Any], others: list[Any]) -> list[Any]:
    """Return the values that are not among *others*. In JSON, 1 is 1.0, and is not true."""
    known = {_key(each) for each in others}
    return [each for each in values if _key(each) not in known]


def _is_same(one: Any, other: Any) -> bool:
    return bool(one == other) and _key(one) == _key(other)


def _key(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_plain(each) for each in value]
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case _:
            return value


def _values(values: list[Any]) -> str:
    return ", ".join(f"`{shortened(str(each), 30)}`" for each in values[:10])


def _bounds(one: Mapping[str, Any], other: Mapping[str, Any], place: str) -> Iterator[Difference]:
    for words, sign in ((_LOW, 1), (_HIGH, -1)):
        for word in words:
            before, after = one.get(word), other.get(word)
            if before == after:
                continue
            tighter = before is None or (after is not None and (after - before) * sign > 0)
            was = "there was no such bound" if before is None else f"it was {before}"
            said = f"has `{word}` {after}; {was}" if after is not None else f"has no `{word}` any more; {was}"
            yield Difference(Effect.NARROWER if tighter else Effect.WIDER, place, said)
    for word in _RULES:
        before, after = one.get(word), other.get(word)
        if before == after:
            continue
        if not before:
            yield Difference(Effect.NARROWER, place, f"has `{word}` `{after}` now")
        elif not after:
            yield Difference(Effect.WIDER, place, f"has no `{word}` any more")
        else:
            yield Difference(Effect.UNCLEAR, place, f"has `{word}` `{after}`; it was `{before}`")


def _properties(
    one: Mapping[str, Any], other: Mapping[str, Any], place: str, roots: _Roots, depth: int
) -> Iterator[Difference]:
    before, after = _fields(one), _fields(other)
    needed, now_needed = _required(one), _required(other)
    for name in sorted(now_needed - needed):
        is_filled = roots.fills and bool(default_of(after.get(name, {}), roots.other))
        if not is_filled:
            yield Difference(Effect.NARROWER, f"{place}.{name}", "has to be given now")
    for name in sorted(needed - now_needed):
        yield Difference(Effect.WIDER, f"{place}.{name}", "may be left out now")
    for name in (each for each in before if each not in after):
        if other.get("additionalProperties") is False:
            yield Difference(Effect.NARROWER, f"{place}.{name}", "is refused now")
        elif isinstance(rest := other.get("additionalProperties"), Mapping):
            yield from _compare(before[name], rest, f"{place}.{name}", roots, depth + 1)
        else:
            yield Difference(Effect.WIDER, f"{place}.{name}", "is not declared any more, and ignored when it is given")
    for name, schema in after.items():
        if name in before:
            yield from _compare(before[name], schema, f"{place}.{name}", roots, depth + 1)
        elif isinstance(rest := one.get("additionalProperties"), Mapping):
            yield from _compare(rest, schema, f"{place}.{name}", roots, depth + 1)
        elif name not in now_needed:
            yield Difference(Effect.WIDER, f"{place}.{name}", "is new, and may be left out")
    closed, is_closed = one.get("additionalProperties") is False, other.get("additionalProperties") is False
    if is_closed and not closed:
        yield Difference(Effect.NARROWER, place, "takes no undeclared properties any more")
    elif closed and not is_closed:
        yield Difference(Effect.WIDER, place, "takes undeclared properties, too")
    elif not closed and any(isinstance(each.get("additionalProperties"), Mapping) for each in (one, other)):
        rest, rest_now = (each.get("additionalProperties", {}) for each in (one, other))
        yield from _compare(rest, rest_now, f"{place}.*", roots, depth + 1)


def _fields(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _required(schema: Mapping[str, Any]) -> frozenset[str]:
    found = schema.get("required")
    return frozenset(found) if isinstance(found, list) else frozenset()
