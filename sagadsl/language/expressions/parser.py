"""Splits text with ``{{ }}`` into pieces, and parses an expression into a syntax tree or problems.

Jinja2's own lexer and parser read the expressions, so the grammar is Jinja2's. An allow-list of
nodes refuses everything that the language leaves out (statements, calls, private names, unlisted
filters). Nothing here computes. Replay-critical: what parses today has to parse at every replay.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream, get_lexer
from jinja2.parser import Parser

from sagadsl.immutable import Immutable, replace
from sagadsl.language.expressions import hints
from sagadsl.language.expressions.data import MAX_DEPTH, MAX_INTEGER_BITS, Path
from sagadsl.language.expressions.filters import FILTERS, signature
from sagadsl.language.expressions.predicates import TESTS
from sagadsl.language.suggest import closest

MAX_LENGTH = 10_000
"""The most characters of one expression."""
MAX_BRACKETS = 20
"""The most brackets within brackets; the parser needs 14 stack frames for each."""

_MAX_CHAIN = MAX_DEPTH
"""The most characters of a chain that is read without the parser: so short a text cannot be nested too deeply."""

_ENVIRONMENT = Environment(keep_trailing_newline=True)  # only for its grammar: it renders nothing
_LEXER = get_lexer(_ENVIRONMENT)
_CHAIN = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)((?:\.[A-Za-z][A-Za-z0-9_]*)*)\s*")
_WORDS = frozenset(["true", "false", "none", "True", "False", "None", "not", "and", "or", "in", "is", "if", "else"])
_OPENING = re.compile(r"\{\{|\{%|\{#")
_TOKEN = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|'|"|\}\}|[(\[{]|[)\]}]""", re.S)
_ESCAPE = re.compile(r"""\\(?!["'\\bfnrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00[0-9a-fA-F]{6})(.?)""", re.S)
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Problem(Immutable):
    """A reason why a text is not an expression of the language, whatever the data.

    Attributes:
        message: What is wrong; lower case, no full stop.
        help: What to write instead; may be empty.
        offset: Where the problem begins in the text, in characters from 0.
        focus: The part of the text that is wrong; may be empty.
        path: The place of the text in the value, e.g. ``("lines", 0, "amount")``.
        at_key: The text is itself a key: the last one of ``path``.
    """

    message: str
    help: str = ""
    offset: int = 0
    focus: str = ""
    path: Path = ()
    at_key: bool = False


class Piece(Immutable):
    """A part of a text, with its place: verbatim text, or the inside of ``{{ }}``."""

    text: str
    offset: int
    expression: bool


def has_markers(text: str) -> bool:
    """Tell whether a text is not verbatim. This is cheap, because nearly every text is verbatim."""
    return "{" in text and _OPENING.search(text) is not None


def split(text: str) -> tuple[tuple[Piece, ...], Problem | None]:
    """Cut a text into pieces; stop at the first problem with the braces themselves."""
    pieces: list[Piece] = []
    at = 0
    while (found := _OPENING.search(text, at)) is not None:
        if found.group() != "{{":
            return tuple(pieces), _statement(found.group(), found.start())
        if found.start() > at:
            pieces.append(Piece(text[at : found.start()], at, False))
        end = _closing(text, found.end())
        if isinstance(end, Problem):
            return tuple(pieces), replace(end, offset=end.offset or found.start(), focus=end.focus or "{{")
        pieces.append(Piece(text[found.end() : end], found.end(), True))
        at = end + 2
    if at < len(text):
        pieces.append(Piece(text[at:], at, False))
    return tuple(pieces), None


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
    """Return the syntax tree of one expression, or every problem of a text that is not an expression.

    Nodes carry their offset in *source* as ``lineno``, because :func:`_tokens` numbers tokens by offset.
    """
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
    except _Unparsable as error:
        return None, (error.problem,)
    except RecursionError:
        return None, (_too_deep(),)
    return (None, problems) if problems else (tree, ())


def _chain(found: re.Match[str]) -> nodes.Expr:
    """Return the tree of ``a.b.c`` as Jinja2's parser does, but twenty times faster: most expressions are chains."""
    tree: nodes.Expr = nodes.Name(found[1], "load", lineno=found.start(1))
    offset = found.start(2)
    for name in found[2].split(".")[1:]:
        tree = nodes.Getattr(tree, name, "load", lineno=offset)
        offset += len(name) + 1
    return tree


class _Unparsable(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def _tree(source: str) -> nodes.Expr:
    parser = Parser(_ENVIRONMENT, "")
    parser.stream = TokenStream(_tokens(source), None, None)
    try:
        tree = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"unexpected '{parser.stream.current.value}'", parser.stream.current.lineno)
    except TemplateSyntaxError as error:
        raise _Unparsable(_syntax(source, error.message or "", error.lineno)) from None
    return tree


def _tokens(source: str) -> Iterator[Any]:
    """Return the tokens. Each has its offset in place of its line number."""
    raw: list[tuple[int, str, str]] = []
    offset = depth = 0
    try:
        for _, type_, text in _LEXER.tokeniter(source, None, None, "variable"):
            if type_ == "string":
                _check_escapes(text, offset)
            raw.append((offset, type_, text))
            offset += len(text)
            depth += (text in _CLOSERS) - (text in (")", "]", "}")) if type_ == "operator" else 0
            if depth > MAX_BRACKETS:
                raise _Unparsable(_too_deep())
        return iter(list(_LEXER.wrap(iter(raw))))
    except TemplateSyntaxError as error:
        where = error.lineno if offset == len(source) else offset
        raise _Unparsable(_syntax(source, error.message or "", where)) from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise _Unparsable(Problem("the expression holds an integer of more than 300 digits")) from None


def _check_escapes(text: str, offset: int) -> None:
    """Refuse escapes that Python accepts with a mere warning."""
    for found in re.finditer(r"\\.", text, re.S):
        if wrong := _ESCAPE.match(text, found.start()):
            sign = wrong.group()
            remedy = "for a backslash itself write two"
            raise _Unparsable(Problem(f"`{sign}` is not an escape", remedy, offset + wrong.start(), sign))


def _too_deep() -> Problem:
    return Problem(
        "the expression is nested too deeply", "compute a part of it in a `set` step first, and use that step's output"
    )


def _syntax(source: str, message: str, offset: int) -> Problem:
    """Say the parser's message in the words of this tool, with a remedy for habits from other languages."""
    rest = source[offset:]
    word = re.match(r"\w+|\S", rest.lstrip())
    focus = word.group() if word else ""
    excerpt = source[max(offset - 2, 0) : offset + 3]
    remedy = next((help_ for sign, help_ in hints.SIGNS if sign in excerpt), "")
    if "chain multiple tests" in message:
        return Problem("two tests follow each other", "join them: `x is a and x is b`", offset, focus)
    if "identifier" in message:
        return Problem(f"`{focus}` is not a name", "names are made of letters, digits and `_`", offset, focus)
    if "function call" in message:
        return Problem("the arguments in brackets cannot be read", "first values, then `name=value`", offset, focus)
    if "end of template" in message or not rest.strip():
        return Problem("the expression ends too early", remedy, max(len(source.rstrip()) - 1, 0), source.strip()[-1:])
    expected = re.search(r"expected token '([^']+)'", message)
    wanted = {"name": "a name", "integer": "a number"}.get(expected[1], f"`{expected[1]}`") if expected else ""
    return Problem(f"unexpected `{focus}`{wanted and ', expected ' + wanted}", remedy, offset, focus)


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


def _refused(node: nodes.Node, source: str, depth: int) -> Iterator[Problem]:
    """Yield a problem for all that the language leaves out. It refuses every kind of node that it does not name."""
    if depth > MAX_DEPTH:
        raise _Unparsable(_too_deep())
    match node:
        case nodes.Name(name=name):
            yield from _private(name, node.lineno, name)
        case nodes.Const(value=value):
            yield from _constant(value, node.lineno)
        case nodes.Getattr(attr=name):
            yield from _private(name, node.lineno, f".{name}")
        case nodes.Getitem(arg=nodes.Const(value=str(name))) if name.startswith("__"):
            yield _closed(name, node.lineno, name)
        case nodes.Getitem():
            pass
        case nodes.Dict(items=pairs):
            for pair in pairs:
                if isinstance(pair.key, nodes.Const) and not isinstance(pair.key.value, str):
                    yield Problem("the keys of an object must be text", "put the key in quotes", pair.lineno)
        case nodes.Filter():
            yield from _function(node, node.lineno, "filter", FILTERS)
        case nodes.Test(name=name):
            yield from _function(node, source.find(name, node.lineno), "test", TESTS)
        case nodes.Call():
            yield _call(node, source)
            return
        case _ if type(node) not in _OPERATORS:
            yield Problem(f"`{type(node).__name__}` is not part of the language", "", node.lineno)
            return
    for child in node.iter_child_nodes():
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


def _call(node: nodes.Call, source: str) -> Problem:
    called = node.node
    if isinstance(called, nodes.Getattr):
        what, name = f"`.{called.attr}()` is a method call", called.attr
    elif isinstance(called, nodes.Name):
        what, name = f"`{called.name}()` is a call", called.name
    else:
        return Problem("calls are not part of the language", "use filters: `value | filter`", node.lineno, "(")
    remedy = hints.CALLS.get(name, "")
    if not remedy:
        found = name if name in FILTERS else closest(name, FILTERS)
        remedy = f"use the filter: `value | {found}`" if found else "use filters: `value | filter`"
    offset = max(source.rfind(name, 0, node.lineno), 0)
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
        signature(known[name]).bind(*node.args, **{str(option.key): option for option in node.kwargs})
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
    yield from _function(inner, args[0].lineno + 1, what, known)


def _unknown(name: str, what: str, known: Mapping[str, Any], offset: int) -> Problem:
    found = closest(name, known)
    remedy = (hints.FILTERS.get(name) if what == "filter" else None) or (f"did you mean `{found}`?" if found else "")
    return Problem(f"there is no {what} `{name}`", remedy, offset, name)
