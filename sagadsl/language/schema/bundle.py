"""Validates what a bundle, a file with several sagas, says at its top.

Each saga is checked as a definition of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from sagadsl.diagnostics.findings import Finding
from sagadsl.language.bounds import first
from sagadsl.language.document import Document
from sagadsl.language.schema import definition, wording
from sagadsl.language.schema.step_rules import misplaced
from sagadsl.language.schema.wording import SchemaPart
from sagadsl.language.syntax import bounded

MARK = "sagas"
"""The key that tells a bundle from a definition."""

SHARED = ("imports", "task_queue", "defaults")
"""What stands at the top for every saga of the bundle."""

MOST_SAGAS = 200

_NO_BUNDLES = frozenset({"sagadsl_library", "sagadsl_test"})
_AT_THE_TOP = {
    "sagadsl": "the version of the language stands once, at the top of the file",
    "name": "its name is the key before it",
    "imports": "imports stand once, at the top of the file, for every saga in it",
}
"""The keys of a definition that a saga of a bundle does not have, and why."""


def is_bundle(document: Document) -> bool:
    """Whether a file has several sagas, each below its name."""
    return isinstance(document.data, dict) and MARK in document.data and not _NO_BUNDLES & document.data.keys()


def belongs_at_the_top(key: str) -> bool:
    """Whether a saga of a bundle does not have this key of a definition."""
    return key in _AT_THE_TOP


def check(document: Document) -> tuple[Finding, ...]:
    """Return every mistake at the top of a bundle, in the order of the file."""
    unsupported = definition.version(document)
    findings = (unsupported,) if unsupported else map(bounded, first(_bundle(document)))
    return tuple(sorted(findings, key=document.position))


def _bundle(document: Document) -> Iterator[Finding]:
    data, root = document.data, _root()
    part = SchemaPart(document, (), "the bundle", None, definition.definitions())
    allowed = root["properties"]
    for key in islice((key for key in data if key not in allowed and not key.startswith("x-")), 100):
        if key in definition.top_level():
            yield misplaced(part, key, f"stands beside `{MARK}`", "move it into the saga that it is about")
        else:
            yield wording.unknown(part, (), key, list(allowed))
    yield from wording.reword(
        part, wording.errors_in({key: each for key, each in data.items() if key in allowed}, root)
    )
    sagas = data[MARK] if isinstance(data[MARK], dict) else {}
    for name, saga in sagas.items():
        for key, help in _AT_THE_TOP.items() if isinstance(saga, dict) else ():
            if key in saga:
                what = f"saga `{name}` of the bundle has `{key}` of its own"
                yield Finding("SD104", what, (MARK, name, key), help=f"remove it: {help}", at_key=True)


@lru_cache(maxsize=1)
def _root() -> dict[str, Any]:
    """Return the schema of a bundle that leaves open what is checked with each saga."""
    top = definition.top_level()
    sagas = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": MOST_SAGAS,
        "additionalProperties": {"type": "object"},
    }
    return {
        "type": "object",
        "properties": {
            "sagadsl": top["sagadsl"],
            "description": top["description"],
            "imports": {},
            "task_queue": top["task_queue"],
            "defaults": {"type": "object"},
            MARK: sagas,
        },
    }
