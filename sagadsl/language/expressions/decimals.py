"""Exact decimal numbers, for money: ``| decimal`` makes one, and operators then compute without error. Replay-critical.

A decimal exists only inside an expression; it leaves it as text, so that no language between here and there rounds it.
Each operation names its own context: Python's, which belongs to the thread, would round to 28 digits.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any

from sagadsl.language.expressions.data import Budget, ExpressionError, exact, plain, refuse
from sagadsl.later import compiled_later

_MOST_DIGITS = 300
_EXACT = Context(prec=4 * _MOST_DIGITS, Emin=-10_000, Emax=10_000)
"""Has room for every digit of a sum, a difference or a product."""
_QUOTIENT = Context(prec=50, rounding=ROUND_HALF_EVEN, Emin=-10_000, Emax=10_000)
_WRITTEN = compiled_later(r"[+-]?[0-9]+(?:\.[0-9]+)?")
ROUNDINGS = {
    "ceil": ROUND_CEILING,
    "floor": ROUND_FLOOR,
    "half_even": ROUND_HALF_EVEN,
    "half_up": ROUND_HALF_UP,
}
"""How a number is rounded, by the method of ``round``; in the middle, ``half_up`` goes away from zero."""


def make_decimal(_budget: Budget, value: Any) -> Decimal:
    """Return the decimal that a text or a number writes."""
    if isinstance(value, str):
        if len(value) > _MOST_DIGITS or _WRITTEN.fullmatch(value) is None:
            refuse("`decimal` needs a number, or text such as `12.50`", value)
        return Decimal(value)
    return _bounded(_exactly(value, "`decimal`"))


def combine(sign: str, left: Any, right: Any) -> Decimal:
    """Return the result of an operator of which one side is a decimal; the other is a decimal or a number."""
    one, other = _exactly(left, f"`{sign}`"), _exactly(right, f"`{sign}`")
    match sign:
        case "+":
            return _bounded(_EXACT.add(one, other))
        case "-":
            return _bounded(_EXACT.subtract(one, other))
        case "*":
            return _bounded(_EXACT.multiply(one, other))
        case "/":
            if not other:
                raise ZeroDivisionError
            return _bounded(_QUOTIENT.divide(one, other))
        case _:
            raise ExpressionError(f"`{sign}` does not take decimals")


def rounded(value: Any, places: int, method: Any) -> Decimal:
    """Return a decimal or a number, as it is written, with so many decimal places."""
    if method not in ROUNDINGS:
        how = '`| round(2, "half_even")`, or "half_up", "ceil", "floor"'
        raise ExpressionError(f"a decimal has to be told how it is rounded: {how}")
    number = _exactly(value, "`round`")
    return _bounded(number.quantize(Decimal(1).scaleb(-places), ROUNDINGS[method], _EXACT))


def written_fixed(value: Decimal, places: int) -> str:
    """Return a decimal as text with so many decimal places, if it needs no more."""
    found = rounded(value, places, "half_even")
    if found != value:
        raise ExpressionError(f"`fixed` would cut `{plain(value)}`: say how to round it, with `round`")
    return plain(found)


def _exactly(value: Any, asker: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        refuse(f"{asker} needs a number", value)
    return exact(value)


def _bounded(value: Decimal) -> Decimal:
    _, digits, exponent = value.as_tuple()
    if len(digits) > _MOST_DIGITS or not isinstance(exponent, int) or abs(exponent) > _MOST_DIGITS:
        raise ExpressionError(f"the decimal has more than {_MOST_DIGITS} digits")
    return value
