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

Guards = tuple[tuple[str, ...], ...]


class Complaint(Immutable):
    """Something wrong with an expression.

    Attributes:
        path: Where in the value the text stands.
        focus: The part of the text that it is about.
        steps: Ids of steps that explain it, each with what to say of it.
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
        """The first names of chains, with their shapes; ``steps`` among them, whose shape nobody asks for."""

    def absent(self, name: str) -> str:
        """Say what an unknown first name may have meant; empty when nothing comes to mind."""

    def step(self, chain: Chain, soft: bool) -> tuple[Shape, int, tuple[Complaint, ...]]:
        """Judge a chain that begins with ``steps``; return a shape, how many of its keys it took, and complaints."""

    def near(self, word: str, names: Iterable[str]) -> str | None:
        """Return the name that a misspelt one most likely stands for."""

    def null_code(self, label: str) -> str:
        """The code to complain with when a field of *label* is read and it may be null."""
