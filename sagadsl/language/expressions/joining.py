"""The one expression that a text with several ``{{ }}`` is meant to be, for the help of messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.parser import Piece, parse

_CHAINS = (nodes.Name, nodes.Getattr, nodes.Getitem)
_TIGHT = (*_CHAINS, nodes.Const, nodes.Filter, nodes.List, nodes.Dict)


def as_one(pieces: Sequence[Piece]) -> str:
    """Return the one expression that pieces are without their braces; empty if they are none.

    Each piece counts as a whole, so it gets brackets where its parts would go to its neighbours: `{{ a or b }} and c`.
    A piece in quotes, or one that would grow together with its neighbour, makes no expression.
    """
    meant, _ = parse(_joined(pieces, lambda text: f"(({text}))"))
    if meant is None:
        return ""
    for bracketed in (lambda text: text, _outside(_TIGHT), _outside(_CHAINS)):
        whole = _joined(pieces, bracketed)
        tree, _ = parse(whole)
        if tree is not None and tree.alike(meant):
            return whole
    return ""


def _joined(pieces: Sequence[Piece], bracketed: Callable[[str], str]) -> str:
    return "".join(bracketed(piece.text.strip()) if piece.expression else piece.text for piece in pieces).strip()


def _outside(kinds: tuple[type[nodes.Expr], ...]) -> Callable[[str], str]:
    """Return what puts brackets around all expressions but those of some kinds."""
    return lambda text: text if isinstance(parse(text)[0], kinds) else f"({text})"
