"""The most findings for one file: nobody reads more, and the time for a hostile file needs a bound."""

from __future__ import annotations

from collections.abc import Iterable

from sagadsl.diagnostics.findings import Finding, Severity

MAX_FINDINGS = 1000
"""The most errors, and also the most warnings, and the most notes."""

MORE = "SD017"
"""The code that stands for all further findings of a file."""


def first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the first thousand errors and warnings; if there are more, add a finding at the place of the next one.

    It reads only one error more than that. But it reads all warnings, because a file with nothing else is good.
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
    """Whether *findings* has every error. If some are left out, no further stage judges the file."""
    return not any(each.code == MORE and each.severity is Severity.ERROR for each in findings)


def _more(at: Finding, severity: Severity) -> Finding:
    return Finding(
        MORE,
        f"there are more mistakes; only the first {MAX_FINDINGS:,} errors and {MAX_FINDINGS:,} warnings are shown",
        at.route,
        severity=severity,
        help="correct those, and check again: one cause often makes many",
        at_key=at.at_key,
    )
