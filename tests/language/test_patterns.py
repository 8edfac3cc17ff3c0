"""N13: a pattern of a schema means what ECMA 262 says, and not what Python's library makes of it."""

from __future__ import annotations

import re

import pytest

from sagadsl.language.load import load
from sagadsl.language.notation.patterns import NotLinear, backtracking, linear, linear_or_any, linear_or_none
from sagadsl.language.schema.conform import checker

DEFINITION = """
sagadsl: 1
name: example
input: {type: object, properties: {code: {type: string, pattern: 'PATTERN'}}}
steps:
  - {id: a, activity: a.a, compensation: none}
"""


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
        (r"^[\u00e4-\u00ff]\u00e4$", "\u00e5\u00e4", True),
        (r"^\\u00e4$", "\\u00e4", True),
        (r"^a{,2}$", "aa", True),
        (r"^a{,2}$", "a{,2}", False),
        (r"^[{,]$", "0", False),
        (r"^\_\-\/\.$", "_-/.", True),
        (r"^a\Z", "a\n", False),
        (r"^\012$", "\n", True),
        ("^.$", "\ud800", True),
        ("^.$", "\ud83d\ude00", True),
        (r"\bx\b", "\u00e4x\u00e4", True),
        ("^[[:alpha:]]$", "b", False),
    ],
)
def test_a_pattern_is_one_of_ecma_262(pattern: str, text: str, matches: bool) -> None:
    """Matched in linear time as Python's library would, which judged older runs."""
    assert linear(pattern)(text) is matches
    if text.isprintable() and not any(0xD800 <= ord(char) < 0xE000 for char in text):
        assert backtracking(pattern)(text) is matches


@pytest.mark.parametrize("pattern", ["(", r"\p{L}", "[a", "a{2,1}"])
def test_what_python_does_not_know_is_refused(pattern: str) -> None:
    with pytest.raises(re.error):
        linear(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("^(?=.*[0-9]).+$", "it looks ahead"),
        ("^(?!x)", "it looks ahead"),
        ("(?<=a)b", "it looks behind"),
        (r"^(a|b)\1$", "it refers back to a group"),
        ("^a{2000}$", "it repeats something more than 1,000 times"),
    ],
)
def test_what_cannot_be_matched_in_linear_time_is_refused_with_its_place(pattern: str, why: str) -> None:
    """Whoever sends an input cannot have a worker compute for ever; the author is told what to write instead."""
    with pytest.raises(NotLinear, match=why):
        linear(pattern)
    loaded = load(DEFINITION.replace("PATTERN", pattern))
    (finding,) = loaded.findings
    assert (finding.code, finding.route) == ("SD109", ("input", "properties", "code", "pattern"))
    assert finding.message.startswith(f"`{pattern}` is a regular expression that may take for ever: {why}")
    assert "allOf" in finding.help


def test_a_run_that_was_taken_with_such_a_pattern_keeps_it() -> None:
    """What a release before has accepted is replayed as it was judged; for anything else nothing is said."""
    pattern = "^(?=.*[0-9]).+$"
    assert (linear_or_any(pattern)("a1"), linear_or_any(pattern)("a")) == (True, False)
    assert linear_or_none(pattern) is None
    schema = {"pattern": pattern, "patternProperties": {pattern: False}, "additionalProperties": False}
    assert len(checker(schema, "input", accepted=True)("a")) == 1
    assert checker(schema, "input")("a") == ()
    assert checker(schema, "input")({"a": 1}) == ()


@pytest.mark.parametrize("word", ["pattern", "propertyNames", "patternProperties"])
def test_no_pattern_of_a_definition_is_matched_by_a_library_that_may_backtrack(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every way in which a schema may use one; Python's own library is not asked."""

    class Refusing:
        def search(self, _text: str) -> None:
            raise AssertionError("Python's library has matched a text")

    monkeypatch.setattr("sagadsl.language.notation.patterns.re.compile", lambda *_: Refusing())
    monkeypatch.setattr("re.search", Refusing().search)
    pattern = f"^({word}|[a-c]+)$"
    text = {"pattern": {"pattern": pattern}, "propertyNames": {"propertyNames": {"pattern": pattern}}}
    schema = text.get(word, {"patternProperties": {pattern: True}, "additionalProperties": False})

    assert checker(schema, "input")("abc" if word == "pattern" else {"abc": 1}) == ()
    assert len(checker(schema, "input")("abd" if word == "pattern" else {"abd": 1})) == 1
