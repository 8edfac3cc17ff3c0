"""Why a text is not an expression of the language. Replay-critical."""

from __future__ import annotations

from sagadsl.immutable import Immutable
from sagadsl.language.expressions.data import Path

MAX_BRACKETS = 20
"""The most brackets within brackets; Jinja2's parser needs 14 stack frames for each."""


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


class Unparsable(Exception):
    """A text is not an expression: ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


def too_deep() -> Problem:
    """Return the problem of an expression with too much inside of each other."""
    return Problem(
        "the expression is nested too deeply", "compute a part of it in a `set` step first, and use that step's output"
    )
