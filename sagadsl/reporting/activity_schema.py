"""The JSON Schema of definitions with what is installed: names of activities to choose from, and their inputs.

It forbids no activity of other workers, and no expression in place of a value: types are left to ``validate``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from sagadsl.language.analysis.known import Signature
from sagadsl.language.schema.references import followed
from sagadsl.reporting.schema_text import type_text

_CALLERS = ("activity_step", "activity_undo", "activity_probe", "notice")
"""The definitions of the schema whose ``input`` goes to their ``activity``."""
_DEEPEST = 5


def with_activities(schema: Mapping[str, Any], signatures: Iterable[Signature]) -> dict[str, Any]:
    """Return the schema of definitions, in which each activity has its name, its words and the keys of its input."""
    made: dict[str, Any] = json.loads(json.dumps(schema))
    known = sorted(signatures, key=lambda each: each.name)
    definitions = made["definitions"]
    name = definitions["activity_name"]
    words = {key: name.pop(key) for key in ("title", "description", "examples") if key in name}
    definitions["activity_name"] = {**words, "anyOf": [*map(_named, known), name]}
    for each in known:
        definitions[_input_of(each)] = _keys(each.input_schema, each.input_schema, _DEEPEST)
    for caller in _CALLERS:
        definitions[caller]["allOf"] = [*definitions[caller].get("allOf", ()), *map(_sent, known)]
    return made


def _named(signature: Signature) -> dict[str, Any]:
    text = [signature.description.strip(), f"From {signature.package}."]
    if signature.compensated_by:
        text.append(f"Undone by `{signature.compensated_by}`.")
    return {"const": signature.name, "title": signature.name, "description": "\n\n".join(filter(None, text))}


def _sent(signature: Signature) -> dict[str, Any]:
    """Return what holds for a call of an activity: its input, if it is an object, has the activity's keys."""
    called = {"required": ["activity"], "properties": {"activity": {"const": signature.name}}}
    pointer = quote(_input_of(signature).replace("~", "~0").replace("/", "~1"))
    reference = {"$ref": f"#/definitions/{pointer}"}
    return {"if": called, "then": {"properties": {"input": reference}}}


def _input_of(signature: Signature) -> str:
    return f"input_of_{signature.name}"


def _keys(schema: Any, root: Any, left: int) -> dict[str, Any]:
    """Return the keys that an object has, with their words; what is no object may be anything."""
    found = followed(schema, root) or schema
    if not left or not isinstance(found, Mapping) or not found.get("properties"):
        return {}
    keys: dict[str, Any] = {"properties": {}}
    for name, inner in found["properties"].items():
        keys["properties"][name] = {**_words(inner, root), **_keys(inner, root, left - 1)}
    if found.get("required"):
        keys["required"] = list(found["required"])
    if found.get("additionalProperties") is False:
        keys["additionalProperties"] = False
    return keys


def _words(schema: Any, root: Any) -> dict[str, Any]:
    own = followed(schema, root) or schema
    if not isinstance(schema, Mapping) or not isinstance(own, Mapping):
        return {}
    said = schema.get("description") or own.get("description")
    text = f"{type_text(own)}: {said}" if said else type_text(own)
    kept = {key: own[key] for key in ("default", "examples") if key in own}
    return {"description": text, **kept}
