"""S06: a pattern of a schema means what ECMA 262 says, and not what Python's library makes of it."""

from __future__ import annotations

import re

import pytest

from sagadsl.language.patterns import compiled


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^[A-Z]{3}$", "EUR", True),
        ("^[A-Z]{3}$", "EUR\n", False),
        ("^(a|b$)", "b\n", False),
        (r"^\$[$]$", "$$", True),
        (r"^a\\$", "a\\", True),
        (r"^\d+$", "12", True),
        (r"^\d+$", "\u0661", False),
        (r"^\w$", "\u00e4", False),
        (r"^.$", "\u2028", False),
        (r"^[.$]$", ".", True),
        (r"^\s$", "\u00a0", True),
        (r"^[\sx]$", "\ufeff", True),
        (r"^\S$", "\u00a0", False),
        (r"^[^]x]$", "$", True),
        (r"^[]$]$", "$", True),
        (r"^[[$]$", "$", True),
        ("\u00e4", "\u00e4", True),
    ],
)
def test_a_pattern_is_one_of_ecma_262(pattern: str, text: str, matches: bool) -> None:
    assert bool(compiled(pattern).search(text)) is matches


@pytest.mark.parametrize("pattern", ["(", r"\p{L}", "[a", "a{2,1}"])
def test_what_python_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(re.error):
        compiled(pattern)
