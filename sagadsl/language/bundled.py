"""The JSON Schemas that the package ships: where they lie, and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]  # `importlib.resources` would say the same, 10 ms later


@cache
def schema_text(name: str) -> str:
    """Return the JSON Schema of *name*, ``saga`` or ``suite``, as editors take it."""
    inside = _PACKAGE / "schemas" / f"{name}.schema.json"
    # In an editable install the folder stands beside the package.
    return (inside if inside.is_file() else _PACKAGE.parent / "schemas" / inside.name).read_text("utf-8")
