"""The complaints of inference about an expression, and what inference has to know about an expression's place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from sagadsl.diagnostics.findings import Severity
from sagadsl.immutable import Immutable
from sagadsl.language.analysis.types import Shape
from sagadsl.language.expressions.code import Chain
from sagadsl.language.expressions.data import Path

UNKNOWN_NAME = "SD302"
UNKNOWN_FIELD = "SD306"
MAY_BE_MISSING = "SD307"
WRONG_TYPE = "SD309"
NEVER_COMPUTED = "SD310"

Guards = tuple[tuple[str, ...], ...]


class Complaint(Immutable):
    """One mistake in an expression.

    Attributes:
        path: The place of the text in the value.
        focus: The part of the text that is wrong.
        steps: Ids of steps that explain the mistake, each with the words about it.
    """

    code: str
    message: str
    help: str = ""
    severity: Severity = Severity.ERROR
    focus: str = ""
    path: Path = ()
    notes: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


class NamesOfPlace(Protocol):
    """The names of one place."""

    def names(self) -> Mapping[str, Shape]:
        """The first names of chains, with their shapes. ``steps`` is one of them, but nobody asks for its shape."""

    def absent(self, name: str) -> str:
        """Suggest what an unknown first name was meant to be; empty when there is no suggestion."""

    def step(self, chain: Chain, soft: bool) -> tuple[Shape, int, tuple[Complaint, ...]]:
        """Judge a chain that begins with ``steps``. Return a shape, the number of keys it covers, and complaints."""

    def near(self, word: str, names: Iterable[str]) -> str | None:
        """Return the name of *names* that a misspelt *word* most likely stands for."""

    def null_code(self, label: str) -> str:
        """Return the code of the complaint when an expression reads a field of *label*, and *label* may be null."""
