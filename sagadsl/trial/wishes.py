"""What the expressions of a definition wish for: values with which the saga goes on.

A condition names them by what it compares a value with, a filter and an operator by what they take.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sagadsl.language import walk
from sagadsl.language.calls import Value
from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.code import chain_of
from sagadsl.language.expressions.values import Condition, Constant, Expression, Listing, Object, Text

Chain = tuple[str, ...]
Wish = tuple[Chain, list[Any]]
"""A chain that is read, and values that let the saga go on, then some that do not; no values: it is just read."""

_LENGTHS = frozenset(
    {"every", "sleep", "timeout", "start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"}
    | {"initial_interval", "maximum_interval", "settle"}
)
"""Keys whose value is a length of time."""
_OTHER_WAY = {"gt": "lt", "lt": "gt", "gteq": "lteq", "lteq": "gteq"}
_NUMBERS = [1, 2]
_LIST: list[Any] = [[]]
_TEXT: list[Any] = []
"""A text is drawn where nothing else is wished for."""
_CALCULATIONS = (nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg, nodes.Pos)
_MOMENTS = ["2026-01-31T09:00:00Z", "2026-02-28T18:30:00Z"]
_OPERANDS: Mapping[str, list[Any]] = {
    **dict.fromkeys(("abs", "decimal", "float", "int", "range", "round"), _NUMBERS),
    **dict.fromkeys(("count", "group_by", "join", "length", "map", "reject", "rejectattr"), _LIST),
    **dict.fromkeys(("select", "selectattr", "sort", "sum", "zip"), _LIST),
    **dict.fromkeys(("at", "format_time", "in_zone", "minus", "plus", "seconds", "until"), _MOMENTS),
}
"""By filter: values that it takes, where a drawn text would fail the saga."""
_ARGUMENTS: Mapping[str, list[Any]] = {
    "minus": ["1s"],
    "plus": ["1s"],
    "at": ["09:00"],
    "in_zone": ["Europe/Berlin"],
    "until": _MOMENTS,
    "zip": _LIST,
}
_TESTS: Mapping[str, list[Any]] = {
    "none": [None, "something"],
    "null": [None, "something"],
    "true": [True, False],
    "false": [False, True],
    "string": ["something", None],
    "number": [1, None],
}
"""By test: a value for which it holds, then one for which it does not."""


class Wishes:
    """Reads what expressions at one place wish for.

    Args:
        state: What ``state`` has at this place before the first round of its loop; ``None`` where there is no state.
    """

    def __init__(self, state: Value | None) -> None:
        self._state = state

    def of_site(self, site: walk.Site) -> Iterator[Wish]:
        """Yield what the value of a place reads."""
        if site.route[-2:] == ("for_each", "items") and isinstance(site.value, Expression):
            chain = chain_of(site.value.tree)
            if chain is not None:
                yield texts(chain), _LIST
                return
        if site.route[-1:] and site.route[-1] in _LENGTHS:
            yield from ((chain, ["1s"]) for chain in site.value.reads)
            return
        if site.route[-1:] == ("sleep_until",) and isinstance(site.value, Expression):
            yield from self.of_node(site.value.tree, condition=False, wish=_MOMENTS)
            return
        # The saga goes on when the result does not mean no, and when the loop has ended.
        is_unwished = "failed_if" in site.route or site.route[-2:] == ("repeat", "while")
        wishes = self._of_value(site.value)
        yield from _reversed(wishes) if is_unwished else wishes

    def _of_value(self, value: Value) -> Iterator[Wish]:
        match value:
            case Condition(value=Expression(tree=tree)):
                yield from self.of_node(tree, condition=True)
            case Expression(tree=tree):
                yield from self.of_node(tree, condition=False)
            case Text(parts=parts):
                for part in parts:
                    if isinstance(part, Expression):
                        yield from self.of_node(part.tree, condition=False)
            case Object(items=items):
                for item in items.values():
                    yield from self._of_value(item)
            case Listing(elements=elements):
                for item in elements:
                    yield from self._of_value(item)
            case _:
                return

    def of_node(self, node: nodes.Syntax, *, condition: bool, wish: list[Any] | None = None) -> Iterator[Wish]:
        """Yield what an expression reads; *wish* are the values that suit the place of the whole expression."""
        chain = chain_of(node)
        if chain is not None:
            yield texts(chain), wish if wish is not None else [True, False] if condition else []
            return
        match node:
            case nodes.Compare(expr=first, ops=[nodes.Operand(op=op, expr=second)]):
                yield from self._of_comparison(first, op, second)
            case nodes.Test(node=nodes.Syntax() as inner, name=name) if name in _TESTS:
                yield from self.of_node(inner, condition=False, wish=_TESTS[name])
            case nodes.Not(node=inner):
                yield from _reversed(self.of_node(inner, condition=True))
            case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
                for part in (left, right):
                    yield from self.of_node(part, condition=True)
            case nodes.Filter(node=nodes.Syntax() as inner, name="default" | "d"):
                other = node.args[0] if node.args else None
                if wish is None and not condition and isinstance(other, nodes.Syntax):
                    wish = self._like(other)
                yield from self.of_node(inner, condition=condition, wish=wish)
                if other is not None:
                    yield from self.of_node(other, condition=condition, wish=wish)
            case nodes.Filter(node=nodes.Syntax() as inner, name=name):
                yield from self.of_node(inner, condition=False, wish=_OPERANDS.get(name))
                for argument in (*node.args, *(option.value for option in node.kwargs)):
                    yield from self.of_node(argument, condition=False, wish=_ARGUMENTS.get(name))
            case nodes.Add(left=left, right=right):
                kinds = (self._added(left), self._added(right))
                alike = next((kind for kind in kinds if kind is not None), _NUMBERS)  # it joins texts, and lists, too
                for operand in (left, right):
                    yield from self.of_node(operand, condition=False, wish=alike)
            case _ if isinstance(node, _CALCULATIONS):
                for child in node.children():
                    yield from self.of_node(child, condition=False, wish=_NUMBERS)
            case nodes.CondExpr(test=test):
                yield from self.of_node(test, condition=True)
                for child in node.children():
                    if child is not test:
                        yield from self.of_node(child, condition=False, wish=wish)
            case _:
                for child in node.children():
                    yield from self.of_node(child, condition=False)

    def _of_comparison(self, first: nodes.Syntax, op: str, second: nodes.Syntax) -> Iterator[Wish]:
        for here, there, relation in ((first, second, op), (second, first, _OTHER_WAY.get(op, op))):
            wish: list[Any] | None = None
            if isinstance(there, nodes.Const):
                wish = _beside(there.value, relation)
            elif op == "in" and here is first and isinstance(there, nodes.List):
                wish = [each.value for each in there.items if isinstance(each, nodes.Const)]
            elif op == "in" and here is second:
                wish = _LIST
            elif op in _OTHER_WAY:
                wish = _NUMBERS
            yield from self.of_node(here, condition=False, wish=wish)

    def _like(self, other: nodes.Syntax) -> list[Any] | None:
        """Return values of the type that a default has, if it is written out and is no text."""
        match other:
            case nodes.Const(value=value):
                return _of_type(value) or None
            case nodes.List():
                return _LIST
            case _:
                return None

    def _added(self, operand: nodes.Syntax) -> list[Any] | None:
        """Return values that can be added to *operand*, if its type can be seen: where it is written, or in a state."""
        match operand:
            case nodes.Const(value=value):
                return _of_type(value)
            case nodes.List():
                return _LIST
            case nodes.Add(left=left, right=right):
                found = self._added(left)
                return self._added(right) if found is None else found
            case _:
                first = self._first(texts(chain_of(operand) or ()))
                return None if first is None else _LIST if isinstance(first, Listing) else _of_type(first.source)

    def _first(self, chain: Chain) -> Constant | Listing | None:
        """Return what a chain into ``state`` gives in the first round, if it is written out."""
        value = self._state
        if chain[:1] != ("state",):
            return None
        for key in chain[1:]:
            value = None if value is None or value.items is None else value.items.get(key)
        return value if isinstance(value, Constant | Listing) else None


def texts(chain: Iterable[str | int]) -> Chain:
    """Return a chain with its positions as text."""
    return tuple(str(each) for each in chain)


def _reversed(wishes: Iterator[Wish]) -> Iterator[Wish]:
    return ((chain, examples[::-1]) for chain, examples in wishes)


def _of_type(value: Any) -> list[Any] | None:
    match value:
        case bool():
            return [value, not value]
        case int() | float():
            return _NUMBERS
        case list():
            return _LIST
        case str():
            return _TEXT
        case _:
            return None


def _beside(value: Any, relation: str) -> list[Any]:
    """Return values for which a comparison with *value* holds, then some for which it does not."""
    if isinstance(value, bool):
        return [value, not value] if relation == "eq" else [not value, value]
    if isinstance(value, int | float):
        more, less = value + 1, value - 1
        by_relation = {"eq": [value, more], "ne": [more, value], "gt": [more, value], "gteq": [value, less]}
        return by_relation.get(relation, [less, value] if relation == "lt" else [value, more])
    other = "something-else" if isinstance(value, str) else "something"
    return [value, other] if relation != "ne" else [other, value]
