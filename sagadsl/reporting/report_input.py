"""The input of a report: files with their findings, in order, and the summary that counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.immutable import Immutable
from sagadsl.language.document import Document, Span
from sagadsl.language.model import ActivityCall, Saga
from sagadsl.reporting.excerpt import locate


class Checked(Protocol):
    """One file after all stages; ``load`` returns such objects."""

    @property
    def document(self) -> Document: ...

    @property
    def findings(self) -> Sequence[Finding]: ...

    @property
    def saga(self) -> Saga | None:
        """The model, if the file is good enough to have one. Reports only count it."""


class ReportInput(Immutable):
    """The findings to report, and how to report them."""

    results: Sequence[Checked]
    unplaced: Sequence[Finding]
    color: bool
    elapsed_ms: int | None


def in_order(result: Checked) -> list[Finding]:
    """Return the findings of one file in its order, without repetitions (an alias may repeat a finding)."""
    placed: dict[tuple[Span, str, str], Finding] = {}
    for finding in result.findings:
        span = span_of(result.document, finding)
        placed.setdefault((span, finding.code, finding.message), finding)
    return [placed[key] for key in sorted(placed)]


def summary(results: Sequence[Checked], unplaced: Sequence[Finding] = (), elapsed_ms: int | None = None) -> str:
    """Return the last line: how many errors and warnings there are, or how many sagas, steps and activities."""
    took = "" if elapsed_ms is None else f" ({elapsed_ms} ms)"
    found = [finding for result in results for finding in in_order(result)] + list(unplaced)
    errors = sum(finding.severity is Severity.ERROR for finding in found)
    files = _count(len(results), "file")
    if found:
        counts = [_count(errors, "error")] * bool(errors)
        counts += [_count(len(found) - errors, "warning")] * (errors < len(found))
        return f"{', '.join(counts)} in {files}{took}"
    sagas = [result.saga for result in results if result.saga is not None]
    steps = [place.step for saga in sagas for place in saga.places.values()]
    activities = {step.body.activity for step in steps if isinstance(step.body, ActivityCall)}
    activities |= {
        action.call.activity
        for step in steps
        for action in (step.compensation.actions if step.compensation else ())
        if isinstance(action.call, ActivityCall)
    }
    counts = [_count(len(sagas), "saga"), _count(len(steps), "step")]
    counts.append(f"{len(activities)} {'activity' if len(activities) == 1 else 'activities'}")
    return f"✓ {', '.join(counts)} — ok{took}" if sagas else f"✓ {files} — ok{took}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def span_of(document: Document, finding: Finding) -> Span:
    """Return the place of a finding in its file."""
    return locate(document, finding.route, at_key=finding.at_key, focus=finding.focus)
