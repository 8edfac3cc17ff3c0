"""Hints for authors who write as in other languages: what they wrote, and how to write it here. Only words."""

from __future__ import annotations

_NOW = "`saga.now` is the time of the saga, `saga.started_at` that of its start"

SIGNS = (
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("===", "write `==`"),
    ("!==", "write `!=`"),
    ("=>", "there are no functions; use filters such as `map` and `select`"),
    ("?", "write `a if condition else b`"),
    ("=", "to compare write `==`"),
    ("!", "write `not`"),
    ("{{", "leave out the braces, or put all of it into one pair of them"),
    ("`", "text stands in single or double quotes"),
)
"""Signs near a place that the parser cannot read. The first sign that is found decides."""

CALLS = {
    "append": "to add an element write `list + [element]`",
    "contains": 'write `"x" in text`',
    "date": _NOW,
    "Decimal": "write `| decimal`",
    "dict": "write `{'key': value}`",
    "endswith": "write `is endswith(…)`",
    "format": "join text with `~`; `| fixed(2)` writes a number with two decimals",
    "get": "write `object.key | default(…)`",
    "isoformat": "times are text already",
    "strftime": 'write `| format_time("%Y-%m-%d")`',
    "timedelta": 'write `| plus("2h")`',
    "timestamp": "write `| seconds`",
    "len": "write `| length`",
    "lookup": "a definition reads no files and no environment",
    "now": _NOW,
    "random": "expressions are deterministic; let an activity choose",
    "range": "write `n | range`; loops are steps: `for_each`, `repeat`",
    "size": "write `| length`",
    "startswith": "write `is startswith(…)`",
    "str": "write `| string`",
    "strip": "write `| trim`",
    "today": _NOW,
    "uuid": "write `idempotency_key | uuid5`, which is the same at every replay",
    "uuid4": "write `idempotency_key | uuid5`, which is the same at every replay",
}

FILTERS = {
    "attr": 'write `object.key` or `object["key"]`',
    "b64decode": "did you mean `base64_decode`?",
    "b64encode": "did you mean `base64`?",
    "chunk": "did you mean `batch`?",
    "e": "nothing is escaped for HTML here",
    "escape": "nothing is escaped for HTML here",
    "format": "join text with `~`; `| fixed(2)` writes a number with two decimals",
    "from_yaml": "use `from_json`",
    "fromjson": "did you mean `from_json`?",
    "groupby": "did you mean `group_by`?",
    "hash": "did you mean `sha256`?",
    "match": "write `is matches(…)`, or `| capture(…)` for its groups",
    "md5": "did you mean `sha256`?",
    "len": "did you mean `length`?",
    "now": _NOW,
    "random": "expressions are deterministic; let an activity choose",
    "regex_search": "write `is matches(…)`, or `| capture(…)` for its groups",
    "slice": "did you mean `batch`? A part of a list is `list[a:b]`",
    "strftime": "did you mean `format_time`?",
    "timestamp": "did you mean `seconds`?",
    "safe": "nothing is escaped for HTML here",
    "size": "did you mean `length`?",
    "strip": "did you mean `trim`?",
    "to_number": "use `int` or `float`",
    "tojson": "did you mean `to_json`?",
}
