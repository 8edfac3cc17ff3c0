"""Hints for authors who write as in other languages: what they wrote, and how to write it here. Only words."""

from __future__ import annotations

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
    "date": "a definition reads no clock; `saga.started_at` is the time of the start",
    "dict": "write `{'key': value}`",
    "endswith": "write `is endswith(…)`",
    "format": "join text with `~`; `| fixed(2)` writes a number with two decimals",
    "get": "write `object.key | default(…)`",
    "isoformat": "times are text already",
    "len": "write `| length`",
    "lookup": "a definition reads no files and no environment",
    "now": "a definition reads no clock; `saga.started_at` is the time of the start",
    "random": "expressions are deterministic; let an activity choose",
    "range": "loops are steps: `for_each`, `repeat`",
    "size": "write `| length`",
    "startswith": "write `is startswith(…)`",
    "str": "write `| string`",
    "strip": "write `| trim`",
    "today": "a definition reads no clock; `saga.started_at` is the time of the start",
    "uuid": "write `idempotency_key | uuid5`, which is the same at every replay",
    "uuid4": "write `idempotency_key | uuid5`, which is the same at every replay",
}

FILTERS = {
    "attr": 'write `object.key` or `object["key"]`',
    "b64encode": "let an activity do it",
    "e": "nothing is escaped for HTML here",
    "escape": "nothing is escaped for HTML here",
    "format": "join text with `~`; `| fixed(2)` writes a number with two decimals",
    "from_yaml": "use `from_json`",
    "fromjson": "did you mean `from_json`?",
    "groupby": "let an activity do it",
    "len": "did you mean `length`?",
    "now": "a definition reads no clock; `saga.started_at` is the time of the start",
    "random": "expressions are deterministic; let an activity choose",
    "safe": "nothing is escaped for HTML here",
    "size": "did you mean `length`?",
    "strip": "did you mean `trim`?",
    "to_number": "use `int` or `float`",
    "tojson": "did you mean `to_json`?",
}
