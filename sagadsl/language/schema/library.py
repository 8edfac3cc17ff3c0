"""Validates a library against its JSON Schema. What stands in a fragment is checked where it is used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.bounds import first
from sagadsl.language.bundled import schema_text
from sagadsl.language.document import Document
from sagadsl.language.schema import definition, json_schema, step_rules, wording
from sagadsl.language.schema.wording import SchemaPart
from sagadsl.language.suggest import closest
from sagadsl.language.syntax import bounded

MARK = "sagadsl_library"
"""The key that tells a library from a definition."""


def is_library(document: Document) -> bool:
    """Whether a file says that it is a library."""
    return isinstance(document.data, dict) and MARK in document.data


def check(document: Document) -> tuple[Finding, ...]:
    """Return every mistake of form in a library, in the order of the file."""
    if not isinstance(document.data, dict):
        return ()
    if MARK not in document.data:
        near = closest(MARK, document.data)
        help = f"did you mean `{MARK}` for `{near}`?" if near else f"a library begins with `{MARK}: 1`"
        return (Finding("SD101", "this is no library", (), help=help),)
    return tuple(sorted(map(bounded, first(_library(document))), key=document.position))


def _library(document: Document) -> Iterator[Finding]:
    root, data = _root(), document.data
    part = SchemaPart(document, (), "the library", None, definition.definitions())
    yield from wording.reword(part, wording.errors_in(data, root))
    for name, policy in _entries(data, "retry"):
        yield from step_rules.intervals(part, ("retry", name), policy)
    for name, schema in _entries(data, "schemas"):
        if isinstance(schema, dict):
            for finding in json_schema.check(schema, ("schemas", name)):
                if finding.severity is Severity.ERROR:  # what only warns is said where the schema is used
                    yield finding


def _entries(data: dict[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    found = data.get(key)
    yield from found.items() if isinstance(found, dict) else ()


@lru_cache(maxsize=1)
def _root() -> dict[str, Any]:
    root: dict[str, Any] = json.loads(schema_text("library").replace('"saga.schema.json#', '"#'))
    definition.inline(root, definition.definitions())
    return root
