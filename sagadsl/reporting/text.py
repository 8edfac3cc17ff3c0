"""Findings for people: ``text`` draws the place of each finding, ``concise`` has one line for each finding."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.document import Document
from sagadsl.language.notation.plain_text import clean
from sagadsl.language.suggest import counted
from sagadsl.reporting.excerpt import ExcerptMark, draw, locate
from sagadsl.reporting.report_input import ReportInput, in_order, span_of, summary

_COLORS = {"error": "1;31", "warning": "1;33", "frame": "1;34", "title": "1", "help": "1;36"}
_COLORS["note"] = _COLORS["help"]

_BY_WEIGHT = tuple(Severity)
_SHOWN = 3
"""The notes that are drawn: they say the same of many places, and must not hide what is wrong."""


def _painter(color: bool) -> Callable[[str, str], str]:
    def paint(kind: str, text: str) -> str:
        return f"\x1b[{_COLORS[kind]}m{text}\x1b[0m" if color and text else text

    return paint


def text(given: ReportInput) -> str:
    """Return each finding with a drawing of its place, and the summary as the last line."""
    paint = _painter(given.color)
    blocks = ["\n".join(_block(None, finding, paint, given.width)) for finding in given.unplaced]
    found = list(given.unplaced)
    notes = 0
    for document, finding in in_order(given.results):
        notes += finding.severity is Severity.NOTE
        if finding.severity is not Severity.NOTE or notes <= _SHOWN:
            blocks.append("\n".join(_block(document, finding, paint, given.width)))
        found.append(finding)
    if notes > _SHOWN:
        more = counted(notes - _SHOWN, "more note", "more notes")
        blocks.append(
            f"{paint('note', 'note')}: there {'is' if notes == _SHOWN + 1 else 'are'} {more}; "
            "`--format concise` shows all"
        )
    last = summary(given.results, given.unplaced, given.elapsed_ms)
    if found:
        code = min(found, key=lambda finding: _BY_WEIGHT.index(finding.severity)).code
        last = f"more about a code: sagadsl explain {code}\n{last}"
    return "\n\n".join([*blocks, last])


def _block(
    document: Document | None, finding: Finding, paint: Callable[[str, str], str], width: int | None
) -> Iterator[str]:
    level = finding.severity.value
    yield paint(level, f"{level}[{finding.code}]") + paint("title", f": {clean(finding.message)}")
    gutter = 2
    if document is not None:
        span = span_of(document, finding)
        marks = [ExcerptMark(span, "^", finding.label)]
        marks += [ExcerptMark(locate(document, route, at_key=True), "-", label) for route, label in finding.related]
        beside = 3 + max(2, *(len(str(mark.span.line)) for mark in marks))
        rows = draw(document, marks, context=finding.at_key, width=None if width is None else width - beside)
        gutter = max(2, *(len(str(row.number)) for row in rows))
        yield f"{'':{gutter}}{paint('frame', '-->')} {clean(document.name)}:{span.line}:{span.column}{_step(finding)}"
        yield f"{'':{gutter}} {paint('frame', '|')}"
        for row in rows:
            number = paint("frame", f"{row.number or '':>{gutter}} |")
            text = paint(level if row.sign == "^" else "frame", row.text) if row.sign else row.text
            yield f"{number} {text}".rstrip()
    for word, lines in (("help", finding.help.splitlines()), ("note", finding.notes)):
        for line in lines:
            yield f"{'':{gutter}} {paint('frame', '=')} {paint('help', word)}: {clean(line)}"


def _step(finding: Finding) -> str:
    """Return words that name the step of a finding whose message does not."""
    is_named = not finding.step or f"`{finding.step}`" in finding.message
    return "" if is_named else f" in step `{clean(finding.step)}`"


def _aside(finding: Finding) -> str:
    named = _step(finding)
    return f" ({named.strip()})" if named else ""


def concise(given: ReportInput) -> str:
    """Return one line for each finding, and the summary as the last line."""
    paint = _painter(given.color)
    lines = [_line("sagadsl", finding, paint) for finding in given.unplaced]
    for document, finding in in_order(given.results):
        span = span_of(document, finding)
        lines.append(_line(f"{clean(document.name)}:{span.line}:{span.column}", finding, paint))
    return "\n".join([*lines, summary(given.results, given.unplaced, given.elapsed_ms)])


def _line(where: str, finding: Finding, paint: Callable[[str, str], str]) -> str:
    level = finding.severity.value
    help = "; ".join(["", *(clean(line) for line in finding.help.splitlines()[:1])])
    return f"{where}: {paint(level, f'{level}[{finding.code}]')} {clean(finding.message)}{_aside(finding)}{help}"
