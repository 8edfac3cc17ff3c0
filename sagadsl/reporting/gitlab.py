"""Findings as a code quality report, which GitLab shows in merge requests."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from sagadsl.language.notation.plain_text import clean
from sagadsl.reporting.items import identity, items_of
from sagadsl.reporting.report_input import ReportInput

_SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def gitlab(given: ReportInput) -> str:
    """Return the report: a list, which is empty when there is nothing to report."""
    seen: Counter[str] = Counter()
    issues = []
    for item in items_of(given):
        same = identity(item)
        # GitLab shows only the first of several findings with one fingerprint.
        fingerprint = f"{same}-{seen[same]}" if seen[same] else same
        seen[same] += 1
        issues.append(_issue(item, hashlib.sha256(fingerprint.encode()).hexdigest()[:32]))
    return json.dumps(issues, indent=2, ensure_ascii=True)


def _issue(item: dict[str, Any], fingerprint: str) -> dict[str, Any]:
    lines = {"begin": 1}
    if item["file"] is not None:
        lines = {"begin": item["range"]["start"]["line"], "end": item["range"]["end"]["line"]}
    return {
        "description": "\n".join(map(clean, [item["message"], *item["help"]])),
        "check_name": item["code"],
        "fingerprint": fingerprint,
        "severity": _SEVERITIES[item["severity"]],
        # a place is required; what belongs to no file belongs to the project
        "location": {"path": _relative(item["file"] or "."), "lines": lines},
    }


def _relative(file: str) -> str:
    """Return a path as GitLab needs it: it knows none that begins at the root of a machine."""
    path, here = Path(file), Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()
