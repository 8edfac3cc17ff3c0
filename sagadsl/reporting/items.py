"""Findings as data for machines: every form for machines is made from it."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language import syntax
from sagadsl.language.document import Document, Span, is_place
from sagadsl.language.raw_steps import STEP_LISTS
from sagadsl.reporting.excerpt import locate
from sagadsl.reporting.report_input import ReportInput, in_order, span_of


def tool_version() -> str:
    """Return the release of sagadsl."""
    from importlib.metadata import version  # noqa: PLC0415  # 20 ms, only for machines

    return version("sagadsl")


@lru_cache(maxsize=8)
def _starts(text: str) -> tuple[int, ...]:
    """Return the offset of each line's first character."""
    return (0, *(found.end() for found in syntax.BREAK.finditer(text)))


def _point(document: Document, line: int, column: int) -> dict[str, int]:
    starts = _starts(document.text)
    number = max(1, min(line, len(starts)))
    return {"line": line, "column": column, "offset": min(starts[number - 1] + column - 1, len(document.text))}


def _range(document: Document, span: Span) -> dict[str, Any]:
    return {
        "start": _point(document, span.line, span.column),
        "end": _point(document, span.end_line, span.end_column),
    }


def _path(route: Route) -> str:
    """Return the JSON Pointer to the value; for a mere place in the text, to the value around it."""
    real = [key for key in route if not is_place((key,))]
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in real)


def _step(document: Document, finding: Finding) -> str:
    """Return the id of the step of a finding. If the check did not give it, this is the innermost step around it."""
    if finding.step:
        return finding.step
    data, step, keys = document.data, "", list(finding.route)
    for index, key in enumerate(keys):
        if isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data):
            data = data[key]
            in_steps = keys[index - 1] in STEP_LISTS
            if in_steps and isinstance(data, dict) and isinstance(data.get("id"), str):
                step = data["id"]
        elif isinstance(data, dict) and key in data:
            data = data[key]
        else:
            break
    return step


def _item(document: Document | None, finding: Finding) -> dict[str, Any]:
    related = [
        {"message": label, "range": _range(document, locate(document, route, at_key=True))}
        for route, label in finding.related
        if document is not None
    ]
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "file": document.name if document else None,
        "range": _range(document, span_of(document, finding)) if document else None,
        "path": _path(document.in_file(finding.route) if document else finding.route),
        "step": (_step(document, finding) if document else finding.step) or None,
        "label": finding.label,
        "related": related,
        "help": finding.help.splitlines(),
        "notes": list(finding.notes),
        "fix": {"replace": finding.fix, "safe": True} if finding.fix is not None else None,
        "url": f"docs/diagnostics/{finding.code}.md",
    }


def items_of(given: ReportInput) -> list[dict[str, Any]]:
    """Return the findings as data; findings that belong to no file come first."""
    items = [_item(None, finding) for finding in given.unplaced]
    return items + [_item(document, finding) for document, finding in in_order(given.results)]


def identity(item: dict[str, Any]) -> str:
    """Return what stays the same of a finding when edits of its file move lines."""
    mark = "\0".join([item["file"] or "", item["code"], item["path"], item["message"]])
    return hashlib.sha256(mark.encode("utf-8", "replace")).hexdigest()[:32]
