"""Finds the files that a command's PATHS mean. It reads none of them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from sagadsl.errors import reason_of
from sagadsl.immutable import Immutable
from sagadsl.language.loaded import SUFFIXES, Address

STDIN: Literal["-"] = "-"
_SKIPPED = frozenset({"node_modules", "__pycache__"})


class NoSuchFile(Immutable):
    """A path that leads to no suitable file, and why.

    Attributes:
        help: What was probably meant; empty if nothing is near.
    """

    path: str
    reason: str
    help: str = ""

    def __str__(self) -> str:
        return f"`{self.path}`: {self.reason}"


def find(paths: Sequence[str], suffixes: tuple[str, ...] = SUFFIXES) -> list[Path | Literal["-"] | NoSuchFile]:
    """List the files that *paths* name, each once, in the given order; without a path, the current folder.

    A folder means every file in it and below with one of *suffixes* (every definition), a
    pattern every file that it matches, ``-`` standard input. A file that is named directly
    counts whatever its suffix; ``FILE#NAME`` is one saga of a file.
    """
    found: dict[str, Path | Literal["-"] | NoSuchFile] = {}
    for text in paths or (".",):
        if text == STDIN:
            found[STDIN] = STDIN
            continue
        matches = list(_expand(text, suffixes))
        if not matches:
            found[text] = NoSuchFile(text, _nothing(text, suffixes), near_file(text, suffixes))
        for path in matches:
            found.setdefault(str(path), path)
    return list(found.values())


def _expand(text: str, suffixes: tuple[str, ...]) -> Iterator[Path]:
    path = Path(text)
    if is_folder(text):
        yield from _walk(path, suffixes)
    elif exists(text) or Address.of(text).saga is not None:
        yield path
    elif glob.has_magic(text):
        for each in sorted(glob.glob(text, recursive=True)):
            match = Path(each)
            yield from _walk(match, suffixes) if match.is_dir() else (match,)


def near_file(text: str, suffixes: tuple[str, ...] = SUFFIXES) -> str:
    """Return the file or folder that was probably meant by a path that is not there, as a question."""
    if exists(text) or glob.has_magic(text):
        return ""
    from sagadsl.language.near_files import meant  # who makes no mistake need not load it

    found = meant(text, suffixes)
    return "" if found is None else f"did you mean `{found}`?"


def why_of(error: Exception) -> str:
    """Return why a file cannot be used, in words."""
    return reason_of(error) if isinstance(error, OSError) else "it is not UTF-8"


def exists(text: str) -> bool:
    """Whether there is such a file or folder; a name that no file can have is not there (a `Path` raises)."""
    return os.path.exists(text)


def is_file(text: str) -> bool:
    """The same for a file, also with the name of a saga behind it: ``FILE#NAME``."""
    return os.path.isfile(Address.of(text).file)


def is_folder(text: str) -> bool:
    """The same for a folder."""
    return os.path.isdir(text)


def _walk(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_of_the_project(parent, name))
        for name in sorted(names):
            if name.endswith(suffixes):
                yield Path(parent, name)


def _is_of_the_project(parent: str, name: str) -> bool:
    """Whether a folder is looked into: none of a tool, and no virtual environment, whatever it is called."""
    hidden = name.startswith(".") or name in _SKIPPED
    return not hidden and not os.path.isfile(os.path.join(parent, name, "pyvenv.cfg"))


def _nothing(text: str, suffixes: tuple[str, ...]) -> str:
    if is_folder(text):
        return f"there is no *{suffixes[0]} in this folder or below"
    return "this pattern matches no file" if glob.has_magic(text) else "there is no such file or folder"
