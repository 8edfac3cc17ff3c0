"""Adds what sagas need to a `pyproject.toml` that is there, and leaves all else as it is, comments too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sagadsl.errors import NeedsExtra, Worded
from sagadsl.plugins.offers import GROUP

_NEEDED = "sagadsl"


class Unmergeable(Worded):
    """The file cannot be read, or has something else where the additions belong."""

    code = "SD989"
    exit_code = 2


def with_activities(text: str, points: Mapping[str, str]) -> str:
    """Return the file with these entry points and sagadsl among its dependencies; the same text if it has all.

    An entry point that has one of the names already stays. Raises ``Unmergeable``, and ``NeedsExtra`` without tomlkit.
    """
    try:
        import tomlkit  # noqa: PLC0415  # only here
        from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error), extra="dev") from None
    try:
        document: Any = tomlkit.parse(text)
        project = document["project"]
        ours = _table(_table(project, "entry-points", is_super_table=True), GROUP)
        for name, target in points.items():
            ours.setdefault(name, target)
        if "dependencies" not in project.get("dynamic", ()):
            needed = project.setdefault("dependencies", tomlkit.array())
            if not any(_name_of(str(each)) == _NEEDED for each in needed):
                needed.append(_NEEDED)
        return str(tomlkit.dumps(document))
    except (TOMLKitError, TypeError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())
        remedy = "repair it, or add the entry points by hand"
        raise Unmergeable(f"pyproject.toml cannot be added to: {why}", remedy) from None


def _table(parent: Any, key: str, *, is_super_table: bool = False) -> Any:
    """Return a table of *parent*, or a new one in the form that *parent* can hold."""
    import tomlkit  # noqa: PLC0415
    from tomlkit.items import InlineTable  # noqa: PLC0415

    if key not in parent:
        inline = isinstance(parent, InlineTable)
        parent[key] = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=is_super_table)
    return parent[key]


def _name_of(requirement: str) -> str:
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
