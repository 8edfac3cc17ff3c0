"""Findings as JUnit XML, in the form that CI systems read: a ``testcase`` a file."""

from __future__ import annotations

from typing import Any

from sagadsl.language.notation.plain_text import clean
from sagadsl.reporting.items import items_of
from sagadsl.reporting.report_input import ReportInput
from sagadsl.reporting.xml import attribute, content


def junit(given: ReportInput) -> str:
    """Return the document. A file with an error has failed; warnings are the output of one that has passed."""
    by_file: dict[str, list[dict[str, Any]]] = {result.document.name: [] for result in given.results}
    for item in items_of(given):
        by_file.setdefault(item["file"] or "sagadsl", []).append(item)
    failed = sum(any(item["severity"] == "error" for item in items) for items in by_file.values())
    counts = f'tests="{len(by_file)}" failures="{failed}" errors="0" skipped="0"'
    if given.elapsed_ms is not None:
        counts += f' time="{given.elapsed_ms / 1000:.3f}"'
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<testsuites {counts}>"]
    lines.append(f'  <testsuite name="sagadsl validate" {counts}>')
    for file, items in by_file.items():
        head = f'name={attribute(clean(file))} classname="sagadsl.validate"'
        inner = _inner(items)
        lines.append(f"    <testcase {head}>{inner}</testcase>" if inner else f"    <testcase {head}/>")
    lines += ["  </testsuite>", "</testsuites>"]
    return "\n".join(lines)


def _inner(items: list[dict[str, Any]]) -> str:
    errors = [item for item in items if item["severity"] == "error"]
    warnings = [item for item in items if item["severity"] != "error"]
    parts = []
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        message = f"{first['code']}: {clean(first['message'])}{more}"
        text = "\n".join(map(_line, errors))
        parts.append(f"<failure type={attribute(first['code'])} message={attribute(message)}>{content(text)}</failure>")
    if warnings:
        parts.append(f"<system-out>{content(chr(10).join(map(_line, warnings)))}</system-out>")
    return "".join(parts)


def _line(item: dict[str, Any]) -> str:
    place = ""
    if item["file"] is not None:
        start = item["range"]["start"]
        place = f"{clean(item['file'])}:{start['line']}:{start['column']}: "
    help = "".join(f"\n  help: {clean(line)}" for line in item["help"])
    return f"{place}{item['severity']}[{item['code']}] {clean(item['message'])}{help}"
