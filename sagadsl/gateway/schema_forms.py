"""The small JSON Schemas of which the description of the gateway is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Data = dict[str, Any]

TEXT: Data = {"type": "string"}
NULLABLE: Data = {"type": ["string", "null"]}
ANY: Data = {}


def object_of(required: Mapping[str, Any], **optional: Any) -> Data:
    """Return the schema of an object with properties that it always has, and others that it may have."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def list_of(schema: Data) -> Data:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}
