"""The files of an editor: those that are open as they are typed, and those of its folders as they were saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from sagadsl.editing.source import SUITES, Source
from sagadsl.language.analysis.known import Signature
from sagadsl.language.loaded import SUFFIXES
from sagadsl.language.unsaved import read_bytes, unsaved

_MOST_FILES = 5000
_LEFT_OUT = frozenset((".git", ".venv", "node_modules", "__pycache__", ".tox", "build", "dist"))


class Workspace:
    """What an editor has open, and the folders in which it works.

    Attributes:
        open: Texts of open files, by resolved path.
        folders: Where files that are not open are looked for.
        activities: Signatures of what is installed; ``None`` when nobody knows.
    """

    def __init__(self) -> None:
        self.open: dict[Path, str] = {}
        self.folders: list[Path] = []
        self.activities: Mapping[str, Signature] | None = None
        self._sources: dict[Path, tuple[str, Source]] = {}

    def as_typed(self, more: Mapping[Path, str] | None = None) -> AbstractContextManager[None]:
        """Let open files count as they are typed, and *more* in place of them, until the block ends."""
        return unsaved({**self.open, **(more or {})})

    def source(self, path: Path) -> Source | None:
        """Return a file as it is now; ``None`` if it cannot be read. Within ``as_typed``."""
        try:
            text = read_bytes(path).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return Source(path, text, self.activities)

    def suites(self) -> Iterator[Path]:
        """Yield the suites of the folders."""
        yield from (path for path in self._files() if path.name.endswith(SUITES))

    def _files(self) -> Iterator[Path]:
        seen: set[Path] = set()
        for folder in self.folders:
            waiting = [folder]
            while waiting and len(seen) < _MOST_FILES:
                try:
                    inside = sorted(waiting.pop().iterdir())
                except OSError:
                    continue
                for path in inside:
                    if path.is_dir():
                        waiting += [path] * (path.name not in _LEFT_OUT and not path.is_symlink())
                    elif path.name.endswith((*SUITES, *SUFFIXES)) and path.resolve() not in seen:
                        seen.add(path.resolve())
                        yield path
        yield from (path for path in self.open if path not in seen)


def is_ours(path: Path) -> bool:
    """Whether a file is a definition or a suite."""
    return path.name.endswith((*SUFFIXES, *SUITES))
