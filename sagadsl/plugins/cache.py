"""The cache of installed activities, so that a check need not import them again.

It holds only data, in ``$XDG_CACHE_HOME/sagadsl``. The list of offers is valid as long as no folder of Python's
path has changed. The signature of an activity is valid as long as no file has changed that was loaded when the
signature was read. A cache that cannot be read or written counts as missing. ``SAGADSL_CACHE=off`` switches it
off, for plugins whose types depend on more than their files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from sagadsl.language.analysis.known import Signature

FORMAT = 1

Stamp = list[int] | None
"""The time of the last change and the size of a file or folder; ``None`` when it is not there."""


class Cache(Struct):
    """The cache of one Python environment, read once and written when something is added.

    Attributes:
        path: The file; ``None`` keeps nothing.
        data: Its contents.
        checked: No file had changed when the first signature was wanted; a command asks once.
    """

    path: Path | None
    data: dict[str, Any] = field(default_factory=dict)
    checked: bool = False

    @classmethod
    def open(cls) -> Cache:
        """Open the cache of this process's environment."""
        if os.environ.get("SAGADSL_CACHE", "").lower() in ("off", "0", "no", "false"):
            return cls(None)
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        where = hashlib.sha256("\0".join([sys.prefix, sys.version, *sys.path]).encode("utf-8", "replace")).hexdigest()
        path = Path(base, "sagadsl", f"plugins-{where[:16]}.json")
        try:
            data = json.loads(path.read_bytes())
        except (OSError, ValueError):
            data = {}
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            data = {}
        return cls(path, data)

    def offers(self) -> list[tuple[str, str, str, str]] | None:
        """Return name, package, distribution and value of every offer; ``None`` when the cache does not know them."""
        try:
            if self.data["paths"] != stamps(sys.path):
                return None
            return [(str(a), str(b), str(c), str(d)) for a, b, c, d in self.data["offers"]]
        except (KeyError, TypeError, ValueError):
            return None

    def keep_offers(self, offers: Iterable[tuple[str, str, str, str]]) -> None:
        """Keep the offers, and drop the signatures, which may belong to other offers."""
        self.data = {"format": FORMAT, "paths": stamps(sys.path), "offers": [list(each) for each in offers]}
        self._write()

    def signature(self, key: str, load: Callable[[], Signature | Any]) -> Any:
        """Return the signature kept under *key*, else the result of *load*; keep that if it is a signature."""
        kept = self._kept(key)
        if kept is not None:
            return kept
        found = load()
        if isinstance(found, Signature):
            self._keep(key, found)
        return found

    def _kept(self, key: str) -> Signature | None:
        signatures = self.data.get("signatures")
        if not isinstance(signatures, dict) or key not in signatures:
            return None
        files = self.data.get("files")
        if not self.checked and (not isinstance(files, dict) or files != stamps(files)):
            del self.data["signatures"]
            return None
        self.checked = True
        return _signature(signatures[key])

    def _keep(self, key: str, signature: Signature) -> None:
        try:
            packed = json.loads(json.dumps(asdict(signature)))
        except (TypeError, ValueError):  # a schema has an example that is no JSON
            return
        if "paths" not in self.data or _signature(packed) != signature:
            return
        if "signatures" not in self.data:
            self.data |= {"signatures": {}, "files": {}}
        self.data["files"].update(stamps(_loaded_files()))
        self.data["signatures"][key] = packed
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            write(self.path, self.data)


def write(path: Path, data: object) -> None:
    """Write data as JSON, all at once: nobody ever reads a half of it. A file that cannot be written is left out."""
    with contextlib.suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A name of nobody else's; importing `tempfile` takes 3 ms.
        name = path.with_name(f"{path.stem}-{os.getpid()}-{time.monotonic_ns()}.new")
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(data, file)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise


def _signature(packed: Any) -> Signature | None:
    try:
        return Signature(**packed | {"errors": tuple(packed["errors"]), "examples": tuple(packed["examples"])})
    except (KeyError, TypeError):
        return None


def stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    """Return the stamp of each file or folder."""
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path or ".")
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size]


def _loaded_files() -> list[str]:
    """Return the files of all loaded modules except Python's own: the cache's name contains Python's version."""
    own = os.path.dirname(os.__file__) + os.sep
    installed = os.path.join(own, "site-packages") + os.sep
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return sorted(
        {file for file in files if isinstance(file, str) and (not file.startswith(own) or file.startswith(installed))}
    )
