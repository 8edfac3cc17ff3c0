"""Patterns and codes of text: the test ``matches``, and the filters beside it. Replay-critical.

Patterns take linear time, and have the syntax that ``pattern`` has in schemas: see
:mod:`sagadsl.language.notation.patterns`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from sagadsl.language.expressions.data import Budget, ExpressionError, nothing_there, shortened
from sagadsl.language.expressions.filter_arguments import as_text, there
from sagadsl.language.notation.patterns import NotLinear, Pattern, compiled

_LONGEST = 1000
"""The most characters of a pattern."""


def pattern_from(value: Any) -> Pattern:
    """Return the pattern that a text writes."""
    text = as_text(value, "a pattern")
    if len(text) > _LONGEST:
        raise ExpressionError(f"a pattern has at most {_LONGEST} characters")
    try:
        return compiled(text)
    except re.error as error:
        raise ExpressionError(f"`{shortened(text, 60)}` is not a regular expression: {error}") from None
    except NotLinear as error:
        raise ExpressionError(f"`{shortened(text, 60)}` cannot be matched in linear time: {error}") from None


def _paid(budget: Budget, pattern: Any) -> Pattern:
    found = pattern_from(pattern)
    budget.spend(8 + len(pattern))
    return found


def _bytes(value: Any, asker: str) -> bytes:
    try:
        return as_text(value, asker).encode()
    except UnicodeEncodeError:
        raise ExpressionError(f"{asker} cannot encode half a surrogate pair") from None


def _matches(budget: Budget, value: Any, pattern: Any) -> bool:
    return _paid(budget, pattern).is_in(budget.text(as_text(there(value), "`matches`")))


def _capture(budget: Budget, value: Any, pattern: Any) -> Any:
    found = _paid(budget, pattern).groups_in(budget.text(as_text(value, "`capture`")))
    if found is None:
        return nothing_there(f"`capture` finds nothing: the text does not match `{shortened(pattern, 60)}`")
    budget.spend(len(found))
    return found


def _sha256(budget: Budget, value: Any) -> str:
    return sha256(_bytes(budget.text(as_text(value, "`sha256`")), "`sha256`")).hexdigest()


def _base64(budget: Budget, value: Any) -> str:
    return budget.text(base64.b64encode(_bytes(value, "`base64`")).decode())


def _base64_decode(budget: Budget, value: Any) -> str:
    raw = _bytes(budget.text(as_text(value, "`base64_decode`")), "`base64_decode`")
    try:
        return base64.b64decode(raw, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ExpressionError("`base64_decode` needs text that `base64` has made from text") from None


TEXT_FILTERS: Mapping[str, Callable[..., Any]] = {
    "base64": _base64,
    "base64_decode": _base64_decode,
    "capture": _capture,
    "sha256": _sha256,
}

TEXT_TESTS: Mapping[str, Callable[..., Any]] = {"matches": _matches}
