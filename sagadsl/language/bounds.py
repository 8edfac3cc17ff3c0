"""The most findings for one file: nobody reads more, and the time for a hostile file needs a bound."""

from __future__ import annotations

from collections.abc import Iterable

from sagadsl.diagnostics.findings import Finding, Severity

MAX_FINDINGS = 1000
"""Errors, and as many warnings."""

MORE = "SD017"
"""Stands for all that is not told of a file."""


def first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the first thousand errors and warnings, and one that says so where the first of the others is.

    It asks for no more than one error beyond. Warnings are read to their end: a file that has nothing else is good.
    """
    kept: list[Finding] = []
    room = dict.fromkeys(Severity, MAX_FINDINGS)
    left: Finding | None = None
    worst = Severity.WARNING
    for finding in findings:
        if finding.code != MORE and room[finding.severity]:
            room[finding.severity] -= 1
            kept.append(finding)
            continue
        left = left or finding
        if finding.severity is Severity.ERROR:
            worst = Severity.ERROR
            if not room[Severity.ERROR]:
                break
    return kept if left is None else [*kept, _more(left, worst)]


def are_all(findings: Iterable[Finding]) -> bool:
    """Whether every error is told; a file of which some are not is judged no further."""
    return not any(each.code == MORE and each.severity is Severity.ERROR for each in findings)


def _more(at: Finding, severity: Severity) -> Finding:
    return Finding(
        MORE,
        f"there are more mistakes here than the first {MAX_FINDINGS:,} of each kind, which alone are told",
        at.route,
        severity=severity,
        help="mend those, and check again: one cause often makes many",
        at_key=at.at_key,
    )
