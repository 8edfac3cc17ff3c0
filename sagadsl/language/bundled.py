"""What the package ships beside its code: JSON Schemas, and the pages of the documentation. Where they lie, no more."""

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


@cache
def pages_folder() -> Path:
    """Return the folder of the documentation; it is not there if somebody has taken it out of the package."""
    inside = _PACKAGE / "docs"
    return inside if inside.is_dir() else _PACKAGE.parent / "docs"


def page_text(name: str) -> str | None:
    """Return a page of the documentation by its path in the folder, without its suffix; ``None`` if there is none."""
    path = pages_folder() / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def page_names() -> tuple[str, ...]:
    """Return the pages by their paths, without those of codes."""
    folder = pages_folder()
    found = (each.relative_to(folder).with_suffix("").as_posix() for each in folder.rglob("*.md"))
    return tuple(sorted(each for each in found if not each.startswith("diagnostics/")))
