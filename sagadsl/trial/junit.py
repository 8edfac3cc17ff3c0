"""Results of suites as JUnit XML, in the form that CI systems read."""

from __future__ import annotations

from collections.abc import Sequence

from sagadsl.reporting.xml import attribute, content
from sagadsl.trial.judge import Miss
from sagadsl.trial.runner import Result


def junit(results: Sequence[Result]) -> str:
    """Return the document: a ``testsuite`` a file, a ``testcase`` a case."""
    by_file: dict[str, list[Result]] = {}
    for result in results:
        by_file.setdefault(result.suite.document.name, []).append(result)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<testsuites {_counts(results)}>"]
    for name, cases in by_file.items():
        lines.append(f"  <testsuite name={attribute(name)} {_counts(cases)}>")
        for case in cases:
            head = f"name={attribute(case.name)} classname={attribute(name)} time={_seconds(case.elapsed)}"
            inner = _inner(case)
            lines.append(f"    <testcase {head}>{inner}</testcase>" if inner else f"    <testcase {head}/>")
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _counts(results: Sequence[Result]) -> str:
    failed = sum(bool(each.misses) for each in results)
    skipped = sum(bool(each.unplayed) for each in results)
    took = sum(each.elapsed for each in results)
    return f'tests="{len(results)}" failures="{failed}" errors="0" skipped="{skipped}" time={_seconds(took)}'


def _inner(result: Result) -> str:
    if result.unplayed:
        return f"<skipped message={attribute(result.unplayed)}/>"
    if not result.misses:
        return ""
    first = result.misses[0]
    text = "\n".join(map(sentence, result.misses))
    return f"<failure type={attribute(first.what)} message={attribute(sentence(first))}>{content(text)}</failure>"


def sentence(miss: Miss) -> str:
    """Return what was missed on one line."""
    return f"{miss.what}: expected {miss.expected}, got {miss.found}"


def _seconds(value: float) -> str:
    return f'"{value:.6f}"'
