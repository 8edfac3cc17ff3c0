"""Which error types of a definition an error is. Replay-critical."""

from __future__ import annotations

from collections.abc import Sequence

from sagadsl.engine.facts import Error
from sagadsl.language.notation.error_types import bare_type, class_name

BY_CLASS = 3
"""Version of the rules since which the class alone names an error that a qualified one was recorded for.

Since then the type of what is in a mere wrapper is its type, too.
"""


def is_one_of(error: Error, types: Sequence[str], rules: int) -> bool:
    """Say whether *types*, of a handler or a compensation, name *error*: by its class, or whole."""
    if rules < BY_CLASS:
        return any(error.type in (name, bare_type(name)) for name in types)
    recorded = class_name(error.type)
    return any(error.type in (name, class_name(name)) or recorded == name for name in types)
