"""Finds and reads the libraries that a definition imports. They are untrusted, like the definition itself.

A library lies in the folder of the definition or below: no absolute path, no way out of that folder, also not by a
symbolic link.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.errors import reason_of
from sagadsl.immutable import Immutable
from sagadsl.language.document import Document, parse
from sagadsl.language.near_files import meant
from sagadsl.language.schema import library
from sagadsl.language.unsaved import read_bytes

MOST_FILES = 50
"""The most libraries of one definition, those that its libraries import included."""


class CannotImport(ValueError):
    """Why a path is none that may be imported, in one clause, and what to do."""

    def __init__(self, reason: str, help: str) -> None:
        super().__init__(reason, help)
        self.reason, self.help = reason, help


class LibraryFile(Immutable):
    """One library as it has been read.

    Attributes:
        errors: Its own mistakes; with any, nothing of it is used.
    """

    path: Path
    document: Document
    errors: tuple[Finding, ...] = ()

    @property
    def imports(self) -> Mapping[str, str]:
        """The paths that it imports, by name."""
        found = self.document.data.get("imports") if isinstance(self.document.data, dict) else None
        return (
            {} if not isinstance(found, dict) else {key: each for key, each in found.items() if isinstance(each, str)}
        )


class Shelf:
    """The libraries that have been read so far, by path: each is read, parsed and checked once."""

    def __init__(self) -> None:
        self._files: dict[Path, LibraryFile] = {}
        self._homes: dict[Path, Path] = {}
        self._got: dict[tuple[str, Path, Path], LibraryFile] = {}
        self.read: set[tuple[str, str]] = set()
        """The libraries that have been read: the path as written, and the file to which it has led."""

    def get(self, written: str, folder: Path, root: Path) -> LibraryFile:
        """Return the library at a path as written in a file of *folder*. Raises ``CannotImport``.

        Args:
            root: The folder of the definition, outside of which nothing is read.
        """
        if (written, folder, root) not in self._got:
            self._got[written, folder, root] = self._find(written, folder, root)
        return self._got[written, folder, root]

    def _find(self, written: str, folder: Path, root: Path) -> LibraryFile:
        pure = PurePosixPath(written)
        if pure.is_absolute() or "\\" in written or ":" in written or "\0" in written:
            raise CannotImport(f"`{written}` is no relative path", "write it as seen from this file: `./policies.yaml`")
        path = Path(os.path.normpath(folder / pure))
        try:
            real, home = path.resolve(), self._homes.setdefault(root, root.resolve())
            if not real.is_relative_to(home):
                raise CannotImport(
                    f"`{written}` leads out of the folder of the definition", "move the library below it"
                )
            if real not in self._files:
                self._files[real] = _read(written, folder, path, real)
            self.read.add((str(path), str(real)))
        except (OSError, RuntimeError, ValueError) as error:
            if isinstance(error, CannotImport):
                raise
            why = reason_of(error)
            raise CannotImport(f"`{written}` cannot be read: {why}", "give the path of a library") from None
        return self._files[real]


def _read(written: str, folder: Path, path: Path, real: Path) -> LibraryFile:
    if not real.is_file():  # also no pipe, which might never end
        what = "is a folder" if real.is_dir() else "is not there" if not real.exists() else "is no file"
        near = None if real.exists() else meant(written.removeprefix("./"), (".yaml", ".yml"), folder)
        help = "give the path of a library as seen from this file" if near is None else f"did you mean `./{near}`?"
        raise CannotImport(f"`{written}` {what}", help)
    document, syntax = parse(read_bytes(real), str(path))
    found = (*syntax, *library.check(document))
    return LibraryFile(real, document, tuple(each for each in found if each.severity is Severity.ERROR))
