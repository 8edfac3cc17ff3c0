"""The syntax tree of an expression: one class for each kind of node, named as in Jinja2. Replay-critical.

The trees are our own, so that who only looks at one need not load Jinja2, which takes longer than most checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, TypeVar

from sagadsl.immutable import Immutable

N = TypeVar("N", bound="Syntax")


class Syntax(Immutable, kw_only=True):
    """A part of an expression.

    Attributes:
        offset: Its place in the expression, in characters from 0, as Jinja2's parser numbers lines: that of its first
            token, or of a token beside it.
    """

    offset: int = 0

    def children(self) -> Iterator[Syntax]:
        """Yield the nodes that are its parts, in the order of its fields."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, Syntax):
                yield value
            elif isinstance(value, tuple):
                yield from (each for each in value if isinstance(each, Syntax))

    def inside(self, kinds: type[N] | tuple[type[N], ...]) -> Iterator[N]:
        """Yield each node of one of *kinds* in it, the outer before the inner ones; not itself."""
        for child in self.children():
            if isinstance(child, kinds):
                yield child
            yield from child.inside(kinds)

    def alike(self, other: object) -> bool:
        """Whether *other* means the same: the offsets do not count."""
        return type(self) is type(other) and all(
            _alike(getattr(self, name), getattr(other, name)) for name in self.__struct_fields__ if name != "offset"
        )


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Syntax):
        return one.alike(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


class Expr(Syntax):
    """A node that has a value."""


class Name(Expr):
    """A name of the scope; also ``null``."""

    name: str


class Const(Expr):
    """A value that is written out."""

    value: Any


class Getattr(Expr):
    """``node.attr``."""

    node: Expr
    attr: str


class Getitem(Expr):
    """``node[arg]``."""

    node: Expr
    arg: Syntax


class Slice(Expr):
    """``start:stop:step``; ``None`` for what is left out."""

    start: Expr | None
    stop: Expr | None
    step: Expr | None


class Keyword(Syntax):
    """``key=value`` among arguments."""

    key: str
    value: Expr


class FilterOrTest(Expr):
    """A filter or a test with its arguments; ``dyn_args`` and ``dyn_kwargs`` come after ``*`` and ``**``."""

    node: Expr
    name: str
    args: tuple[Expr, ...] = ()
    kwargs: tuple[Keyword, ...] = ()
    dyn_args: Expr | None = None
    dyn_kwargs: Expr | None = None


class Filter(FilterOrTest):
    """``node | name(args)``."""


class Test(FilterOrTest):
    """``node is name(args)``."""

    __test__: ClassVar[bool] = False
    """For pytest: it is no test case."""


class Invocation(Expr):
    """A call, which the language does not have: of the method or function *name*; empty for any other expression."""

    name: str
    is_method: bool


class Other(Expr):
    """A node that the language does not have; *kind* is Jinja2's name for it."""

    kind: str


class CondExpr(Expr):
    """``expr1 if test else expr2``."""

    test: Expr
    expr1: Expr
    expr2: Expr | None


class BinExpr(Expr):
    """An operation with two sides."""

    operator: ClassVar[str] = ""

    left: Expr
    right: Expr


class Or(BinExpr):
    """``left or right``."""

    operator: ClassVar[str] = "or"


class And(BinExpr):
    """``left and right``."""

    operator: ClassVar[str] = "and"


class Add(BinExpr):
    """``left + right``."""

    operator: ClassVar[str] = "+"


class Sub(BinExpr):
    """``left - right``."""

    operator: ClassVar[str] = "-"


class Mul(BinExpr):
    """``left * right``."""

    operator: ClassVar[str] = "*"


class Div(BinExpr):
    """``left / right``."""

    operator: ClassVar[str] = "/"


class FloorDiv(BinExpr):
    """``left // right``."""

    operator: ClassVar[str] = "//"


class Mod(BinExpr):
    """``left % right``."""

    operator: ClassVar[str] = "%"


class Pow(BinExpr):
    """``left ** right``."""

    operator: ClassVar[str] = "**"


class Not(Expr):
    """``not node``."""

    node: Expr


class Neg(Expr):
    """``-node``."""

    operator: ClassVar[str] = "-"

    node: Expr


class Pos(Expr):
    """``+node``."""

    operator: ClassVar[str] = "+"

    node: Expr


class Operand(Syntax):
    """The right side of a comparison; *op* is Jinja2's word: ``eq``, ``notin`` …"""

    op: str
    expr: Expr


class Compare(Expr):
    """``expr < 3``, or a chain of comparisons."""

    expr: Expr
    ops: tuple[Operand, ...]


class Concat(Expr):
    """``a ~ b ~ c``."""

    nodes: tuple[Expr, ...]


class List(Expr):
    """``[a, b]``."""

    items: tuple[Expr, ...]


class Tuple(Expr):
    """``(a, b)``."""

    items: tuple[Expr, ...]


class Pair(Syntax):
    """``key: value`` of an object."""

    key: Expr
    value: Expr


class Dict(Expr):
    """``{"key": value}``."""

    items: tuple[Pair, ...]
