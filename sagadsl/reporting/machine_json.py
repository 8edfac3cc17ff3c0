"""Findings as one JSON document."""

from __future__ import annotations

import json
from typing import Any

from sagadsl.reporting.items import items_of, tool_version
from sagadsl.reporting.report_input import ReportInput

SCHEMA_VERSION = 1
"""The version of the document. It grows when we rename or remove something, but not when we add something."""


def as_json(given: ReportInput) -> str:
    """Return the document."""
    items = items_of(given)
    errors = sum(item["severity"] == "error" for item in items)
    counts: dict[str, Any] = {"files": len(given.results), "errors": errors, "warnings": len(items) - errors}
    if given.elapsed_ms is not None:
        counts["elapsed_ms"] = given.elapsed_ms
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sagadsl", "version": tool_version()},
        "summary": counts,
        "files": [result.document.name for result in given.results],
        "findings": items,
    }
    return json.dumps(document, indent=2, ensure_ascii=True)
