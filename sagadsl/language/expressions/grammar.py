"""Reads any expression with Jinja2's lexer and parser, so the grammar is Jinja2's. Replay-critical.

Only this module loads Jinja2, and only ``parser`` asks it, for a text that ``quick`` does not understand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jinja2
from jinja2 import Environment, TemplateSyntaxError
from jinja2.lexer import TokenStream, get_lexer
from jinja2.parser import Parser

from sagadsl.language.expressions import hints, nodes
from sagadsl.language.expressions.problem import MAX_BRACKETS, Problem, Unparsable, too_deep

_ENVIRONMENT = Environment(keep_trailing_newline=True)  # only for its grammar: it renders nothing
_LEXER = get_lexer(_ENVIRONMENT)
_OPENERS, _CLOSERS = ("(", "[", "{"), (")", "]", "}")
_ESCAPE = re.compile(r"""\\(?!["'\\bfnrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00[0-9a-fA-F]{6})(.?)""", re.S)


def tree(source: str) -> nodes.Expr:
    """Return the syntax tree of an expression. Raises ``Unparsable``."""
    parser = Parser(_ENVIRONMENT, "")
    parser.stream = TokenStream(_tokens(source), None, None)
    try:
        found = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"unexpected '{parser.stream.current.value}'", parser.stream.current.lineno)
    except TemplateSyntaxError as error:
        raise Unparsable(_syntax(source, error.message or "", error.lineno)) from None
    ours: nodes.Expr = _ours(found)
    return ours


def _ours(node: jinja2.nodes.Node) -> Any:
    """Return Jinja2's tree as ours. A call, and what the language does not know, lose what is in them."""
    kind = type(node).__name__
    if isinstance(node, jinja2.nodes.Call):
        called = node.node
        is_method = isinstance(called, jinja2.nodes.Getattr)
        name = getattr(called, "attr" if is_method else "name", "")
        return nodes.Invocation(
            name if is_method or isinstance(called, jinja2.nodes.Name) else "", is_method, offset=node.lineno
        )
    ours = getattr(nodes, kind, None)
    if ours is None:
        return nodes.Other(kind, offset=node.lineno)
    fields = (name for name in ours.__struct_fields__ if name != "offset")
    # Jinja2 gives an operand of a comparison no line.
    return ours(*(_part(getattr(node, name)) for name in fields), offset=node.lineno or 0)


def _part(value: Any) -> Any:
    if isinstance(value, jinja2.nodes.Node):
        return _ours(value)
    return tuple(map(_ours, value)) if isinstance(value, list) else value


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
            depth += (text in _OPENERS) - (text in _CLOSERS) if type_ == "operator" else 0
            if depth > MAX_BRACKETS:
                raise Unparsable(too_deep())
        return iter(list(_LEXER.wrap(iter(raw))))
    except TemplateSyntaxError as error:
        where = error.lineno if offset == len(source) else offset
        raise Unparsable(_syntax(source, error.message or "", where)) from None
    except ValueError:  # Python reads no integer of more than 4,300 digits
        raise Unparsable(Problem("the expression holds an integer of more than 300 digits")) from None


def _check_escapes(text: str, offset: int) -> None:
    """Refuse escapes that Python accepts with a mere warning."""
    for found in re.finditer(r"\\.", text, re.S):
        if wrong := _ESCAPE.match(text, found.start()):
            sign = wrong.group()
            remedy = "for a backslash itself write two"
            raise Unparsable(Problem(f"`{sign}` is not an escape", remedy, offset + wrong.start(), sign))


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
