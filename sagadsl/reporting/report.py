"""Turns findings into a report for people or machines. No other module turns routes into lines.

It does not decide what is wrong or which exit code that means, and prints nothing itself. Each form of output
is a module beside this one, and a row in ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sagadsl.diagnostics.findings import Finding
from sagadsl.reporting.github import github
from sagadsl.reporting.gitlab import gitlab
from sagadsl.reporting.junit import junit
from sagadsl.reporting.machine_json import as_json
from sagadsl.reporting.report_input import Checked, ReportInput
from sagadsl.reporting.sarif import sarif
from sagadsl.reporting.text import concise, text

FORMATS: Mapping[str, Callable[[ReportInput], str]] = {
    "text": text,
    "concise": concise,
    "json": as_json,
    "github": github,
    "sarif": sarif,
    "gitlab": gitlab,
    "junit": junit,
}
"""Each form of output, by the name that ``--format`` takes."""


def render(
    format: str,
    results: Sequence[Checked],
    *,
    unplaced: Sequence[Finding] = (),
    color: bool = False,
    elapsed_ms: int | None = None,
) -> str:
    """Return the report, without a final line break; empty when the format has nothing to say.

    Args:
        format: One of ``FORMATS``.
        results: The files, in the order of the report.
        unplaced: Findings that belong to no file, e.g. a plugin that cannot be imported.
        color: Use ANSI colours in ``text`` and ``concise``; the caller decides.
        elapsed_ms: How long the checks took; with ``None`` the report omits it, so that equal findings give equal
            reports.
    """
    return FORMATS[format](ReportInput(results, unplaced, color, elapsed_ms))
