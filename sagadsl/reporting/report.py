"""Turns findings into a report for people or machines. No other module turns routes into lines.

It does not decide what is wrong or which exit code that means, and prints nothing itself. Each form of output
is a module beside this one, and a row in ``FORMATS``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module

from sagadsl.diagnostics.findings import Finding
from sagadsl.reporting.report_input import Checked, ReportInput

FORMATS: Mapping[str, str] = {
    "text": "text:text",
    "concise": "text:concise",
    "json": "machine_json:as_json",
    "github": "github:github",
    "sarif": "sarif:sarif",
    "gitlab": "gitlab:gitlab",
    "junit": "junit:junit",
}
"""Each form of output, by the name that ``--format`` takes: its module beside this one, and its function.

A check imports one of them: what those for other programs need would double the time until a person sees an answer.
"""


def render(
    format: str,
    results: Sequence[Checked],
    *,
    unplaced: Sequence[Finding] = (),
    color: bool = False,
    elapsed_ms: int | None = None,
    width: int | None = None,
) -> str:
    """Return the report, without a final line break; empty when the format has nothing to say.

    Args:
        format: One of ``FORMATS``.
        results: The files, in the order of the report.
        unplaced: Findings that belong to no file, e.g. a plugin that cannot be imported.
        color: Use ANSI colours in ``text`` and ``concise``; the caller decides.
        elapsed_ms: How long the checks took; with ``None`` the report omits it, so that equal findings give equal
            reports.
        width: How wide the screen is on which ``text`` draws; ``None`` for a file.
    """
    module, function = FORMATS[format].split(":")
    report = getattr(import_module(f"sagadsl.reporting.{module}"), function)
    return str(report(ReportInput(results, unplaced, color, elapsed_ms, width)))
