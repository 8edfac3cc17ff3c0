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


def expressions_in_texts(node: nodes.Syntax) -> Iterator[Expression]:
    """Yield what would be computed in the texts of an expression if they stood by themselves."""
    if isinstance(node, nodes.Const) and isinstance(node.value, str) and "{{" in node.value:
        match compile_value(node.value):
            case Expression() as whole:
                yield whole
            case Text(parts=parts):
                yield from (part for part in parts if isinstance(part, Expression))
    for child in node.children():
        yield from expressions_in_texts(child)


def without_braces(source: str) -> str:
    """Return an expression as it is written between its braces, not too long for a message."""
    return shortened(source.strip().removeprefix("{{").removesuffix("}}").strip(), 60)
