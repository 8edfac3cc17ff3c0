"""Lists, patterns and codes in expressions: what they give, what is refused, and what they cost. R56."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.expressions.values import ExpressionError, compile_value
from sagadsl.language.load import load

LINES = [{"sku": "b", "n": 1}, {"sku": "a", "n": 2}, {"sku": "b", "n": 1.0}]


def _gives(expression: str, **names: Any) -> Any:
    return compile_value(expression, bare=True).render(names)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("3 | range", [0, 1, 2]),
        ("-1 | range(2)", [-1, 0, 1]),
        ("2 | range(2)", []),
        ("-3 | range", []),
        ("[1, 2] | zip(['a', 'b'], [true, false])", [[1, "a", True], [2, "b", False]]),
        ("[] | zip([])", []),
        ("lines | group_by('n')", [{"key": 1, "items": [LINES[0], LINES[2]]}, {"key": 2, "items": [LINES[1]]}]),
        ("(lines | group_by('sku') | first).items | length", 2),
        ("'a-1 b-2' | capture('([a-z])-([0-9])(x)?')", ["a", "1", None]),
        ("'order 42' | capture('[0-9]+') | first", "42"),
        ("'ünï' | capture('(.)n(.)')", ["ü", "ï"]),
        ("'none' | capture('[0-9]+') | default(['0'])", ["0"]),
        ("['a1', 'b'] | select('matches', '[0-9]$') | list", ["a1"]),
        ("'a\\nb' is matches('^b$')", False),
        ("'' | base64", ""),
        ("'' | sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("'Zm9v' | base64_decode", "foo"),
    ],
)
def test_values(expression: str, value: Any) -> None:
    assert _gives(expression, lines=LINES) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1.5 | range", "what `range` begins with must be a whole number from"),
        ("'3' | range", "what `range` begins with must be a whole number from"),
        ("1000000000 | range", "the expressions take too much work"),
        ("[1] | zip([1, 2])", "`zip` needs lists of one length, found 1 and 2"),
        ("lines | group_by('skuu')", "`each element.skuu` is not defined (did you mean `sku`?)"),
        ("5 | capture('a')", "`capture` needs text, found a number `5`"),
        ("'x' | capture('[0-9]+')", "`capture` finds nothing: the text does not match `[0-9]+`"),
        ("'x' is matches('(')", "`(` is not a regular expression: missing )"),
        ("'x' is matches('(?=x)')", "`(?=x)` cannot be matched in linear time: it looks ahead"),
        ("'x' is matches('a' * 1001)", "a pattern has at most 1000 characters"),
        ("'x' is matches(5)", "a pattern needs text, found a number `5`"),
        ("'Zm9' | base64_decode", "`base64_decode` needs text that `base64` has made from text"),
        ("'/w==' | base64_decode", "`base64_decode` needs text that `base64` has made from text"),
        ("'Zm9v!' | base64_decode", "`base64_decode` needs text that `base64` has made from text"),
        ("half | sha256", "`sha256` cannot encode half a surrogate pair"),
    ],
)
def test_refusals(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        _gives(expression, lines=LINES, half="\ud800")

    assert message in str(refused.value)


def test_a_pattern_that_backtracks_takes_no_time() -> None:
    """It would take longer than anybody lives."""
    assert _gives("text is matches('^(a+)+$')", text="a" * 100_000 + "b") is False


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("input.text is matches('[')", "`[` is not a regular expression: unterminated character set at position 0"),
        ("input.text | capture('(?<=a)b')", "`(?<=a)b` cannot be matched in linear time: it looks behind"),
        ("input.text | range", "`range` needs a whole number, but `input.text` is text"),
        ("input.text | zip([1])", "`zip` needs a list, but `input.text` is text"),
        ("(input.lines | group_by('nn'))[0].key", "`each element` has no field `nn`"),
        ("(input.lines | group_by('n'))[0].keys", "this has no field `keys`"),
        ("3 | range | first | upper", "`upper` needs text, but this is a whole number"),
        ("input.text | sha25", "there is no filter `sha25`"),
        ("range(3)", "`range()` is a call, and expressions have none"),
    ],
)
def test_validate_finds_what_can_be_known(expression: str, message: str) -> None:
    line = "{type: object, required: [n], properties: {n: {type: integer}}, additionalProperties: false}"
    fields = f"{{text: {{type: string}}, lines: {{type: array, items: {line}}}}}"
    schema = f"{{type: object, required: [text, lines], properties: {fields}}}"
    loaded = load(
        f'sagadsl: 1\nname: x\ninput: {schema}\nsteps:\n  - {{id: a, set: {{x: "{{{{ {expression} }}}}"}}}}\n'
    )

    assert message in [finding.message for finding in loaded.findings]
