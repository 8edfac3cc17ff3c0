"""Reads files as an editor has them: what somebody types counts before it is saved.

Everything that reads the file of a definition, a library or a suite reads it here. It knows nothing of sagas.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_texts: ContextVar[Mapping[Path, str]] = ContextVar("_texts", default={})  # noqa: B039 # nobody changes it


@contextmanager
def unsaved(texts: Mapping[Path, str]) -> Iterator[None]:
    """Let *texts*, by the resolved path of each, stand for what the disk has, until the block ends."""
    token = _texts.set(texts)
    try:
        yield
    finally:
        _texts.reset(token)


def read_bytes(path: Path) -> bytes:
    """Return what a file has, or would have if it were saved now. Raises ``OSError``."""
    texts = _texts.get()
    text = texts.get(path.resolve()) if texts else None
    return path.read_bytes() if text is None else text.encode("utf-8", "surrogatepass")
