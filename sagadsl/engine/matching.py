"""Matches errors against the error types of a definition. Replay-critical."""

from __future__ import annotations

from collections.abc import Sequence

from sagadsl.engine.facts import Error
from sagadsl.language.notation.error_types import bare_type, class_name

BY_CLASS = 3
"""Since this version of the rules, a class name also matches an error that was recorded with a qualified name.

Since then, an error that only wraps another one also has the type of that one.
"""


def is_one_of(error: Error, types: Sequence[str], rules: int) -> bool:
    """Say whether the *types* of a handler or a compensation name *error*, by its class or by its whole name."""
    if rules < BY_CLASS:
        return any(error.type in (name, bare_type(name)) for name in types)
    recorded = class_name(error.type)
    return any(error.type in (name, class_name(name)) or recorded == name for name in types)
