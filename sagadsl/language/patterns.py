"""Regular expressions as JSON Schema means them, ECMA 262, on Python's. Replay-critical.

They differ where nobody looks: Python's ``$`` also matches before a newline at the end, its ``\\d`` takes the
digits of every script. What Python does not know at all does not compile, and the check of schemas says so.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PART = re.compile(r"\\.|\[\^?\]?|.", re.DOTALL)
_SPACES = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_OUTSIDE = {"$": r"\Z", ".": r"[^\n\r\u2028\u2029]", r"\s": f"[{_SPACES}]", r"\S": f"[^{_SPACES}]"}
_INSIDE = {r"\s": _SPACES}


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return *pattern* for ``search``. Raises ``re.error`` for what Python does not know."""
    return re.compile("".join(_translated(pattern)), re.ASCII)


def _translated(pattern: str) -> list[str]:
    parts, inside = [], False
    for part in _PART.findall(pattern):
        if inside and part.startswith("["):  # it opens nothing there
            parts.append("".join(rf"\{char}" if char == "[" else char for char in part))
            inside = not part.endswith("]")
        else:
            parts.append((_INSIDE if inside else _OUTSIDE).get(part, part))
            inside = part != "]" if inside else part.startswith("[")
    return parts
