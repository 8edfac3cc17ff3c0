"""Exact decimals in expressions: what is exact, how they leave, and what is refused. R56."""

from __future__ import annotations

import decimal
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagadsl.language.expressions.values import ExpressionError, compile_value
from sagadsl.language.load import load


def _gives(expression: str, **names: Any) -> Any:
    return compile_value(expression, bare=True).render(names)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("0.1 | decimal", "0.1"),
        ("1e22 | decimal", "10000000000000000000000"),
        ("1e-7 | decimal", "0.0000001"),
        ("'-012.50' | decimal", "-12.50"),
        ("('0.1' | decimal) + ('0.2' | decimal)", "0.3"),
        ("3 * ('19.90' | decimal)", "59.70"),
        ("-('1.5' | decimal)", "-1.5"),
        ("+('1.5' | decimal)", "1.5"),
        ("('1' | decimal) / 3 * 3", "0.99999999999999999999999999999999999999999999999999"),
        ("'-1.5' | decimal | abs", "1.5"),
        ("'2.5' | decimal | round(0, 'half_even')", "2"),
        ("'2.5' | decimal | round(0, 'half_up')", "3"),
        ("'-2.5' | decimal | round(0, 'half_up')", "-3"),
        ("'-2.5' | decimal | round(0, 'ceil')", "-2"),
        ("'-2.5' | decimal | round(0, 'floor')", "-3"),
        ("'1250' | decimal | round(-2, 'half_even')", "1200"),
        ("1.005 | round(2, 'half_up')", 1.01),
        ("15 | round(-1, 'half_even')", 20),
        ("'1.5' | decimal | fixed(2)", "1.50"),
        ("'1.9' | decimal | int", 1),
        ("'1.9' | decimal | float", 1.9),
        ("'1.90' | decimal | string", "1.90"),
        ("'sum: ' ~ ('1.90' | decimal)", "sum: 1.90"),
        ("['1.10', '2.2'] | map('decimal') | sum", "3.30"),
        ("[1, 0.1] | sum(start='0.2' | decimal)", "1.3"),
        ("['0.1' | decimal, 0.1, 2] | max", 2),
        ("('0.1' | decimal) == 0.1", True),
        ("('1.0' | decimal) == 1", True),
        ("('1.0' | decimal) == '1.0'", False),
        ("('0.1' | decimal) < 0.2", True),
        ("0.1 >= ('0.1' | decimal)", True),
        ("0.1 in ['0.1' | decimal]", True),
        ("('1' | decimal) is number", True),
        ("('1' | decimal) is integer", False),
        ("{'amount': '1.50' | decimal, 'parts': ['0.5' | decimal]}", {"amount": "1.50", "parts": ["0.5"]}),
        ("['1.0' | decimal] | to_json", '["1.0"]'),
    ],
)
def test_values(expression: str, value: Any) -> None:
    got = _gives(expression)

    assert got == value
    assert type(got) is type(value)
    json.dumps(got)


def test_numbers_and_decimals_are_ordered_together() -> None:
    assert _gives("[0.3, '0.1' | decimal, 2] | sort") == ["0.1", 0.3, 2]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("'1,50' | decimal", '`decimal` needs a number, or text such as `12.50`, found text `"1,50"`'),
        ("'1e5' | decimal", "`decimal` needs a number, or text such as `12.50`"),
        ("true | decimal", "`decimal` needs a number, found a boolean `true`"),
        ("('1' | decimal) + '1'", "`+` needs a number, found text"),
        ("('1' | decimal) / 0", "division by zero"),
        ("('7' | decimal) // 2", "`//` does not take decimals"),
        ("('7' | decimal) % 2", "`%` does not take decimals"),
        ("('7' | decimal) ** 2", "`**` does not take decimals"),
        ("'1.5' | decimal | round", "a decimal has to be told how it is rounded"),
        ("'1.5' | decimal | round(0, 'up')", "a decimal has to be told how it is rounded"),
        ("1.5 | round(0, 'up')", 'the method of `round` is "common", "half_even", "half_up", "ceil" or "floor"'),
        ("'1.555' | decimal | fixed(2)", "`fixed` would cut `1.555`: say how to round it, with `round`"),
        ("'1.5' | decimal | upper", "`upper` needs text, found a decimal `1.5`"),
        ("'3' | decimal is odd", "`odd` needs a number, found a decimal `3`"),
        ("a * a", "the decimal has more than 300 digits"),
        ("('1' | decimal) and true", "each side of `and` must be true or false, found a decimal `1`"),
    ],
)
def test_refusals(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        _gives(expression if "a * a" not in expression else "(a | decimal) * (a | decimal)", a="9" * 200)

    assert message in str(refused.value)


_amounts = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**30), max_value=10**30)


@given(_amounts, _amounts, st.sampled_from("+-*"))
def test_sums_and_products_are_exact_in_every_context(one: Decimal, other: Decimal, sign: str) -> None:
    """The context of the thread is the user's: nothing here may depend on it."""
    with decimal.localcontext() as context:
        context.prec = 3
        got = _gives(f"(a | decimal) {sign} (b | decimal)", a=f"{one:f}", b=f"{other:f}")
        negated = _gives("-(a | decimal)", a=f"{one:f}")

    a, b = Fraction(one), Fraction(other)
    assert Fraction(got) == {"+": a + b, "-": a - b, "*": a * b}[sign]
    assert Fraction(negated) == -a


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("(input.price | decimal) * 3 | upper", None),
        ("(input.price | decimal * 3) | upper", "`upper` needs text, but this is a decimal"),
        ("((input.price | decimal) + 'x')", "`+` cannot add a decimal and `x`"),
        ("(input.price | decimal) > 5 and (input.price | decimal) == 5.0", None),
        ("(input.lines | map('decimal') | sum | round(2, 'half_up')) < 5", None),
        ("input.lines | decimal", "`decimal` needs a number or text, but `input.lines` is a list"),
        ("input.price | decimall", "there is no filter `decimall`"),
    ],
)
def test_validate_knows_decimals(expression: str, message: str | None) -> None:
    fields = "{price: {type: string}, lines: {type: array, items: {type: number}}}"
    schema = f"{{type: object, required: [price, lines], properties: {fields}}}"
    loaded = load(
        f'sagadsl: 1\nname: x\ninput: {schema}\nsteps:\n  - {{id: a, set: {{x: "{{{{ {expression} }}}}"}}}}\n'
    )

    found = [finding.message for finding in loaded.findings]
    assert (message in found) if message is not None else [each for each in found if "decimal" in each] == []
