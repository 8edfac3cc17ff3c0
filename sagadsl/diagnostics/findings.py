"""What the tool tells an author: findings and the codes they carry. Imports nothing of ours."""

from __future__ import annotations

from enum import Enum

from sagadsl.immutable import Immutable

Route = tuple[str | int, ...]
"""Keys and indices from the document root, e.g. ``("steps", 2, "timeouts")``."""


class Severity(Enum):
    """How bad a finding is. Only errors make a definition unusable."""

    ERROR = "error"
    WARNING = "warning"


class Finding(Immutable):
    """One problem in one place, before anyone has looked up where that place is.

    A finding names a *route*; only :mod:`sagadsl.reporting.report` turns routes into
    ``file:line:col`` and carets. So checks stay pure and tests stay short.

    Attributes:
        code: Stable code, ``SD`` and three digits; listed in ``CODES``.
        message: What is wrong, with the value in backticks; lower case, no full stop.
        route: The place; a route that does not exist points at its nearest ancestor.
        severity: ``ERROR`` unless said otherwise.
        help: What to type instead.
        notes: Facts that explain the finding, one a line.
        label: The words beside the caret.
        at_key: Underline the mapping key instead of the value.
        focus: A part of the scalar's text to underline, e.g. a name inside ``{{ }}``.
        step: Id of the step the place belongs to, when there is one.
        related: Other places that explain the finding, each with its label.
        fix: Replacement text for the underlined span, when one is safe.
    """

    code: str
    message: str
    route: Route
    severity: Severity = Severity.ERROR
    help: str = ""
    notes: tuple[str, ...] = ()
    label: str = ""
    at_key: bool = False
    focus: str = ""
    step: str = ""
    related: tuple[tuple[Route, str], ...] = ()
    fix: str | None = None
