"""How many items a loop can have."""

from __future__ import annotations

from sagadsl.language.calls import Value
from sagadsl.language.model import Saga


def length(items: Value, saga: Saga) -> int | None:
    """Return the most items that there can be: the number of written items, or the ``maxItems`` of the input.

    ``None`` if nobody knows: an expression that does more than read the input may make a list longer.
    """
    if isinstance(items.source, list):
        return len(items.source)
    if len(items.reads) != 1 or items.reads[0][:1] != ("input",) or not _is_path(items):
        return None
    schema: object = saga.input_schema
    for key in items.reads[0][1:]:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        schema = properties.get(key) if isinstance(properties, dict) else None
    most = schema.get("maxItems") if isinstance(schema, dict) else None
    return int(most) if isinstance(most, int | float) else None


def _is_path(items: Value) -> bool:
    """Whether an expression is nothing but the one path that it reads."""
    written = str(items.source).strip().removeprefix("{{").removesuffix("}}").strip()
    return written == ".".join(items.reads[0])
