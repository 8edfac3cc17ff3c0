"""Answers that fit into what a language model can read at once."""

from __future__ import annotations

import json
from typing import Any

MOST = 40_000
"""The longest answer, in characters."""

_STEPS = ((2_000, 200), (1_000, 100), (500, 50), (200, 25), (100, 12), (60, 6), (40, 3))
"""How long a text, and how many entries of a list or mapping, are left at most, until the whole is short enough."""


def text(document: Any, most: int = MOST) -> str:
    """Return a JSON document as text of at most *most* characters. What is left out says how much it was."""
    whole = _written(document)
    for longest, entries in _STEPS:
        if len(whole) <= most:
            return whole
        whole = _written(_shortened(document, longest, entries))
    return whole if len(whole) <= most else f"{whole[:most]}\n… {len(whole) - most:,} more characters"


def plain(words: str, most: int = MOST) -> str:
    """Return a text that is no JSON, of at most *most* characters."""
    return words if len(words) <= most else f"{words[:most]}\n… {len(words) - most:,} more characters"


def _written(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1)


def _shortened(value: Any, longest: int, entries: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}… {len(value) - longest:,} more characters"
    if isinstance(value, list):
        kept = [_shortened(each, longest, entries) for each in value[:entries]]
        return kept if len(value) <= entries else [*kept, f"… {len(value) - entries:,} more"]
    if isinstance(value, dict):
        shown = {key: _shortened(each, longest, entries) for key, each in list(value.items())[:entries]}
        return shown if len(value) <= entries else {**shown, "…": f"{len(value) - entries:,} more"}
    return value
