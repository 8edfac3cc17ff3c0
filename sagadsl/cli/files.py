"""Which files a command means by its PATHS. Opens them, and knows nothing of what is inside."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PATTERN = "*.saga.yaml"
SUFFIXES = (".saga.yaml", ".saga.yml")
STDIN = "-"
_SKIPPED = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Source:
    """One definition as bytes; ``name`` is what reports call it, ``path`` where it is, if it is a file."""

    name: str
    data: bytes
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that leads to no definition, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def read(paths: Sequence[str], stdin_filename: str = "") -> tuple[list[Source], list[Unreadable]]:
    """Read everything that *paths* name, each file once, in the order given; no path is the current folder.

    Args:
        stdin_filename: Name for what comes from ``-``, which editors know and we do not.
    """
    sources: dict[str, Source] = {}
    problems: list[Unreadable] = []
    for text in paths or (".",):
        if text == STDIN:
            sources[STDIN] = Source(stdin_filename or "<stdin>", sys.stdin.buffer.read())
            continue
        found = list(_expand(text))
        if not found:
            problems.append(Unreadable(text, _nothing(text)))
        for path in found:
            try:
                sources.setdefault(str(path), Source(str(path), path.read_bytes(), path))
            except OSError as error:
                problems.append(Unreadable(str(path), (error.strerror or str(error)).lower()))
    return list(sources.values()), problems


def _expand(text: str) -> Iterator[Path]:
    path = Path(text)
    if path.is_dir():
        yield from _walk(path)
    elif path.exists():
        yield path
    elif glob.has_magic(text):
        for each in sorted(glob.glob(text, recursive=True)):
            match = Path(each)
            yield from _walk(match) if match.is_dir() else (match,)


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        for name in sorted(names):
            if name.endswith(SUFFIXES):
                yield Path(parent, name)


def _nothing(text: str) -> str:
    if Path(text).is_dir():
        return f"no {PATTERN} in this folder or below"
    return "matches no file" if glob.has_magic(text) else "no such file or folder"
