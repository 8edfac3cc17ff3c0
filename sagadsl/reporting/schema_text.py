"""JSON Schema in a few words, for a terminal; and a step that calls an activity, to copy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sagadsl.immutable import Immutable
from sagadsl.language.analysis.known import Signature
from sagadsl.language.schema.references import followed


class Key(Immutable):
    """One property of an object schema; ``default`` is JSON text, empty when there is none."""

    name: str
    type: str
    required: bool
    default: str
    description: str


def properties(schema: Mapping[str, Any] | None) -> tuple[Key, ...]:
    """List the properties of an object schema; empty when it is of another kind."""
    if not schema:
        return ()
    required = schema.get("required", ())
    return tuple(
        Key(
            name,
            type_text(followed(inner, schema) or inner),
            name in required,
            json.dumps(inner["default"]) if inner.get("default") is not None else "",
            " ".join(str(inner.get("description", "")).split()),
        )
        for name, inner in schema.get("properties", {}).items()
    )


def type_text(schema: Any) -> str:
    """Say in a few words what a schema allows, e.g. ``integer ≥ 1``."""
    if not schema or schema is True:
        return "anything"
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(dict.fromkeys(type_text(each) for each in schema[word]))
    kind = schema.get("type", "anything")
    text = " | ".join(kind) if isinstance(kind, list) else str(kind)
    if text == "array" and "items" in schema:
        text = f"list of {type_text(schema['items'])}"
    for word, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")):
        if word in schema:
            text += f" {sign} {schema[word]}"
    return text if "$ref" not in schema else str(schema["$ref"]).rsplit("/", 1)[-1]


def example_step(signature: Signature, undo: Signature | None) -> str:
    """Return a step in YAML that calls the activity, with its compensation where one is known."""
    step_id = signature.name.rsplit(".", 1)[-1].lower().replace("-", "_")
    lines = [f"- id: {step_id}", f"  activity: {signature.name}"]
    example = signature.examples[0] if signature.examples else _example(signature.input_schema)
    lines += [f"  input: {_flow(example)}"] if example not in ({}, None) else []
    if signature.compensated_by:
        lines += ["  compensation:", f"    activity: {signature.compensated_by}"]
        lines += [f"    input: {_flow(_undo_input(signature, undo))}"] if undo and undo.input_schema else []
    elif signature.idempotent:
        lines += ["  compensation: none   # if it only reads; else name what undoes it"]
    return "\n".join(lines)


def _undo_input(signature: Signature, undo: Signature) -> dict[str, str]:
    """Guess where each key that an undo needs comes from."""
    sent = {key.name for key in properties(signature.input_schema)}
    returned = {key.name for key in properties(signature.output_schema)}
    values = {}
    for key in properties(undo.input_schema):
        is_key = key.name in {"key", "idempotency_key"}
        if not key.required and not is_key:
            continue
        if is_key:
            values[key.name] = "{{ step.idempotency_key }}"
        elif key.name in sent or key.name not in returned:
            values[key.name] = f"{{{{ step.input.{key.name} }}}}"
        else:
            values[key.name] = f"{{{{ step.output.{key.name} }}}}"
    return values


def _example(schema: Mapping[str, Any] | None) -> Any:
    """Make up an input: the required keys, with the schema's own examples where there are some."""
    if not schema:
        return None
    required = schema.get("required", ())
    inner = schema.get("properties", {})
    return {name: _value(followed(inner[name], schema)) for name in inner if name in required}


def _value(schema: Any) -> Any:
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    by_type = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.5), "boolean": True, "array": []}
    return by_type.get(str(schema.get("type")), {} if schema.get("type") == "object" else "…")


def _flow(value: Any) -> str:
    """Write JSON data as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str) and value.isidentifier() and value not in {"true", "false", "null"}:
        return value
    return json.dumps(value, ensure_ascii=False)
