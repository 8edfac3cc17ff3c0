"""Sets in what a call keeps: a process writes them in the order of its own hashes, and the next one in another."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, RootModel


def in_order(value: Any, data: Any) -> Any:
    """Return *data*, the JSON data of *value*, with the members of each set sorted by their JSON.

    Where a serializer of the author's own has made something of another shape, that stays as it is.
    """
    if isinstance(value, RootModel):
        return in_order(value.root, data)
    if isinstance(data, list) and isinstance(value, set | frozenset | list | tuple) and len(value) == len(data):
        members = [in_order(*pair) for pair in zip(value, data, strict=True)]
        return sorted(members, key=as_text) if isinstance(value, set | frozenset) else members
    if isinstance(data, dict):
        return data | {key: in_order(part, data[key]) for key, part in _parts(value, data)}
    return data


def as_text(data: Any) -> str:
    """Return JSON data as a text that is the same for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _parts(value: Any, data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Return what *value* has under which key of *data*."""
    if isinstance(value, Mapping):
        if len(value) == len(data):  # else keys that are not texts have become one
            yield from zip(data, value.values(), strict=True)
        return
    kind = type(value)
    fields: dict[str, Any] = dict(getattr(kind, "__pydantic_fields__", {}))
    fields |= getattr(kind, "__pydantic_computed_fields__", {})
    if dataclasses.is_dataclass(value):
        fields = {each.name: None for each in dataclasses.fields(value)} | fields
    elif isinstance(value, BaseModel):
        fields |= dict.fromkeys(value.model_extra or {})
    for name, field in fields.items():
        keys = (getattr(field, "serialization_alias", None), getattr(field, "alias", None), name)
        found = next((key for key in keys if key in data), None)
        if found is not None:
            yield found, getattr(value, name)
