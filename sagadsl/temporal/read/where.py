"""Conditions on search attributes, as people write them: ``OrderId = "42" and Amount > 1000``.

They are read here and written anew, so that nothing but such conditions gets to the server, whoever asks.
"""

from __future__ import annotations

import re

from sagadsl.errors import SagadslError

_WORD = r"[A-Za-z][A-Za-z0-9_]*"
_VALUE = r"""\"[^"\\]*\"|'[^'\\]*'|-?[0-9]+(?:\.[0-9]+)?|true|false"""
_ONE = re.compile(rf"\s*({_WORD})\s*(=|!=|<=|>=|<|>)\s*({_VALUE})\s*", re.I)
_AND = re.compile(r"and\b", re.I)


class WrongCondition(SagadslError):
    """A condition that nobody can read."""

    code = "SD968"
    exit_code = 2

    def __init__(self, text: str, rest: str) -> None:
        super().__init__(text, rest)
        self.text, self.rest = text, rest

    def __str__(self) -> str:
        return f"the condition cannot be read from `{self.rest[:60]}` on"

    @property
    def help(self) -> str:
        """What it has to look like."""
        return 'write a search attribute, a comparison and a value: `OrderId = "42" and Amount > 1000`'


def condition(text: str) -> str:
    """Return conditions as the server reads them. Raises ``WrongCondition``."""
    found: list[str] = []
    at = 0
    while True:
        one = _ONE.match(text, at)
        if one is None:
            raise WrongCondition(text, text[at:])
        name, comparison, value = one.groups()
        found.append(f"{name} {comparison} {_written(value)}")
        at = one.end()
        if at == len(text):
            return " AND ".join(found)
        following = _AND.match(text, at)
        if following is None:
            raise WrongCondition(text, text[at:])
        at = following.end()


def _written(value: str) -> str:
    if value[0] not in "\"'":
        return value.lower()
    text = value[1:-1]
    if "'" in text:  # the server loses it, or finds something else
        raise WrongCondition(value, value)
    return f"'{text}'"
