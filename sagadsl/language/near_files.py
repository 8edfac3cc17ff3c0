"""Finds the file or folder that was probably meant by a path that leads nowhere. It opens no file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePath

from sagadsl.language.suggest import closest

_LOOKED_AT = 2000
"""The most names of one folder that are compared."""


def meant(written: str, suffixes: tuple[str, ...], folder: str | os.PathLike[str] = "") -> str | None:
    """Return the path that is nearest to *written* and leads to a file with one of *suffixes*, or to a folder.

    Args:
        written: A path; a ``#NAME`` behind it stays.
        folder: Where a relative path begins.
    """
    path, mark, saga = written.partition("#")
    parts = PurePath(path).parts
    found: list[str] = []
    for number, part in enumerate(parts):
        here = os.path.join(folder, *found)
        if part in ("..", os.sep) or os.path.exists(os.path.join(here, part)):
            found.append(part)
        elif (near := _nearest(part, here, suffixes if number == len(parts) - 1 else ())) is not None:
            found.append(near)
        else:
            return None
    reached = os.path.join(*found) if found else ""
    fits = reached.endswith(suffixes) or os.path.isdir(os.path.join(folder, reached))
    return f"{reached}{mark}{saga}" if reached and reached != path and fits else None


def _nearest(name: str, folder: str, suffixes: tuple[str, ...]) -> str | None:
    """Return the nearest name in a folder. Only what stands before the first dot counts: the ends are alike."""
    stems: dict[str, str] = {}
    for each in _names(folder, suffixes):
        stems.setdefault(each.partition(".")[0], each)
    stem = name.partition(".")[0]
    if stem in stems:
        return stems[stem]
    near = closest(stem, stems)
    return None if near is None else stems[near]


def _names(folder: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    try:
        with os.scandir(folder or ".") as entries:
            for number, each in enumerate(sorted(entries, key=lambda entry: entry.name)):
                if number < _LOOKED_AT and (each.is_dir() or (suffixes and each.name.endswith(suffixes))):
                    yield each.name
    except (OSError, ValueError):
        return
