"""Resolves a ``$ref`` of a JSON Schema: it always means a part of the same document. Replay-critical."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from sagadsl.language.notation.json_text import small_number


def steps(reference: str) -> list[str]:
    """Return the keys on the way to the target of a reference inside the document (a JSON pointer after ``#``)."""
    return [part.replace("~1", "/").replace("~0", "~") for part in unquote(reference).split("/")[1:]]


def target(reference: Any, root: Any) -> Any:
    """Return the schema that a reference leads to; ``None`` when it leads out of this document."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None  # another document, or a name (`$anchor`)
    here = root
    for name in steps(reference):
        if isinstance(here, Mapping) and name in here:
            here = here[name]
        elif isinstance(here, list) and (index := small_number(name)) is not None and index < len(here):
            here = here[index]
        else:
            return None
    return here


def followed(schema: Any, root: Any) -> Mapping[str, Any]:
    """Return a schema merged with the target of its ``$ref``, if it has one; keywords beside the ``$ref`` win."""
    if not isinstance(schema, Mapping):
        return {}
    if "$ref" not in schema:
        return schema
    found = target(schema["$ref"], root)
    beside = {word: rule for word, rule in schema.items() if word != "$ref"}
    return {**found, **beside} if isinstance(found, Mapping) else beside
