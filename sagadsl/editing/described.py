"""Writes what is known of activities, keys and values as Markdown, for hovers and completions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sagadsl.language.analysis.known import Signature
from sagadsl.language.analysis.types import Shape
from sagadsl.language.kinds import key_of, kind_of, subject
from sagadsl.language.model import Step
from sagadsl.reporting.schema_text import properties, type_text

_MOST_FIELDS = 20


def activity(signature: Signature) -> str:
    """Return the page of an activity."""
    lines = [f"**{signature.name}** · {signature.package}"]
    lines += ["", signature.description.strip()] if signature.description else []
    lines += _fields("input", signature.input_schema)
    lines += _fields("output", signature.output_schema)
    if signature.errors:
        lines += ["", f"errors: {', '.join(f'`{each}`' for each in signature.errors)}"]
    if signature.compensated_by:
        lines += ["", f"undone by `{signature.compensated_by}`"]
    if signature.idempotent is not None:
        lines += ["", f"idempotent: {'yes' if signature.idempotent else 'no'}"]
    return "\n".join(lines)


def _fields(title: str, schema: Any) -> list[str]:
    keys = properties(schema)
    if not keys:
        return ["", f"{title}: {type_text(schema)}"]
    rows = [
        f"- `{key.name}` {key.type}{', required' if key.required and title == 'input' else ''}"
        + (f": {key.description}" if key.description else "")
        for key in keys
    ]
    return ["", f"{title}:", "", *rows]


def key(schema: Mapping[str, Any]) -> str:
    """Return what a schema says of a key."""
    lines = [f"**{schema['title']}**"] if "title" in schema else []
    lines += [str(schema["description"])] if "description" in schema else []
    if "default" in schema:
        lines.append(f"default: `{json.dumps(schema['default'])}`")
    examples = schema.get("examples", ())
    lines += [f"example: `{json.dumps(examples[0], ensure_ascii=False)}`"] if examples else []
    return "\n\n".join(lines)


def shape(found: Shape) -> str:
    """Return what is known of a value, with its fields."""
    lines = [found.said()]
    for name in list(found.fields)[:_MOST_FIELDS]:
        inner = found.field(name)
        missing = ", may be missing" if found.may_lack(name) else ""
        lines.append(f"- `{name}`: {inner.said() if inner is not None else 'anything'}{missing}")
    if found.kinds == {"array"} and found.element.kinds:
        lines.append(f"of {found.element.said()}")
    return "\n".join([lines[0], "", *lines[1:]] if len(lines) > 1 else lines)


def of_field(found: Shape, name: str) -> str:
    """Return what the schema of a field says of it in words."""
    inner = found.field(name)
    said = inner.origin.schema if inner is not None and inner.origin is not None else {}
    return str(said.get("description", "")) if isinstance(said, Mapping) else ""


def step(found: Step) -> str:
    """Return one line about a step: what it is, and what it is about."""
    word, name = subject(found.body)
    return f"{word} {name}" if word else kind_of(found).drawn or key_of(found)
