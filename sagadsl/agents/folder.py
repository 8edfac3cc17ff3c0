"""The folder that an agent may name files of, and no file outside of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sagadsl.language.document import parse
from sagadsl.language.loaded import Address
from sagadsl.language.unsaved import read_bytes

_SKIPPED = frozenset({"node_modules", "__pycache__"})
_YAML = (".yaml", ".yml")
_NAMED_IN_SUITES = ("saga", "sagas", "migrate")
"""The keys of a suite whose texts are names of files."""


class ToolRefused(ValueError):
    """What is asked for is not given, such as a path that leads out; the text says why, and what to do."""


class OpenFolder:
    """A folder with definitions. Whatever is named by an agent, or by a suite in it, has to lie in it."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def inside(self, text: str) -> str:
        """Return a path as a command takes it, relative to the folder; a saga's name may follow it (``FILE#NAME``).

        Raises ``ToolRefused``, also if a link in the same folder, or below, leads to a file outside: a command that is
        given a folder reads each definition in it, and one that is given a saga looks at those beside it.
        """
        if not text or "\0" in text:
            raise ToolRefused("a path is empty or has a character that no path has")
        if any(sign in text for sign in "*?["):
            raise ToolRefused(f"`{text}` is a pattern: name files, or the folder that has them")
        address = Address.of(self.root / text)
        found = self._real(text, address.file)
        self._look(found if found.is_dir() else found.parent, deep=found.is_dir())
        name = "" if address.saga is None else f"#{address.saga}"
        return f".{os.sep}{found.relative_to(self.root)}{name}"

    def suites(self, text: str) -> str:
        """Return a path of suites as ``inside`` does, and look at what they name, too."""
        path = self.inside(text)
        place = self.root / path
        for suite in self._suites(place) if place.is_dir() else (place,):
            for named in _named(_data(suite)):
                self._look(self._real(named, Address.of(suite.parent / named).file).parent, deep=False)
        return path

    def look_beside(self) -> None:
        """Refuse a link right in the folder that leads out: a text is checked as if it were a file there."""
        self._look(self.root, deep=False)

    def _real(self, text: str, path: str | Path) -> Path:
        try:
            found = (self.root / path).resolve()
        except (OSError, RuntimeError, ValueError):
            raise ToolRefused(f"`{text}` cannot be read") from None
        if not found.is_relative_to(self.root):
            raise ToolRefused(f"`{text}` leads out of the folder {self.root}: name what lies in it")
        return found

    def _look(self, folder: Path, *, deep: bool) -> None:
        for parent, folders, names in os.walk(folder):
            folders[:] = [each for each in folders if deep and not each.startswith(".") and each not in _SKIPPED]
            for name in names:
                path = Path(parent, name)
                if name.endswith(_YAML) and path.is_symlink():
                    self._real(str(path.relative_to(self.root)), path)

    def _suites(self, folder: Path) -> Iterator[Path]:
        for parent, folders, names in os.walk(folder):
            folders[:] = [each for each in folders if not each.startswith(".") and each not in _SKIPPED]
            yield from (Path(parent, name) for name in names if name.endswith((".saga-test.yaml", ".saga-test.yml")))


def _data(suite: Path) -> Any:
    try:
        return parse(read_bytes(suite), str(suite))[0].data
    except (OSError, ValueError):
        return None  # the command says what is wrong with it


def _named(data: Any) -> Iterator[str]:
    """Yield the names of files in a suite, wherever they stand."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in _NAMED_IN_SUITES:
                yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
            yield from _named(value)
    elif isinstance(data, list):
        for each in data:
            yield from _named(each)
