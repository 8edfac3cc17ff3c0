"""Reads the usual expressions without Jinja2: the same tree, twenty times faster, or no answer. Replay-critical.

``tree`` gives ``None`` for all that it does not understand, right or wrong; then Jinja2's parser decides. What it does
understand it reads as Jinja2 does, to the offset of each node: ``tests/language/test_quick_expressions.py`` compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.problem import MAX_BRACKETS
from sagadsl.later import compiled_later

_TOKEN = compiled_later(
    r"""[ \t\n]*(?:
    (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<float>[0-9]{1,15}\.[0-9]{1,15})(?![\w.])
    |(?P<int>0|[1-9][0-9]{0,17})(?![\w.])
    |(?P<text>'[^'\\\n]*'|"[^"\\\n]*")
    |(?P<sign>==|!=|<=|>=|//|\*\*|[-+*/%~<>()\[\]{},:|.=])
    |(?P<end>\Z)
    )""",
    re.VERBOSE,
)
_MAX_TOKENS = 1_000
_CONSTANTS: Mapping[str, bool | None] = {
    "true": True, "True": True, "false": False, "False": False, "none": None, "None": None,
}  # fmt: skip
_RESERVED = frozenset(("not", "and", "or", "in", "is", "if", "else"))
_COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "lteq", ">": "gt", ">=": "gteq"}

_SUMS: Mapping[str, type[nodes.BinExpr]] = {"+": nodes.Add, "-": nodes.Sub}
_PRODUCTS: Mapping[str, type[nodes.BinExpr]] = {
    "*": nodes.Mul, "/": nodes.Div, "//": nodes.FloorDiv, "%": nodes.Mod,
}  # fmt: skip
_POWERS: Mapping[str, type[nodes.BinExpr]] = {"**": nodes.Pow}
_ORS: Mapping[str, type[nodes.BinExpr]] = {"or": nodes.Or}
_ANDS: Mapping[str, type[nodes.BinExpr]] = {"and": nodes.And}


class _Token(NamedTuple):
    kind: Literal["name", "float", "int", "text", "sign", "end"]
    text: str
    offset: int

    @property
    def word(self) -> str:
        """The sign or name; empty for a value."""
        return self.text if self.kind in ("sign", "name") else ""


class _Unknown(Exception):
    """The text has something that this reader does not know."""


def tree(source: str) -> nodes.Expr | None:
    """Return the syntax tree of an expression; ``None`` if Jinja2 has to read it."""
    tokens = _tokens(source)
    if tokens is None:
        return None
    try:
        return _Reader(tokens).whole()
    except (_Unknown, RecursionError):
        return None


def _tokens(source: str) -> list[_Token] | None:
    tokens: list[_Token] = []
    at = depth = 0
    while len(tokens) < _MAX_TOKENS:
        found = _TOKEN.match(source, at)
        if found is None:
            return None
        kind, at = found.lastgroup, found.end()
        assert kind is not None
        if kind == "end":  # Jinja2 gives the end the place of the last token
            tokens.append(_Token("end", "", tokens[-1].offset if tokens else 0))
            return tokens
        text = found[kind]
        depth += (text in "([{") - (text in ")]}") if kind == "sign" else 0
        if depth > MAX_BRACKETS:
            return None
        tokens.append(_Token(kind, text, found.start(kind)))  # type: ignore[arg-type]  # a group of the pattern
    return None


class _Reader:
    """Reads the tokens of one expression, from the loosest to the tightest operators."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._signs = 0

    def whole(self) -> nodes.Expr:
        found = self._choice()
        if self._now.kind != "end":
            raise _Unknown
        return found

    @property
    def _now(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, word: str) -> bool:
        if self._now.word != word:
            return False
        self._at += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            raise _Unknown

    def _choice(self) -> nodes.Expr:
        at = self._now.offset
        found = self._or()
        while self._skip("if"):
            test = self._or()
            otherwise = self._choice() if self._skip("else") else None
            found = nodes.CondExpr(test, found, otherwise, offset=at)
            at = self._now.offset
        return found

    def _or(self) -> nodes.Expr:
        return self._sides(_ORS, self._and)

    def _and(self) -> nodes.Expr:
        return self._sides(_ANDS, self._not)

    def _sides(self, kinds: Mapping[str, type[nodes.BinExpr]], inner: Callable[[], nodes.Expr]) -> nodes.Expr:
        at = self._now.offset
        left = inner()
        while (kind := kinds.get(self._now.word)) is not None:
            self._at += 1
            left = kind(left, inner(), offset=at)
            at = self._now.offset
        return left

    def _not(self) -> nodes.Expr:
        if self._now.word != "not":
            return self._compared()
        at = self._signed()
        return nodes.Not(self._not(), offset=at)

    def _signed(self) -> int:
        """Take a sign before a value; many of them nest too deeply for Jinja2."""
        self._signs += 1
        if self._signs > MAX_BRACKETS:
            raise _Unknown
        return self._take().offset

    def _compared(self) -> nodes.Expr:
        found = self._sum()
        operands = []
        while (op := self._comparison()) is not None:
            operands.append(nodes.Operand(op, self._sum()))
        return nodes.Compare(found, tuple(operands), offset=self._now.offset) if operands else found

    def _comparison(self) -> str | None:
        word = self._now.word
        if (op := _COMPARISONS.get(word)) is not None:
            self._at += 1
            return op
        if word == "in":
            self._at += 1
            return "in"
        if word == "not" and self._tokens[self._at + 1].word == "in":
            self._at += 2
            return "notin"
        return None

    def _sum(self) -> nodes.Expr:
        return self._sides(_SUMS, self._joined)

    def _joined(self) -> nodes.Expr:
        at = self._now.offset
        parts = [self._product()]
        while self._skip("~"):
            parts.append(self._product())
        return nodes.Concat(tuple(parts), offset=at) if len(parts) > 1 else parts[0]

    def _product(self) -> nodes.Expr:
        return self._sides(_PRODUCTS, self._power)

    def _power(self) -> nodes.Expr:
        return self._sides(_POWERS, self._filtered)

    def _filtered(self) -> nodes.Expr:
        found = self._unary()
        while True:
            if self._skip("|"):
                found = self._applied(nodes.Filter, found, self._now.offset)
            elif self._now.word == "is":
                at = self._take().offset
                is_negated = self._skip("not")
                found = self._applied(nodes.Test, found, at)
                found = nodes.Not(found, offset=at) if is_negated else found
            else:
                return found

    def _applied(self, kind: type[nodes.FilterOrTest], operand: nodes.Expr, at: int) -> nodes.Expr:
        name = self._take()
        if name.kind != "name" or self._now.word == ".":
            raise _Unknown
        args: tuple[nodes.Expr, ...] = ()
        options: tuple[nodes.Keyword, ...] = ()
        if self._skip("("):
            args, options = self._arguments()
        elif kind is nodes.Test and self._begins_value():
            raise _Unknown  # Jinja2 takes it for the argument of the test
        return kind(operand, name.text, args, options, offset=at)

    def _begins_value(self) -> bool:
        now = self._now
        return now.word in ("[", "{") or (now.kind not in ("sign", "end") and now.word not in ("else", "or", "and"))

    def _arguments(self) -> tuple[tuple[nodes.Expr, ...], tuple[nodes.Keyword, ...]]:
        args: list[nodes.Expr] = []
        options: list[nodes.Keyword] = []
        while not self._skip(")"):
            if args or options:
                self._expect(",")
                if self._skip(")"):
                    break
            if self._now.kind == "name" and self._tokens[self._at + 1].word == "=":
                key = self._take().text
                self._at += 1
                value = self._choice()
                options.append(nodes.Keyword(key, value, offset=value.offset))
            elif options:
                raise _Unknown
            else:
                args.append(self._choice())
        return tuple(args), tuple(options)

    def _unary(self) -> nodes.Expr:
        if self._now.word in ("-", "+"):
            kind = nodes.Neg if self._now.word == "-" else nodes.Pos
            at = self._signed()
            return kind(self._unary(), offset=at)
        found = self._value()
        while True:
            if self._now.word == ".":
                at = self._take().offset
                name = self._take()
                if name.kind != "name":
                    raise _Unknown
                found = nodes.Getattr(found, name.text, offset=at)
            elif self._now.word == "[":
                at = self._take().offset
                found = nodes.Getitem(found, self._choice(), offset=at)
                self._expect("]")
            elif self._now.word == "(":
                raise _Unknown
            else:
                return found

    def _value(self) -> nodes.Expr:
        token = self._take()
        match token.kind:
            case "name" if token.text in _CONSTANTS:
                return nodes.Const(_CONSTANTS[token.text], offset=token.offset)
            case "name" if token.text not in _RESERVED:
                return nodes.Name(token.text, offset=token.offset)
            case "text" if self._now.kind != "text":  # Jinja2 joins texts that follow each other
                return nodes.Const(token.text[1:-1], offset=token.offset)
            case "int":
                return nodes.Const(int(token.text), offset=token.offset)
            case "float":
                return nodes.Const(float(token.text), offset=token.offset)
            case "sign" if token.text == "(":
                found = self._choice()
                self._expect(")")
                return found
            case "sign" if token.text == "[":
                return self._list(token.offset)
            case "sign" if token.text == "{":
                return self._object(token.offset)
            case _:
                raise _Unknown

    def _list(self, at: int) -> nodes.Expr:
        items: list[nodes.Expr] = []
        while not self._skip("]"):
            if items:
                self._expect(",")
                if self._skip("]"):
                    break
            items.append(self._choice())
        return nodes.List(tuple(items), offset=at)

    def _object(self, at: int) -> nodes.Expr:
        pairs: list[nodes.Pair] = []
        while not self._skip("}"):
            if pairs:
                self._expect(",")
                if self._skip("}"):
                    break
            key = self._choice()
            self._expect(":")
            pairs.append(nodes.Pair(key, self._choice(), offset=key.offset))
        return nodes.Dict(tuple(pairs), offset=at)
