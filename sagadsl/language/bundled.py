"""The JSON Schemas that the package ships: where they lie, and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]  # `importlib.resources` finds the same, but takes 10 ms more


@cache
def schema_text(name: str) -> str:
    """Return the JSON Schema of *name* (``saga``, ``suite`` or ``library``), in the form for editors."""
    inside = _PACKAGE / "schemas" / f"{name}.schema.json"
    # In an editable install the folder is beside the package.
    return (inside if inside.is_file() else _PACKAGE.parent / "schemas" / inside.name).read_text("utf-8")
