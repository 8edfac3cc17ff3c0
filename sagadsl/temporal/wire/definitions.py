"""Checks a definition that comes as data from anybody who may start workflows. Replay-critical.

Pure: knows nothing of Temporal. Every mistake in a definition becomes an ``InvalidDefinition``.
Any other exception would block the workflow for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.errors import SagadslError
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.build import build
from sagadsl.language.checks import expressions, names
from sagadsl.language.document import Document, Span
from sagadsl.language.model import Saga
from sagadsl.language.schema import definition

_NEEDED = (
    names.ids_used_twice,
    names.needs_of_no_sibling,
    names.needs_in_a_circle,
    names.activities_of_sagadsl_itself,
    expressions.expressions_that_cannot_be_read,
)
"""The checks that the engine relies on. The other checks are for authors, who may suppress them with a comment;
what those warn of becomes, if it happens, an error of its step."""

_SHOWN = 20
_NOWHERE: Mapping[Route, Span] = {(): Span(1, 1, 1, 1)}


class InvalidDefinition(SagadslError):
    """A definition that cannot run.

    Attributes:
        findings: One sentence each.
        is_newer: The definition says that it needs a newer release.
    """

    code: ClassVar[str] = "SD920"
    exit_code: ClassVar[int] = 1

    def __init__(self, findings: tuple[str, ...], *, is_newer: bool = False) -> None:
        super().__init__(findings)
        self.findings, self.is_newer = findings, is_newer

    def __str__(self) -> str:
        shown = "; ".join(self.findings[:_SHOWN])
        more = len(self.findings) - _SHOWN
        return shown + (f"; and {more} more" if more > 0 else "")


def checked(data: Any) -> Saga:
    """Return the model of *data*. Raises ``InvalidDefinition`` with everything that is wrong."""
    if not isinstance(data, dict):
        raise InvalidDefinition((f"a definition is an object, found {type(data).__name__}",))
    try:
        found = [finding for finding in definition.check(Document("", "", data, _NOWHERE)) if _stops(finding)]
        if not found:
            saga = build(data)
            found = [finding for finding in _semantics(saga) if _stops(finding)]
            if not found:
                return saga
    except Exception as error:  # a mistake that no check finds must fail the run, not its workflow task
        raise InvalidDefinition((f"{type(error).__name__}: {error}",)) from error
    raise InvalidDefinition(tuple(_sentence(finding) for finding in found))


def _semantics(saga: Saga) -> Iterator[Finding]:
    analysis = Analysis(saga)
    for check in _NEEDED:
        yield from check(analysis)


def _stops(finding: Finding) -> bool:
    return finding.severity is Severity.ERROR


def _sentence(finding: Finding) -> str:
    place = ""
    for part in finding.route:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return f"{finding.code} {place or 'definition'}: {finding.message}"
