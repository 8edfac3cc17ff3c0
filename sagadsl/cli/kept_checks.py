"""Keeps which definitions had nothing wrong, so that `validate` need not read them again while nothing has changed.

A file for each folder of definitions, in the folder of the cache of plugins. It says of a definition by what digests
its checks went: those of its text, of the libraries and neighbours that they looked at, of the signatures of
activities that they asked for. All of it stands under the stamp of sagadsl's own files and of the installed packages.
It holds no finding: what has one is checked again. docs/decisions/0037
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from sagadsl.language.analysis.known import Signature
from sagadsl.language.document import Document
from sagadsl.language.loaded import SUFFIXES, Loaded, Size
from sagadsl.plugins.cache import Cache, stamps, write

if TYPE_CHECKING:
    from sagadsl.cli.installed import Installed

_FORMAT = 3
_TICK = 20_000_000
"""Nanoseconds by which the times of files may lag behind the clock."""

_ABSENT = "-"
"""Stands for the signature of an activity that no package can offer."""


class KeptChecks:
    """The definitions without a finding, by path.

    It is a class, because it reads each file of this machine at most once in a command.
    """

    def __init__(self, cache: Cache, installed: Installed | None) -> None:
        self._folder = None if cache.path is None else cache.path.parent
        self._environment = "" if cache.path is None else cache.path.stem
        self._installed = installed
        self._folder_digests: dict[str, str | None] = {}
        self._file_digests: dict[str, str | None] = {}
        self._signatures: dict[str, str | None] = {}
        self._old: dict[str, bool] = {}
        self._kept: dict[str, dict[str, Any]] = {}
        self._code = ""
        self._began = time.time_ns() - _TICK

    def unchanged(self, path: Path) -> tuple[Loaded, ...] | None:
        """Return the sagas of a file that had nothing wrong and has not changed; ``None`` when it must be checked."""
        if self._folder is None:
            return None
        entry = self._entries(_folder_of(path)).get(path.name)
        if not isinstance(entry, dict):
            return None
        try:
            if not self._holds(path, entry):
                return None
            sizes = [None if each is None else Size(each[0], frozenset(each[1])) for each in entry["sagas"]]
        except (KeyError, TypeError, ValueError, IndexError):  # somebody else's file
            return None
        return tuple(Loaded(Document(str(path), ""), size=size) for size in sizes)

    def keep(self, checked: Mapping[Path, Sequence[Loaded]]) -> None:
        """Keep those of the files that have been checked in which nothing is wrong."""
        changed: dict[str, None] = {}
        for path, sagas in checked.items() if self._folder is not None else ():
            folder, entry = _folder_of(path), self._entry(path, sagas)
            entries = self._entries(folder)
            if entry is not None:
                entries[path.name] = entry
            elif entries.pop(path.name, None) is None:
                continue
            changed[folder] = None
        for folder in changed:
            kept = {name: entry for name, entry in self._kept[folder].items() if os.path.exists(Path(folder, name))}
            write(self._file(folder), {"format": _FORMAT, "code": self._stamp(), "files": kept})

    def _entry(self, path: Path, sagas: Sequence[Loaded]) -> dict[str, Any] | None:
        if any(each.findings for each in sagas):
            return None
        folder = _folder_of(path) if any(each.looked_at.folder for each in sagas) else None
        libraries = sorted({one for each in sagas for one in each.looked_at.libraries})
        if not self._are_old([str(path), *(real for _, real in libraries)]) or not self._is_old_folder(folder):
            return None
        names = {name for each in sagas for name in each.looked_at.activities}
        activities = {name: self._signature(name) for name in sorted(names)}
        if None in activities.values():
            return None
        return {
            "text": self._file_digest(str(path)),
            "plugins": self._installed is not None,
            "activities": activities,
            "libraries": [[written, real, self._file_digest(real)] for written, real in libraries],
            "folder": None if folder is None else self._folder_digest(folder),
            "sagas": [None if each.size is None else _size(each.size) for each in sagas],
        }

    def _are_old(self, paths: Iterable[str]) -> bool:
        """Whether files are as they were when this command began, so that it has checked what it takes a digest of."""
        try:
            found = [os.stat(path) for path in paths]
        except OSError:
            return False
        return all(max(each.st_mtime_ns, each.st_ctime_ns) < self._began for each in found)

    def _is_old_folder(self, folder: str | None) -> bool:
        if folder is None:
            return True
        if folder not in self._old:
            self._old[folder] = self._are_old([folder, *_definitions_in(folder)])
        return self._old[folder]

    def _holds(self, path: Path, entry: Mapping[str, Any]) -> bool:
        return (
            entry["plugins"] is (self._installed is not None)
            and entry["text"] == self._file_digest(str(path))
            and all(self._same_library(*each) for each in entry["libraries"])
            and (entry["folder"] is None or entry["folder"] == self._folder_digest(_folder_of(path)))
            and all(digest == self._signature(name) for name, digest in entry["activities"].items())
        )

    def _same_library(self, written: str, real: str, digest: str) -> bool:
        return os.path.realpath(written) == real and self._file_digest(real) == digest

    def _file_digest(self, path: str) -> str | None:
        """Return the digest of a file; ``None`` when it cannot be read."""
        if path not in self._file_digests:
            try:
                self._file_digests[path] = _digest(Path(path).read_bytes())
            except OSError:
                self._file_digests[path] = None
        return self._file_digests[path]

    def _folder_digest(self, folder: str) -> str | None:
        """Return one digest of all definitions in a folder, with their names."""
        if folder not in self._folder_digests:
            texts = [[path, self._file_digest(path)] for path in _definitions_in(folder)]
            self._folder_digests[folder] = _digest(json.dumps(texts).encode())
        return self._folder_digests[folder]

    def _signature(self, name: str) -> str | None:
        """Return the digest of an activity's signature; ``None`` when a check would have to import it, or cannot."""
        if self._installed is None:
            return None
        if name not in self._signatures:
            self._signatures[name] = self._digest_of(name, self._installed)
        return self._signatures[name]

    def _digest_of(self, name: str, installed: Installed) -> str | None:
        if installed.catalogue.lacks(name):
            return _ABSENT
        found = installed.get(name)
        return None if found is None else _of_signature(found)

    def _entries(self, folder: str) -> dict[str, Any]:
        if folder not in self._kept:
            try:
                data = json.loads(self._file(folder).read_bytes())
                fits = data["format"] == _FORMAT and data["code"] == self._stamp() and isinstance(data["files"], dict)
                self._kept[folder] = data["files"] if fits else {}
            except (OSError, ValueError, KeyError, TypeError):
                self._kept[folder] = {}
        return self._kept[folder]

    def _file(self, folder: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._environment.replace('plugins', 'checked')}-{_digest(folder.encode())[:16]}.json"

    def _stamp(self) -> str:
        """Return a digest of the times and sizes of sagadsl's own files, and of the folders of Python's path."""
        if not self._code:
            self._code = _digest(json.dumps([*stamps(_own_files()).items(), *stamps(sys.path).items()]).encode())
        return self._code


def _size(size: Size) -> list[Any]:
    return [size.steps, sorted(size.activities)]


def _own_files() -> Iterator[str]:
    package = Path(__file__).parents[1]
    left = [str(package), str(package.parent / "schemas")]  # where the schemas are in an editable install
    while left:
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.name.endswith((".py", ".json")):
                    yield entry.path
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    left.append(entry.path)


def _definitions_in(folder: str) -> list[str]:
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(SUFFIXES))
    except OSError:
        return []


def _folder_of(path: Path) -> str:
    return os.path.abspath(path.parent)


def _of_signature(signature: Signature) -> str:
    return _digest(json.dumps(asdict(signature), sort_keys=True, default=repr).encode("utf-8", "surrogatepass"))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
