"""Slips that are valid expressions and do something else than they seem to: braces inside of texts, sums of moments."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.code import chain_of
from sagadsl.language.expressions.data import shortened
from sagadsl.language.expressions.values import Expression, Text, compile_value
from sagadsl.language.notation import durations

TIME = "time is computed by filters: `moment | plus('3d')`, `moment | until(later) | seconds`, `moment | seconds`"

_MOMENTS = (("saga", "now"), ("saga", "started_at"))


def is_moment(node: nodes.Syntax) -> bool:
    """Whether an expression is known to give a moment, which is text."""
    if isinstance(node, nodes.Filter):
        return node.name in ("at", "plus", "minus", "in_zone")
    return chain_of(node) in _MOMENTS


def is_length(node: nodes.Syntax) -> bool:
    """Whether an expression is a length of time, written out."""
    if not isinstance(node, nodes.Const) or not isinstance(node.value, str):
        return False
    try:
        durations.parse(node.value)
    except durations.NotADuration:
        return False
    return True


def expressions_in_texts(node: nodes.Syntax, result: bool = True) -> Iterator[Expression]:
    """Yield what would be computed in the texts of an expression if they stood by themselves.

    These are the texts that are the result or a part of it, that are joined, and that are compared. Filters and tests
    take texts with braces as they are, and so does ``in``: this is how templates are filled.

    Args:
        result: The node is the result of the whole expression, or a part of it.
    """
    match node:
        case nodes.Const(value=str(text)) if result and "{{" in text:
            match compile_value(text):
                case Expression() as whole:
                    yield whole
                case Text(parts=parts):
                    yield from (part for part in parts if isinstance(part, Expression))
        case nodes.Filter(node=operand) | nodes.Test(node=operand):
            yield from expressions_in_texts(operand, False)
        case nodes.Compare(expr=first, ops=operands):
            in_others = [operand.op in ("in", "notin") for operand in operands]
            sides = (first, *(operand.expr for operand in operands))
            for side, is_looked_for in zip(sides, (*in_others, False), strict=True):
                yield from expressions_in_texts(side, isinstance(side, nodes.Const) and not is_looked_for)
        case nodes.Dict(items=pairs):
            for pair in pairs:
                yield from expressions_in_texts(pair.value, result)
        case nodes.List() | nodes.Tuple() | nodes.CondExpr():
            for child in node.children():
                yield from expressions_in_texts(child, result)
        case _:
            for child in node.children():
                yield from expressions_in_texts(child, isinstance(node, nodes.Concat | nodes.BinExpr))


def without_braces(source: str) -> str:
    """Return an expression as it is written between its braces, not too long for a message."""
    return shortened(source.strip().removeprefix("{{").removesuffix("}}").strip(), 60)
