"""Files to write, from templates, without ever taking the place of one that is there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path

from sagadsl.immutable import Immutable

_TEMPLATES = Path(__file__).parent / "templates"


class Presence(Enum):
    """How a file stands before anything is written."""

    NEW = "new"
    SAME = "same"
    OTHER = "other"


class Planned(Immutable):
    """One file to write.

    Attributes:
        path: Below the folder of the scaffold.
        replaces: It is an existing file with additions; only then it takes the place of what is there.
    """

    path: str
    text: str
    replaces: bool = False

    def presence(self, folder: Path) -> Presence:
        """Compare it with what is there."""
        target = folder / self.path
        if not os.path.lexists(target):
            return Presence.NEW
        try:
            return Presence.SAME if target.read_text(encoding="utf-8") == self.text else Presence.OTHER
        except (OSError, UnicodeDecodeError):
            return Presence.OTHER


def template(name: str, values: Mapping[str, str]) -> str:
    """Return a template with *values* in the places ``__KEY__``."""
    text = (_TEMPLATES / f"{name}.in").read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"__{key}__", value)
    return text


def write(files: Sequence[Planned], folder: Path) -> None:
    """Write *files*. Raises ``FileExistsError`` rather than write over one; other ``OSError`` as they come."""
    for each in files:
        target = folder / each.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w" if each.replaces else "x", encoding="utf-8", newline="\n") as file:
            file.write(each.text)
