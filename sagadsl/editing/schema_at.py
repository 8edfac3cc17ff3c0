"""What the JSON Schema says of a place in a file: which keys may stand there, which values, and what they are for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sagadsl.diagnostics.findings import Route
from sagadsl.immutable import Immutable
from sagadsl.language.bundled import schema_text
from sagadsl.language.schema.references import target
from sagadsl.language.schema.validator import without_grammars

with without_grammars():
    from jsonschema import Draft7Validator

Schema = Mapping[str, Any]


class SchemaKey(Immutable):
    """A key that may stand at a place, with what the schema says of its value."""

    name: str
    schema: Schema
    required: bool


@cache
def document_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of `saga`, `library` or `suite`."""
    loaded: dict[str, Any] = json.loads(schema_text(name))
    return loaded


def schemas_at(name: str, data: Any, route: Route) -> tuple[Schema, ...]:
    """Return the parts of the schema of `saga` or `suite` that the value at *route* has to meet."""
    root = document_schema(name)
    found = tuple(_all_of(root, data, root))
    for key in route:
        data = data[key] if _has(data, key) else None
        found = tuple(each for schema in found for inner in _inside(schema, key) for each in _all_of(inner, data, root))
    return found


def keys_at(name: str, data: Any, route: Route) -> tuple[SchemaKey, ...]:
    """Return the keys that the mapping at *route* may have, in the order of the schema."""
    root = document_schema(name)
    every = schemas_at(name, data, route)
    closed = [each for each in every if each.get("additionalProperties") is False and "properties" in each]
    required = {name for each in every for name in each.get("required", ())}
    found: dict[str, SchemaKey] = {}
    for schema in closed or every:
        for key, inner in schema.get("properties", {}).items():
            found.setdefault(key, SchemaKey(name=key, schema=described(inner, root), required=key in required))
    allowed = [set(each["properties"]) for each in closed]
    return tuple(key for key in found.values() if all(key.name in names for names in allowed))


def values_at(name: str, data: Any, route: Route) -> tuple[Any, ...]:
    """Return the values between which the schema lets one choose at *route*."""
    found: dict[str, Any] = {}
    root = document_schema(name)
    for text in (data, replaced(data, route, "")):
        for schema in schemas_at(name, text, route):
            said = _resolved(schema, root)
            choices = [*said.get("enum", ()), *([said["const"]] if "const" in said else ())]
            choices += [True, False] if said.get("type") == "boolean" else []
            found |= {json.dumps(choice): choice for choice in choices}
    return tuple(found.values())


def said_of(name: str, data: Any, route: Route) -> Schema:
    """Return what the schema says of the value at *route* for people; empty if it says nothing."""
    for schema in schemas_at(name, data, route):
        if "description" in schema:
            return schema
    return {}


def described(schema: Schema, root: Schema) -> Schema:
    """Return a schema, or the one that it refers to if it has no words of its own."""
    return schema if "description" in schema else _resolved(schema, root)


def _resolved(schema: Any, root: Schema) -> Schema:
    for _ in range(20):
        if not isinstance(schema, Mapping) or "$ref" not in schema:
            break
        schema = target(schema["$ref"], root)
    return schema if isinstance(schema, Mapping) else {}


def _all_of(schema: Any, data: Any, root: Schema) -> Iterator[Schema]:
    """Yield a schema and every other one that it applies to the same value."""
    own = _resolved(schema, root)
    if not own:
        return
    yield own
    for inner in own.get("allOf", ()):
        yield from _all_of(inner, data, root)
    if "if" in own:
        holds = Draft7Validator({**own["if"], "definitions": root["definitions"]}).is_valid(data)
        yield from _all_of(own.get("then" if holds else "else", {}), data, root)
    for word in ("anyOf", "oneOf"):
        for inner in own.get(word, ()):
            yield from _all_of(inner, data, root)


def _inside(schema: Schema, key: str | int) -> Iterator[Any]:
    if isinstance(key, int):
        items = schema.get("items")
        if isinstance(items, Mapping):
            yield items
        return
    properties = schema.get("properties", {})
    if key in properties:
        yield properties[key]
    elif isinstance(schema.get("additionalProperties"), Mapping):
        yield schema["additionalProperties"]


def _has(data: Any, key: str | int) -> bool:
    return key in data if isinstance(data, dict) else isinstance(data, list) and key in range(len(data))


def replaced(data: Any, route: Route, value: Any) -> Any:
    """Return data with another value at *route*, if it has any there."""
    if not route:
        return value
    if not _has(data, route[0]):
        return data
    copied: Any = dict(data) if isinstance(data, dict) else list(data)
    copied[route[0]] = replaced(data[route[0]], route[1:], value)
    return copied
