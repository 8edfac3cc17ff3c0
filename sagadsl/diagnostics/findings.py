"""Findings: the mistakes that the tool reports to an author. It imports nothing of the other layers."""

from __future__ import annotations

from enum import Enum

from sagadsl.immutable import Immutable

Route = tuple[str | int, ...]
"""Keys and indices from the root of the document, e.g. ``("steps", 2, "timeouts")``."""


class Severity(Enum):
    """How bad a finding is. Only errors make a definition unusable; a note says what no check can judge."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Finding(Immutable):
    """One problem in one place, before anyone has looked up that place in the file.

    A finding names a *route*. Only :mod:`sagadsl.reporting.report` turns routes into
    ``file:line:col`` and carets, so that checks stay pure and tests stay short.

    Attributes:
        code: Stable code, ``SD`` and three digits; ``CODES`` lists all of them.
        message: What is wrong, with the value in backticks; lower case, no full stop.
        route: The place; a route that does not exist points at its nearest ancestor.
        severity: ``ERROR`` by default.
        help: What to type instead.
        notes: Facts that explain the finding, one a line.
        label: The words beside the caret.
        at_key: Underline the mapping key instead of the value.
        focus: A part of the scalar's text to underline, e.g. a name inside ``{{ }}``.
        nth: How often the focus stands in the text before the place that is meant.
        step: Id of the step that the place belongs to, if there is one.
        related: Other places that explain the finding, each with its label.
        fix: Text that can safely replace the underlined span, if there is one.
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
    nth: int = 0
