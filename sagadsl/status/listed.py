"""Writes the lists of a report into one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MANY, _FEW = 200, 20
"""Most steps in one line, and how many are shown when there are more."""


def listed(report: Mapping[str, Any], name: str) -> str:
    """Return the steps of a list in the report; for a very long list, the first ones and their number."""
    paths = report[name]
    shown = paths if len(paths) <= _MANY else paths[:_FEW]
    more = report.get("counts", {}).get(name, len(paths)) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")
