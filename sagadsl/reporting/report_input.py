"""The input of a report: files with their findings, in order, and the summary that counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.immutable import Immutable
from sagadsl.language.bounds import first
from sagadsl.language.document import Document, Span
from sagadsl.language.loaded import Size
from sagadsl.reporting.excerpt import locate


class Checked(Protocol):
    """One definition or suite after all stages; ``load`` returns such objects."""

    @property
    def document(self) -> Document: ...

    @property
    def findings(self) -> Sequence[Finding]: ...

    @property
    def size(self) -> Size | None:
        """How large its saga is, if the file is good enough to have one."""


class ReportInput(Immutable):
    """The findings to report, and how to report them; *width* is that of the screen, if there is one."""

    results: Sequence[Checked]
    unplaced: Sequence[Finding]
    color: bool
    elapsed_ms: int | None
    width: int | None = None


class Placed(NamedTuple):
    """A finding with its document, which may be one of several in its file."""

    document: Document
    finding: Finding


def in_order(results: Sequence[Checked]) -> list[Placed]:
    """Return the findings file by file, in the order of each, without repetitions.

    An alias may repeat a finding, and so may what several sagas of a file share. Of very many in one file, the first
    ones are kept.
    """
    files: dict[str, dict[tuple[Span, str, str], Placed]] = {}
    for result in results:
        placed = files.setdefault(result.document.name, {})
        for finding in result.findings:
            span = span_of(result.document, finding)
            placed.setdefault((span, finding.code, finding.message), Placed(result.document, finding))
    return [each for placed in files.values() for each in _first([placed[key] for key in sorted(placed)])]


def _first(found: list[Placed]) -> list[Placed]:
    documents = {id(each.finding): each.document for each in found}
    kept = first(each.finding for each in found)
    if len(kept) == len(found):
        return found
    shown = set(map(id, kept))
    beyond = next(each.document for each in found if id(each.finding) not in shown)
    return [Placed(documents.get(id(finding), beyond), finding) for finding in kept]


def summary(results: Sequence[Checked], unplaced: Sequence[Finding] = (), elapsed_ms: int | None = None) -> str:
    """Return the last line: how many errors and warnings there are, or how many sagas, steps and activities."""
    took = "" if elapsed_ms is None else f" ({elapsed_ms} ms)"
    found = [each.finding for each in in_order(results)] + list(unplaced)
    errors = sum(finding.severity is Severity.ERROR for finding in found)
    files = _count(len({result.document.name for result in results}), "file")
    warnings = sum(finding.severity is Severity.WARNING for finding in found)
    if errors or warnings:
        counts = [_count(errors, "error")] * bool(errors) + [_count(warnings, "warning")] * bool(warnings)
        return f"{', '.join(counts)}{f' in {files}' if results else ''}{took}"
    sagas = [result.size for result in results if result.size is not None]
    activities = {name for size in sagas for name in size.activities}
    counts = [_count(len(sagas), "saga"), _count(sum(size.steps for size in sagas), "step")]
    counts.append(f"{len(activities)} {'activity' if len(activities) == 1 else 'activities'}")
    return f"✓ {', '.join(counts)} — ok{took}" if sagas else f"✓ {files} — ok{took}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def span_of(document: Document, finding: Finding) -> Span:
    """Return the place of a finding in its file."""
    return locate(document, finding.route, at_key=finding.at_key, focus=finding.focus, nth=finding.nth)
