"""Tells which value a word without quotes means, and writes data so that it is read as the same data.

It follows YAML 1.2 core, as far as JSON allows: ``yes``, ``1:30``, ``2026-01-31``, ``0o17`` and ``1_000`` are text.
PyYAML follows YAML 1.1, so it decides neither what a word means nor whether it needs quotes.
"""

from __future__ import annotations

import json
import math
from typing import Any

import yaml

from sagadsl.language.notation.json_text import whole_number
from sagadsl.later import compiled_later

_INT = compiled_later(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = compiled_later(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_JSON = compiled_later(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BREAKS = compiled_later("[\x85\u2028\u2029]")  # PyYAML writes them unchanged, but YAML folds lines there
_BEYOND = compiled_later(r"[^\x20-\x7e]")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def resolved(text: str) -> Any:
    """Return the value of a word without quotes; infinity for each number that JSON cannot carry."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        try:
            return whole_number(text)
        except ValueError:
            return math.inf
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_JSON.fullmatch(text):
        return math.nan if "nan" in text.lower() else math.inf
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes each text that YAML 1.1 or 1.2 would read as anything but text."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _BREAKS.search(text) else None if isinstance(resolved(text), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


def write_flow(data: Any) -> str:
    """Return data as YAML for programs: on one line, ten times faster. Its escapes are not those of JSON."""
    return _BEYOND.sub(lambda char: f"\\U{ord(char[0]):08x}", json.dumps(data, ensure_ascii=False))


def write_yaml(data: Any) -> str:
    """Return data as YAML for people, with lists of plain values on one line."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    return text.rstrip("\n")
