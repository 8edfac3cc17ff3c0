"""Which changes of files matter to sagas: ``dev`` and ``validate --watch`` look at the same."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from sagadsl.cli.files import exists, is_file, is_folder
from sagadsl.errors import NeedsExtra
from sagadsl.language.loaded import Address

STEP = 200
"""Milliseconds to wait until an editor has written everything."""

_WATCHED = (".yaml", ".yml", ".py", "pyproject.toml", "sagadsl.toml", ".sig")
_NAMED = 5


def need_watchfiles() -> None:
    """Raise ``NeedsExtra`` if nothing here can look at files."""
    try:
        import watchfiles  # noqa: F401
    except ModuleNotFoundError as error:
        raise NeedsExtra(error.name or str(error), extra="dev") from None


def roots(paths: Sequence[str]) -> set[Path]:
    """Return the folders in which changes of what *paths* mean happen; without a path, the current one."""
    named = {
        Path(text) if is_folder(text) else Path(Address.of(text).file).parent
        for text in paths or (".",)
        if exists(text) or is_file(text)
    }
    return {*named, Path()}


def matters(_: object, path: str) -> bool:
    """Whether the file may change what a saga does, or which sagas there are.

    A folder that comes or goes may do so with its files, of which no change is told then.
    """
    parts = Path(path).parts
    hidden = any(part.startswith(".") and part not in (".", "..") for part in Path(os.path.relpath(path)).parts)
    is_or_was_folder = os.path.isdir(path) or not (os.path.splitext(path)[1] or os.path.exists(path))
    return (path.endswith(_WATCHED) or is_or_was_folder) and not hidden and "__pycache__" not in parts


def named(changes: Iterable[tuple[object, str]]) -> str:
    """Name the changed files, the first few of many."""
    names = sorted({os.path.relpath(path) for _, path in changes})
    return f"{', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''}"
