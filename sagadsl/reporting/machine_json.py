"""Findings as one JSON document."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sagadsl.diagnostics.findings import Severity
from sagadsl.reporting.items import items_of, tool_version
from sagadsl.reporting.report_input import ReportInput

SCHEMA_VERSION = 1
"""The version of the document. It grows when we rename or remove something, but not when we add something."""


def as_json(given: ReportInput) -> str:
    """Return the document."""
    items = items_of(given)
    number = Counter(item["severity"] for item in items)
    counts: dict[str, Any] = {"files": len(given.results)}
    counts |= {f"{each.value}s": number[each.value] for each in Severity}
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
