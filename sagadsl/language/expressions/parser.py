"""Splits text with ``{{ }}`` into pieces, and parses an expression into a syntax tree or problems.

The grammar is Jinja2's: its own lexer and parser read an expression (``grammar``), unless it is one of the usual
ones, which are read without them (``quick``). An allow-list of nodes refuses everything that the language leaves out
(statements, calls, private names, unlisted filters). Nothing here computes. Replay-critical: what parses today has to
parse at every replay.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sagadsl.immutable import Immutable, replace
from sagadsl.language.expressions import hints, nodes, quick
from sagadsl.language.expressions.data import MAX_DEPTH, MAX_INTEGER_BITS
from sagadsl.language.expressions.filters import FILTERS, signature
from sagadsl.language.expressions.predicates import TESTS
from sagadsl.language.expressions.problem import Problem, Unparsable, too_deep
from sagadsl.language.suggest import closest
from sagadsl.later import compiled_later

MAX_LENGTH = 10_000
"""The most characters of one expression."""
_MAX_CHAIN = MAX_DEPTH
"""The most characters of a chain that is read without the parser: so short a text cannot be nested too deeply."""

_CHAIN = compiled_later(r"\s*([A-Za-z][A-Za-z0-9_]*)((?:\.[A-Za-z][A-Za-z0-9_]*)*)\s*")
_WORDS = frozenset(["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"])
_OPENING = compiled_later(r"\{\{|\{%|\{#")
_ENDING = compiled_later(r"\}\}|%\}|#\}")
_TOKEN = compiled_later(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|'|"|\}\}|[(\[{]|[)\]}]""", re.S)
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Piece(Immutable):
    """A part of a text, with its place: verbatim text, or the inside of ``{{ }}``."""

    text: str
    offset: int
    expression: bool


def has_markers(text: str) -> bool:
    """Tell whether a text is not verbatim. This is cheap, because nearly every text is verbatim."""
    return "{" in text and _OPENING.search(text) is not None


def split(text: str) -> tuple[tuple[Piece, ...], tuple[Problem, ...]]:
    """Cut a text into pieces, and return the problems with the braces themselves.

    After a problem it goes on behind the next braces that close: one mistake must not hide another one.
    """
    pieces: list[Piece] = []
    problems: list[Problem] = []
    at = 0
    while (found := _OPENING.search(text, at)) is not None:
        if found.start() > at:
            pieces.append(Piece(text[at : found.start()], at, False))
        end: int | Problem
        if found.group() != "{{":
            end = _statement(found.group(), found.start())
        else:
            end = _closing(text, found.end())
        if isinstance(end, Problem):
            placed = replace(end, offset=end.offset or found.start(), focus=end.focus or "{{")
            if placed.focus == "{{" or all(
                each.message != placed.message for each in problems
            ):  # `{% endif %}` is no news
                problems.append(placed)
            behind = _ENDING.search(text, found.end())
            at = len(text) if behind is None else behind.end()
            continue
        pieces.append(Piece(text[found.end() : end], found.end(), True))
        at = end + 2
    if at < len(text):
        pieces.append(Piece(text[at:], at, False))
    return tuple(pieces), tuple(problems)


def _statement(marker: str, offset: int) -> Problem:
    what = "statements `{% … %}` are" if marker == "{%" else "comments `{# … #}` are"
    return Problem(
        f"{what} not part of the language",
        f"use an expression `{{{{ … }}}}` and filters; to send the characters themselves write `{{{{ '{marker}' }}}}`",
        offset,
        marker,
    )


def _closing(text: str, at: int) -> int | Problem:
    """Return the place of the ``}}`` that ends the expression at *at*; braces in text and objects do not count."""
    open_brackets: list[tuple[str, int]] = []
    while (found := _TOKEN.search(text, at)) is not None:
        token, at = found.group(), found.end()
        if token in ("'", '"'):
            return Problem(f"the text that begins with {token} is not closed", "", found.start(), token)
        if token in _CLOSERS:
            open_brackets.append((token, found.start()))
        elif token == "}}" and not open_brackets:
            return found.start()
        elif token[0] in ")]}" and open_brackets:
            at = found.start() + 1
            bracket, place = open_brackets.pop()
            if _CLOSERS[bracket] != token[0]:
                return Problem(f"`{bracket}` is not closed before `{token[0]}`", "", place, bracket)
    if open_brackets:
        bracket, place = open_brackets[-1]
        return Problem(f"`{bracket}` is not closed", "", place, bracket)
    return Problem("`{{` is not closed", "add `}}`; to send the characters themselves write `{{ '{{' }}`")


def parse(source: str) -> tuple[nodes.Expr | None, tuple[Problem, ...]]:
    """Return the syntax tree of one expression, or every problem of a text that is not an expression."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    if not source.strip():
        return None, (Problem("the expression is empty"),)
    if len(source) > MAX_LENGTH:
        return None, (Problem(f"the expression is longer than {MAX_LENGTH} characters"),)
    if (chain := _CHAIN.fullmatch(source)) and chain[1] not in _WORDS and len(source) < _MAX_CHAIN:
        return _chain(chain), ()
    try:
        tree = _tree(source)
        problems = tuple(_refused(tree, source, 0))
    except Unparsable as error:
        return None, (error.problem,)
    except RecursionError:
        return None, (too_deep(),)
    return (None, problems) if problems else (tree, ())


def _chain(found: re.Match[str]) -> nodes.Expr:
    """Return the tree of ``a.b.c``: most expressions are chains."""
    tree: nodes.Expr = nodes.Name(found[1], offset=found.start(1))
    offset = found.start(2)
    for name in found[2].split(".")[1:]:
        tree = nodes.Getattr(tree, name, offset=offset)
        offset += len(name) + 1
    return tree


def _tree(source: str) -> nodes.Expr:
    found = quick.tree(source)
    if found is not None:
        return found
    from sagadsl.language.expressions import grammar  # noqa: PLC0415 # it loads Jinja2: a fifth of a check

    return grammar.tree(source)


_OPERATORS = (
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Pow,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Pos,
    nodes.Compare,
    nodes.Operand,
    nodes.Concat,
    nodes.CondExpr,
    nodes.List,
    nodes.Tuple,
    nodes.Pair,
    nodes.Slice,
    nodes.Keyword,
)


def _refused(node: nodes.Syntax, source: str, depth: int) -> Iterator[Problem]:
    """Yield a problem for all that the language leaves out. It refuses every kind of node that it does not name."""
    if depth > MAX_DEPTH:
        raise Unparsable(too_deep())
    match node:
        case nodes.Name(name=name):
            yield from _private(name, node.offset, name)
        case nodes.Const(value=value):
            yield from _constant(value, node.offset)
        case nodes.Getattr(attr=name):
            yield from _private(name, node.offset, f".{name}")
        case nodes.Getitem(arg=nodes.Const(value=str(name))) if name.startswith("__"):
            yield _closed(name, node.offset, name)
        case nodes.Getitem():
            pass
        case nodes.Dict(items=pairs):
            for pair in pairs:
                if isinstance(pair.key, nodes.Const) and not isinstance(pair.key.value, str):
                    yield Problem("the keys of an object must be text", "put the key in quotes", pair.offset)
        case nodes.Filter():
            yield from _function(node, node.offset, "filter", FILTERS)
        case nodes.Test(name=name):
            yield from _function(node, source.find(name, node.offset), "test", TESTS)
        case nodes.Invocation():
            yield _call(node, source)
            return
        case _ if type(node) not in _OPERATORS:
            kind = node.kind if isinstance(node, nodes.Other) else type(node).__name__
            yield Problem(f"`{kind}` is not part of the language", "", node.offset)
            return
    for child in node.children():
        yield from _refused(child, source, depth + 1)


def _private(name: str, offset: int, focus: str) -> Iterator[Problem]:
    if name.startswith("__"):
        yield _closed(name, offset, focus)
    elif name.startswith("_"):
        remedy = f'to read a field of data that has this name, use brackets: `["{name}"]`'
        yield Problem(f"`{focus}` cannot be read: names that start with `_` are private", remedy, offset, focus)


def _closed(name: str, offset: int, focus: str) -> Problem:
    return Problem(f"`{name}` cannot be read: names that start with `__` are closed", "", offset, focus)


def _constant(value: Any, offset: int) -> Iterator[Problem]:
    if isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS:
        yield Problem("the integer has more than 300 digits", "", offset)
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem("the number is too large", "", offset)
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        yield Problem("the text holds half of a surrogate pair, which is not a character", "", offset)


def _call(node: nodes.Invocation, source: str) -> Problem:
    name = node.name
    if not name:
        return Problem("calls are not part of the language", "use filters: `value | filter`", node.offset, "(")
    what = f"`.{name}()` is a method call" if node.is_method else f"`{name}()` is a call"
    remedy = hints.CALLS.get(name, "")
    if not remedy:
        found = name if name in FILTERS else closest(name, FILTERS)
        remedy = f"use the filter: `value | {found}`" if found else "use filters: `value | filter`"
    offset = max(source.rfind(name, 0, node.offset), 0)
    return Problem(f"{what}, and expressions have none", remedy, offset, name)


def _function(node: nodes.Filter | nodes.Test, offset: int, what: str, known: Mapping[str, Any]) -> Iterator[Problem]:
    """Check the name and the arguments of a filter or test."""
    name = node.name
    if name not in known:
        yield _unknown(name, what, known, offset)
        return
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        yield Problem("arguments cannot be unpacked with `*`", "", offset, name)
    try:
        signature(known[name]).bind(*node.args, **{option.key: option for option in node.kwargs})
    except TypeError:
        takes = ", ".join(f"`{argument}`" for argument in signature(known[name]).parameters)
        yield Problem(f"{what} `{name}` takes {takes or 'no arguments'}", "", offset, name)
        return
    if name in ("map", "select", "reject", "selectattr", "rejectattr"):
        yield from _inner_function(node, offset)


def _inner_function(node: nodes.Filter | nodes.Test, offset: int) -> Iterator[Problem]:
    """Check the filter or test that a filter applies to each element: a constant text names it."""
    name = node.name
    options = {option.key for option in node.kwargs}
    args = node.args[1:] if name.endswith("attr") else node.args
    if not args:
        if name == "map" and not ("attribute" in options and options <= {"attribute", "default"}):
            yield Problem("filter `map` takes a filter's name, or `attribute=` and `default=`", "", offset, name)
        return
    what, known = ("filter", FILTERS) if name == "map" else ("test", TESTS)
    if not (isinstance(args[0], nodes.Const) and isinstance(args[0].value, str)):
        yield Problem(f"filter `{name}` takes the name of a {what} as text in quotes", "", offset, name)
        return
    inner = type(node)(node.node, args[0].value, args[1:], node.kwargs, None, None)
    yield from _function(inner, args[0].offset + 1, what, known)


def _unknown(name: str, what: str, known: Mapping[str, Any], offset: int) -> Problem:
    found = closest(name, known)
    remedy = (hints.FILTERS.get(name) if what == "filter" else None) or (f"did you mean `{found}`?" if found else "")
    return Problem(f"there is no {what} `{name}`", remedy, offset, name)
