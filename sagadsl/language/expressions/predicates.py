"""The fixed list of tests (`is …`), and the comparisons that operators share with them. Replay-critical."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sagadsl.language.expressions.data import Budget, ExpressionError, Missing, equal, exact, kind, refuse
from sagadsl.language.expressions.filter_arguments import as_number, as_text, there
from sagadsl.language.expressions.text_filters import TEXT_TESTS

Function = Callable[..., Any]


def contains(budget: Budget, holder: Any, item: Any) -> bool:
    """Tell whether *item* is an element of a list, a key of an object, or a part of a text."""
    if isinstance(holder, str):
        budget.spend(1 + (len(holder) >> 4))
        return as_text(item, "`in` a text") in holder
    if isinstance(holder, list | tuple):
        budget.spend(1 + len(holder))
        return any(equal(each, item, budget) for each in holder)
    if isinstance(holder, Mapping):
        return isinstance(item, str) and item in holder
    return refuse("`in` looks into text, a list or an object", holder)


def ordered(left: Any, right: Any, sign: str) -> tuple[Any, Any]:
    """Return both values if they can be ordered (two numbers or two texts); otherwise raise."""
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    for value in (left, right):
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise ExpressionError(f"`{sign}` compares two numbers or two texts, not {kind(left)} and {kind(right)}")
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return exact(left), exact(right)
    return left, right


def _test_in(budget: Budget, value: Any, holder: Any) -> bool:
    return contains(budget, holder, there(value))


def _test_contains(budget: Budget, value: Any, item: Any) -> bool:
    return contains(budget, there(value), item)


def _test_eq(budget: Budget, value: Any, other: Any) -> bool:
    return equal(there(value), other, budget)


def _test_ne(budget: Budget, value: Any, other: Any) -> bool:
    return not equal(there(value), other, budget)


def _test_lt(_budget: Budget, value: Any, other: Any) -> bool:
    left, right = ordered(there(value), other, "<")
    return bool(left < right)


def _test_le(_budget: Budget, value: Any, other: Any) -> bool:
    left, right = ordered(there(value), other, "<=")
    return bool(left <= right)


def _test_gt(_budget: Budget, value: Any, other: Any) -> bool:
    left, right = ordered(there(value), other, ">")
    return bool(left > right)


def _test_ge(_budget: Budget, value: Any, other: Any) -> bool:
    left, right = ordered(there(value), other, ">=")
    return bool(left >= right)


def _test_divisible(_budget: Budget, value: Any, num: Any) -> bool:
    if num == 0:
        raise ExpressionError("nothing is divisible by 0")
    return bool(as_number(there(value), "`divisibleby`") % as_number(num, "`divisibleby`") == 0)


def _test_odd(_budget: Budget, value: Any) -> bool:
    return bool(as_number(there(value), "`odd`") % 2 == 1)


def _test_even(_budget: Budget, value: Any) -> bool:
    return bool(as_number(there(value), "`even`") % 2 == 0)


def _test_startswith(_budget: Budget, value: Any, beginning: Any) -> bool:
    return as_text(there(value), "`startswith`").startswith(as_text(beginning, "`startswith`"))


def _test_endswith(_budget: Budget, value: Any, end: Any) -> bool:
    return as_text(there(value), "`endswith`").endswith(as_text(end, "`endswith`"))


def _is_a(*types: type, but: tuple[type, ...] = ()) -> Function:
    def test(_budget: Budget, value: Any) -> bool:
        return isinstance(there(value), types) and not isinstance(value, but)

    return test


TESTS: Mapping[str, Function] = {
    **TEXT_TESTS,
    "!=": _test_ne,
    "<": _test_lt,
    "<=": _test_le,
    "==": _test_eq,
    ">": _test_gt,
    ">=": _test_ge,
    "boolean": _is_a(bool),
    "contains": _test_contains,
    "defined": lambda _budget, value: not isinstance(value, Missing),
    "divisibleby": _test_divisible,
    "endswith": _test_endswith,
    "eq": _test_eq,
    "equalto": _test_eq,
    "even": _test_even,
    "false": lambda _budget, value: there(value) is False,
    "float": _is_a(float),
    "ge": _test_ge,
    "greaterthan": _test_gt,
    "gt": _test_gt,
    "in": _test_in,
    "integer": _is_a(int, but=(bool,)),
    "iterable": _is_a(str, list, tuple, Mapping),
    "le": _test_le,
    "lessthan": _test_lt,
    "lt": _test_lt,
    "mapping": _is_a(Mapping),
    "ne": _test_ne,
    "none": lambda _budget, value: there(value) is None,
    "null": lambda _budget, value: there(value) is None,
    "number": _is_a(int, float, Decimal, but=(bool,)),
    "odd": _test_odd,
    "sequence": _is_a(list, tuple),
    "startswith": _test_startswith,
    "string": _is_a(str),
    "true": lambda _budget, value: there(value) is True,
    "undefined": lambda _budget, value: isinstance(value, Missing),
}
