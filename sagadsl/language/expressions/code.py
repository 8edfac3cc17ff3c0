"""Compiles a syntax tree into a function that computes it. Replay-critical.

It generates and executes no Python code, and looks up no method of a value: a tree becomes nested
closures over the operations in this module. Where Jinja2 would guess, an operation accepts less:
only booleans decide yes or no, null never joins text, numbers and text never mix, and everything
that can grow is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.data import (
    MAX_INTEGER_BITS,
    MAX_TEXT,
    Budget,
    ExpressionError,
    Missing,
    equal,
    finite,
    kind,
    lookup,
    nothing_there,
    nulls_of,
    refuse,
    spelled,
    step_text,
    truth,
)
from sagadsl.language.expressions.decimals import combine
from sagadsl.language.expressions.filters import FILTERS
from sagadsl.language.expressions.predicates import TESTS, contains, ordered

Code = Callable[[Mapping[str, Any], Budget], Any]
Chain = tuple[str | int, ...]

_TAKES_MISSING = ("default", "d", "defined", "undefined")


def chain_of(node: nodes.Syntax) -> Chain | None:
    """Return the names and constant keys of ``a.b["c"][0]``; ``None`` for any other expression."""
    keys: list[str | int] = []
    while True:
        match node:
            case nodes.Getattr(node=base, attr=str(key)):
                keys.append(key)
                node = base
            case nodes.Getitem(node=base, arg=nodes.Const(value=str() | int() as key)) if not isinstance(key, bool):
                keys.append(key)
                node = base
            case nodes.Name(name=name) if name != "null":
                return (name, *reversed(keys))
            case _:
                return None


def needs(tree: nodes.Syntax) -> tuple[tuple[str, ...], ...]:
    """Return the chains of ``reads`` without those that may be missing, as ``default`` or ``is defined`` says."""
    inside = (tree, *tree.inside((nodes.Filter, nodes.Test)))
    asked = [
        each.node for each in inside if isinstance(each, nodes.Filter | nodes.Test) and each.name in _TAKES_MISSING
    ]
    soft = [chain for node in asked if node is not None for chain in reads(node)]
    return tuple(chain for chain in reads(tree) if not any(chain[: len(each)] == each for each in soft))


def reads(node: nodes.Syntax) -> tuple[tuple[str, ...], ...]:
    """Return the chains of names that an expression reads. Each ends before its first position or computed key."""
    found: dict[tuple[str, ...], None] = {}
    waiting = [node]
    while waiting:
        current = waiting.pop()
        chain = chain_of(current)
        if chain is None:
            waiting.extend(reversed(list(current.children())))
            continue
        named = [key for key in chain if isinstance(key, str)]
        position = next((at for at, key in enumerate(chain) if not isinstance(key, str)), len(named))
        found[tuple(named[:position])] = None
    return tuple(found)


def code(node: nodes.Syntax, soft: bool = False) -> Code:
    """Return the function that computes an expression; :func:`parse` must have accepted it before.

    Args:
        soft: Return a :class:`Missing` for a value that is not there, in place of an error. ``default`` needs this.
    """
    chain = chain_of(node)
    if chain is not None:
        return _chain(chain, soft)
    match node:
        case nodes.Name():
            return lambda _scope, _budget: None
        case nodes.Const(value=value):
            return lambda _scope, _budget: value
        case nodes.Getattr(node=base, attr=key):
            return _element(base, nodes.Const(key), soft)
        case nodes.Getitem(node=base, arg=nodes.Slice() as cut):
            return _slice(base, cut, soft)
        case nodes.Getitem(node=base, arg=key):
            return _element(base, key, soft)
        case nodes.Filter(node=nodes.Syntax() as inner, name=name):
            return _filter(node, inner, FILTERS[name], soft)
        case nodes.Test(node=inner, name=name):
            return _filter(node, inner, TESTS[name], soft=False)
        case nodes.CondExpr():
            return _choice(node, soft)
        case _:
            return _operation(node)


def _chain(chain: Chain, soft: bool) -> Code:
    def read(scope: Mapping[str, Any], _budget: Budget) -> Any:
        value: Any = scope
        try:
            for key in chain:
                value = value[key] if type(value) is dict else lookup(value, key)
        except KeyError:
            missing = _missing(scope, chain)
            return missing if soft else missing.or_null()
        return value

    return read


def _missing(scope: Mapping[str, Any], chain: Chain) -> Missing:
    value: Any = scope
    label = "."
    for key in chain:
        try:
            found = lookup(value, key)
        except KeyError:
            break
        if found is None and key in nulls_of(value):
            break
        label = str(key) if label == "." else label + step_text(key)
        value = found
    return Missing(value, key, label)


def _element(base: nodes.Syntax, key: nodes.Syntax, soft: bool) -> Code:
    holder, chosen = code(base, soft), code(key)
    chain = chain_of(base)
    label = "" if chain is None else str(chain[0]) + "".join(map(step_text, chain[1:]))

    def read(scope: Mapping[str, Any], budget: Budget) -> Any:
        value, at = holder(scope, budget), chosen(scope, budget)
        if isinstance(value, Missing):
            return value
        try:
            return lookup(value, at)
        except KeyError:
            missing = Missing(value, at, label or "this")
            return missing if soft else missing.or_null()

    return read


def _slice(base: nodes.Syntax, cut: nodes.Slice, soft: bool) -> Code:
    holder = code(base, soft)
    ends = [None if end is None else code(end) for end in (cut.start, cut.stop, cut.step)]

    def read(scope: Mapping[str, Any], budget: Budget) -> Any:
        value = holder(scope, budget)
        if isinstance(value, Missing):
            return value
        if not isinstance(value, str | list | tuple):
            refuse("only text and lists can be cut with `[a:b]`", value)
        start, stop, step = (None if end is None else _position(end(scope, budget)) for end in ends)
        if step == 0:
            raise ExpressionError("the step of `[a:b:step]` cannot be 0")
        part = value[start:stop:step]
        budget.spend(len(part))
        return part

    return read


def _position(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    return refuse("the positions in `[a:b]` must be whole numbers", value)


def _filter(node: nodes.Filter | nodes.Test, value: nodes.Syntax, function: Callable[..., Any], soft: bool) -> Code:
    takes_missing = node.name in _TAKES_MISSING
    inner = code(value, takes_missing)
    args = [code(arg, takes_missing) for arg in node.args]
    options = [(str(option.key), code(option.value)) for option in node.kwargs]

    def apply(scope: Mapping[str, Any], budget: Budget) -> Any:
        operand = inner(scope, budget)
        given = [arg(scope, budget) for arg in args]
        result = function(budget, operand, *given, **{name: option(scope, budget) for name, option in options})
        if isinstance(result, Missing) and not soft:
            raise result.error()
        return result

    return apply


def _choice(node: nodes.CondExpr, soft: bool) -> Code:
    test, then = code(node.test), code(node.expr1, soft)
    otherwise = None if node.expr2 is None else code(node.expr2, soft)

    def choose(scope: Mapping[str, Any], budget: Budget) -> Any:
        if truth(test(scope, budget), "what stands between `if` and `else`"):
            return then(scope, budget)
        if otherwise is not None:
            return otherwise(scope, budget)
        missing = nothing_there("the condition after `if` does not hold, and there is no `else`")
        if soft:
            return missing
        raise missing.error()

    return choose


def _operation(node: nodes.Syntax) -> Code:
    match node:
        case nodes.And(left=left, right=right):
            return _and(code(left), code(right))
        case nodes.Or(left=left, right=right):
            return _or(code(left), code(right))
        case nodes.Not(node=inner):
            denied = code(inner)
            return lambda scope, budget: not truth(denied(scope, budget), "what stands after `not`")
        case nodes.Neg(node=inner):
            negated = code(inner)
            return lambda scope, budget: _negative(negated(scope, budget))
        case nodes.Pos(node=inner):
            kept = code(inner)
            return lambda scope, budget: _positive(kept(scope, budget))
        case nodes.BinExpr(left=left, right=right):
            return _binary(ARITHMETIC[node.operator or ""], code(left), code(right))
        case nodes.Compare(expr=expr, ops=operands):
            return _compare(code(expr), [(COMPARISONS[operand.op], code(operand.expr)) for operand in operands])
        case nodes.Concat(nodes=parts):
            texts = [code(part) for part in parts]
            return lambda scope, budget: budget.text("".join([spelled(text(scope, budget)) for text in texts]))
        case nodes.List(items=items) | nodes.Tuple(items=items):
            elements = [code(item) for item in items]
            return lambda scope, budget: [element(scope, budget) for element in elements]
        case nodes.Dict(items=pairs):
            members = [(code(pair.key), code(pair.value)) for pair in pairs]
            return lambda scope, budget: {_key(key(scope, budget)): item(scope, budget) for key, item in members}
    raise AssertionError(f"not an expression of the language: {node!r}")  # `parse` accepts nothing else


def _key(value: Any) -> str:
    return value if isinstance(value, str) else refuse("the keys of an object must be text", value)


def _and(left: Code, right: Code) -> Code:
    def both(scope: Mapping[str, Any], budget: Budget) -> bool:
        return truth(left(scope, budget), "each side of `and`") and truth(right(scope, budget), "each side of `and`")

    return both


def _or(left: Code, right: Code) -> Code:
    def either(scope: Mapping[str, Any], budget: Budget) -> bool:
        return truth(left(scope, budget), "each side of `or`") or truth(right(scope, budget), "each side of `or`")

    return either


def _binary(operator: Callable[[Any, Any], Any], left: Code, right: Code) -> Code:
    return lambda scope, budget: operator(left(scope, budget), right(scope, budget))


def _compare(first: Code, rest: list[tuple[Callable[[Any, Any, Budget], bool], Code]]) -> Code:
    def compare(scope: Mapping[str, Any], budget: Budget) -> bool:
        left = first(scope, budget)
        for holds, operand in rest:
            right = operand(scope, budget)
            if not holds(left, right, budget):
                return False
            left = right
        return True

    return compare


def _number(value: Any, sign: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(f"`{sign}` needs numbers", value)
    return finite(value)


def _negative(value: Any) -> Any:
    return value.copy_negate() if isinstance(value, Decimal) else -_number(value, "-")


def _positive(value: Any) -> Any:
    return value if isinstance(value, Decimal) else _number(value, "+")


def _with_decimals(sign: str, plain: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return an operator that computes exactly when one side is a decimal, and otherwise as *plain* does."""

    def compute(left: Any, right: Any) -> Any:
        if isinstance(left, Decimal) or isinstance(right, Decimal):
            return combine(sign, left, right)
        return plain(left, right)

    return compute


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_TEXT:
            raise ExpressionError(f"the text gets longer than {MAX_TEXT} characters")
        return left + right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return [*left, *right]
    if isinstance(left, str) or isinstance(right, str):
        raise ExpressionError(f"`+` cannot add {kind(left)} and {kind(right)}; `~` joins anything to text")
    return finite(_number(left, "+") + _number(right, "+"))


def _multiply(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, int) and not isinstance(right, bool):
        if len(left) * right > MAX_TEXT:
            raise ExpressionError(f"the text gets longer than {MAX_TEXT} characters")
        return left * right
    return finite(_number(left, "*") * _number(right, "*"))


def _power(left: Any, right: Any) -> Any:
    base, exponent = _number(left, "**"), _number(right, "**")
    if isinstance(base, int) and isinstance(exponent, int) and abs(exponent) * base.bit_length() > 2 * MAX_INTEGER_BITS:
        raise ExpressionError(f"`**` gives a number that is too large: the exponent is {exponent}")
    result = base**exponent
    return refuse("`**` gives no real number", left) if isinstance(result, complex) else finite(result)


_PLAIN_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": _add,
    "-": lambda left, right: finite(_number(left, "-") - _number(right, "-")),
    "*": _multiply,
    "/": lambda left, right: finite(_number(left, "/") / _number(right, "/")),
    "//": lambda left, right: finite(_number(left, "//") // _number(right, "//")),
    "%": lambda left, right: finite(_number(left, "%") % _number(right, "%")),
    "**": _power,
}
ARITHMETIC = {sign: _with_decimals(sign, plain) for sign, plain in _PLAIN_ARITHMETIC.items()}


def _less(left: Any, right: Any, _budget: Budget) -> bool:
    left, right = ordered(left, right, "<")
    return bool(left < right)


def _less_or_equal(left: Any, right: Any, _budget: Budget) -> bool:
    left, right = ordered(left, right, "<=")
    return bool(left <= right)


def _greater(left: Any, right: Any, _budget: Budget) -> bool:
    left, right = ordered(left, right, ">")
    return bool(left > right)


def _greater_or_equal(left: Any, right: Any, _budget: Budget) -> bool:
    left, right = ordered(left, right, ">=")
    return bool(left >= right)


COMPARISONS: Mapping[str, Callable[[Any, Any, Budget], bool]] = {
    "eq": equal,
    "ne": lambda left, right, budget: not equal(left, right, budget),
    "lt": _less,
    "lteq": _less_or_equal,
    "gt": _greater,
    "gteq": _greater_or_equal,
    "in": lambda left, right, budget: contains(budget, right, left),
    "notin": lambda left, right, budget: not contains(budget, right, left),
}
