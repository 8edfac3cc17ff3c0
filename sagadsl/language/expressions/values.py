"""Values that may contain ``{{ }}``: compiles them once, lists what they read, renders them. Replay-critical.

A text that is exactly one ``{{ … }}`` keeps the native type of its result; any other text renders to
text. Rendered data is never rendered again. Compiling never fails: a value with a mistake keeps its
problems for the static checks, and rendering it is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from sagadsl.immutable import Derived, Immutable, replace
from sagadsl.language.expressions import code, nodes
from sagadsl.language.expressions.data import (
    METER,
    Budget,
    ExpressionError,
    Path,
    as_json,
    kind,
    shortened,
    spelled,
    truth,
)
from sagadsl.language.expressions.joining import as_one
from sagadsl.language.expressions.parser import Piece, has_markers, parse, split
from sagadsl.language.expressions.problem import Problem

__all__ = [
    "METER",
    "Broken",
    "Compiled",
    "Condition",
    "Constant",
    "Expression",
    "ExpressionError",
    "Listing",
    "Object",
    "Path",
    "Problem",
    "Text",
    "compile_condition",
    "compile_value",
    "needed",
    "problems",
    "trees",
]

Reads = tuple[tuple[str, ...], ...]

_PLAIN = frozenset((str, int, bool, type(None)))


class Constant(Immutable):
    """Data without any expression. ``render`` returns the data itself, not a copy, so nobody may change it."""

    source: Any

    reads: ClassVar[Reads] = ()

    @property
    def items(self) -> Mapping[str, Constant] | None:
        return {key: Constant(item) for key, item in self.source.items()} if isinstance(self.source, dict) else None

    problems: ClassVar[tuple[Problem, ...]] = ()

    def render(self, _scope: Mapping[str, Any]) -> Any:
        return self.source

    def compute(self, _scope: Mapping[str, Any], _budget: Budget) -> Any:
        return self.source


class Expression(Immutable):
    """One expression. Its value keeps its type.

    Attributes:
        source: The text as written, with its braces if it has any.
        offset: The place in ``source`` where the expression itself begins.
        tree: Its syntax tree.
    """

    source: str
    offset: int
    tree: Derived[nodes.Expr]
    reads: Derived[Reads]
    _code: Derived[code.Code]

    items: ClassVar[None] = None
    problems: ClassVar[tuple[Problem, ...]] = ()

    def render(self, scope: Mapping[str, Any]) -> Any:
        return Budget().render(self.compute, scope)

    def compute(self, scope: Mapping[str, Any], budget: Budget) -> Any:
        """Render at the expense of a larger value's budget."""
        try:
            result = self._code(scope, budget)
            return result if type(result) in _PLAIN else as_json(result, budget)
        except ExpressionError as error:
            raise error.within(self.source.strip()) from None
        except Exception as error:  # noqa: BLE001  # any error of Python about the data: R56
            raise ExpressionError(_said(error), self.source.strip()) from None


class Text(Immutable):
    """Text with expressions in it."""

    source: str
    parts: Derived[tuple[str | Expression, ...]]
    reads: Derived[Reads]

    items: ClassVar[None] = None
    problems: ClassVar[tuple[Problem, ...]] = ()

    def render(self, scope: Mapping[str, Any]) -> str:
        return Budget().render(self.compute, scope)

    def compute(self, scope: Mapping[str, Any], budget: Budget) -> str:
        """Render at the expense of a larger value's budget."""
        return budget.text(
            "".join([part if isinstance(part, str) else _joined(part, scope, budget) for part in self.parts])
        )


class Listing(Immutable):
    """A list with expressions somewhere in it."""

    source: list[Any]
    elements: Derived[tuple[Compiled, ...]]
    reads: Derived[Reads]

    items: ClassVar[None] = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(_below(index, found) for index, part in enumerate(self.elements) for found in part.problems)

    def render(self, scope: Mapping[str, Any]) -> list[Any]:
        return Budget().render(self.compute, scope)

    def compute(self, scope: Mapping[str, Any], budget: Budget) -> list[Any]:
        """Render at the expense of a larger value's budget."""
        result: list[Any] = []
        try:
            for element in self.elements:
                result.append(element.compute(scope, budget))
        except ExpressionError as error:
            raise error.below(len(result)) from None
        return result


class Object(Immutable):
    """An object with expressions somewhere in its values."""

    source: dict[str, Any]
    items: Derived[Mapping[str, Compiled]]
    reads: Derived[Reads]
    key_problems: Derived[tuple[Problem, ...]] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        inner = (_below(key, found) for key, item in self.items.items() for found in item.problems)
        return (*self.key_problems, *inner)

    def render(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        return Budget().render(self.compute, scope)

    def compute(self, scope: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        """Render at the expense of a larger value's budget."""
        if self.key_problems:
            raise ExpressionError(self.key_problems[0].message)
        result: dict[str, Any] = {}
        key = ""
        try:
            for key, item in self.items.items():
                result[key] = item.compute(scope, budget)
        except ExpressionError as error:
            raise error.below(key) from None
        return result


class Broken(Immutable):
    """Text that is not an expression of the language. ``validate`` reports it; to render it is an error."""

    source: Any
    problems: Derived[tuple[Problem, ...]]
    parts: Derived[tuple[Expression, ...]] = ()
    """The expressions in it that can be read: what is wrong with them is told, too."""

    reads: ClassVar[Reads] = ()

    items: ClassVar[None] = None

    def render(self, scope: Mapping[str, Any]) -> Any:
        return Budget().render(self.compute, scope)

    def compute(self, _scope: Mapping[str, Any], _budget: Budget) -> Any:
        """Raise: there is nothing to compute."""
        raise ExpressionError(self.problems[0].message, str(self.source).strip())


Compiled = Constant | Expression | Text | Listing | Object | Broken


class Condition(Immutable):
    """A value whose result must be true or false."""

    value: Compiled

    @property
    def source(self) -> Any:
        return self.value.source

    @property
    def reads(self) -> Reads:
        return self.value.reads

    items: ClassVar[None] = None

    @property
    def problems(self) -> tuple[Problem, ...]:
        if isinstance(self.value, Expression | Broken) or isinstance(self.value.source, bool):
            return self.value.problems
        return (Problem(f"a condition must be true or false, not {kind(self.value.source)}"),)

    def render(self, scope: Mapping[str, Any]) -> bool:
        result = self.value.render(scope)
        if result is True or result is False:
            return result
        try:
            return truth(result, "a condition")
        except ExpressionError as error:
            raise error.within(str(self.source).strip()) from None


def compile_value(data: Any, *, bare: bool = False) -> Compiled:
    """Compile JSON data whose texts may contain ``{{ }}``.

    Args:
        bare: The whole text is an expression, with or without braces, as in ``items``.
    """
    if isinstance(data, str):
        return _bare(data) if bare else _text(data)
    return _tree(data)


def compile_condition(data: Any) -> Condition:
    """Compile a condition: a boolean, or an expression (with or without braces) that gives a boolean."""
    return Condition(compile_value(data, bare=True))


def problems(data: Any, *, bare: bool = False) -> list[Problem]:
    """Return a problem for each text in JSON data that is not an expression of the language."""
    return list(compile_value(data, bare=bare).problems)


def trees(value: Any) -> Iterator[nodes.Expr]:
    """Yield the syntax tree of each expression in a compiled value."""
    match value:
        case Condition(value=inner):
            yield from trees(inner)
        case Expression(tree=tree):
            yield tree
        case Text(parts=several):
            yield from (part.tree for part in several if isinstance(part, Expression))
        case Object(items=items):
            yield from (tree for item in items.values() for tree in trees(item))
        case Listing(elements=elements):
            yield from (tree for item in elements for tree in trees(item))
        case _:
            return


def needed(value: Any) -> frozenset[tuple[str, ...]]:
    """Return the chains of names without which a compiled value cannot be computed."""
    return frozenset(chain for tree in trees(value) for chain in code.needs(tree))


def _tree(data: Any) -> Compiled:
    if isinstance(data, str):
        return _text(data)
    if isinstance(data, list):
        elements = tuple(_tree(item) for item in data)
        if all(isinstance(each, Constant) for each in elements):
            return Constant(data)
        return Listing(data, elements, _union(elements))
    if isinstance(data, dict):
        items = {key: _tree(item) for key, item in data.items()}
        wrong = tuple(_key_problem(key) for key in data if has_markers(key))
        if not wrong and all(isinstance(each, Constant) for each in items.values()):
            return Constant(data)
        return Object(data, items, _union(items.values()), wrong)
    return Constant(data)


def _key_problem(key: str) -> Problem:
    remedy = "write the object as one expression: `{{ {name: value} }}`"
    return Problem(
        f"the key `{key}` holds an expression, but keys are not computed", remedy, focus=key, path=(key,), at_key=True
    )


@lru_cache(maxsize=4096)
def _text(text: str) -> Compiled:
    if not has_markers(text):
        return Constant(text)
    pieces, found = split(text)
    written = [piece for piece in pieces if piece.expression or piece.text.strip()]
    if not found and len(written) == 1 and written[0].expression:
        return _expression(text, written[0])
    parts = [_expression(f"{{{{{piece.text}}}}}", piece) if piece.expression else piece.text for piece in pieces]
    broken = [*found, *(each for part in parts if isinstance(part, Broken) for each in part.problems)]
    if broken:
        readable = tuple(part for part in parts if isinstance(part, Expression))
        return Broken(text, tuple(sorted(broken, key=lambda each: each.offset)), readable)
    kept = tuple(part for part in parts if isinstance(part, str | Expression))
    return Text(text, kept, _union(part for part in kept if isinstance(part, Expression)))


@lru_cache(maxsize=4096)
def _bare(text: str) -> Compiled:
    if not text.lstrip().startswith("{{"):
        whole = _expression(text, Piece(text, 0, True))
        if isinstance(whole, Broken) and "{{" in text:
            return Broken(text, _with_braces_inside(text, whole.problems))
        return whole
    pieces, found = split(text)
    written = [piece for piece in pieces if piece.expression or piece.text.strip()]
    if not found and len(written) != 1:
        found = (_beside(text, written),)
    return Broken(text, found) if found else _expression(text, written[0])


def _with_braces_inside(text: str, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Say that the braces are what is wrong, if without them this is an expression; else what to do about them."""
    pieces, found = split(text)
    if not found and (joined := as_one(pieces)):
        focus = "{{"
        return (
            Problem("braces inside of an expression", f"leave the braces out: `{joined}`", text.index(focus), focus),
        )
    remedy = "leave out the braces, or put all of it into one pair of them"
    return tuple(replace(each, help=each.help or remedy) for each in problems)


def _beside(text: str, written: list[Piece]) -> Problem:
    """Say that there is text beside the only expression that is allowed here, or that there are several."""
    strays = [piece for piece in written if not piece.expression]
    inside = [piece for piece in written if piece.expression]
    joined = as_one(split(text)[0]) if inside and strays else ""
    if len(inside) != 1 or not strays:
        help = "write all of it as one, without braces" + (f": `{joined}`" if joined else "")
        return Problem("there is more than one expression here", help)
    stray, expression = strays[0], f"{{{{ {inside[0].text.strip()} }}}}"
    focus = stray.text.strip()
    what = "quote" if focus in ("'", '"') else "text"
    message = f"the {what} `{shortened(focus, 40)}` stands beside the expression, in `{shortened(text.strip(), 60)}`"
    offset = stray.offset + stray.text.index(focus)
    if joined:  # `{{ input.size }} == 'large'`
        return Problem(message, f"put it inside: `{{{{ {joined} }}}}`", offset, focus)
    return Problem(message, f"leave it out, and write `{shortened(expression, 60)}` alone", offset, focus)


def _expression(source: str, piece: Piece) -> Expression | Broken:
    if source is not piece.text and (piece.text.startswith("-") or piece.text.endswith(("-", "+"))):
        offset = piece.offset if piece.text.startswith("-") else piece.offset + len(piece.text) - 1
        remedy = "put a space between them; a sign does not cut blanks here"
        return Broken(source, (Problem("a sign touches the braces", remedy, offset, source[offset]),))
    tree, found = parse(piece.text)
    if tree is None:
        return Broken(source, tuple(replace(each, offset=each.offset + piece.offset) for each in found))
    return Expression(source, piece.offset, tree, code.reads(tree), code.code(tree))


def _joined(part: Expression, scope: Mapping[str, Any], budget: Budget) -> str:
    value = part.compute(scope, budget)
    if isinstance(value, str):
        return value
    try:
        return spelled(value)
    except ExpressionError as error:
        raise error.within(part.source.strip()) from None


def _said(error: Exception) -> str:
    match error:
        case ZeroDivisionError():
            return "division by zero"
        case OverflowError():
            return "the number gets too large"
        case RecursionError():
            return "the data is nested too deeply"
        case _:
            return f"it cannot be computed: {error}"


def _below(key: str | int, problem: Problem) -> Problem:
    return replace(problem, path=(key, *problem.path))


def _union(values: Iterable[Compiled]) -> Reads:
    return tuple(dict.fromkeys(chain for each in values for chain in each.reads))
