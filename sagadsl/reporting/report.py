"""Findings -> what a person or a machine reads. The only place that turns routes into lines.

Decides neither what is wrong nor which exit code that means; prints nothing itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote

from sagadsl.diagnostics.codes import CODES
from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.frozen import frozen
from sagadsl.language import syntax
from sagadsl.language.document import Document, Span, is_place
from sagadsl.language.model import ActivityCall, Saga
from sagadsl.language.raw_steps import STEP_LISTS
from sagadsl.reporting.excerpt import Mark, clean, draw, locate

SCHEMA_VERSION = 1
"""Of the JSON format. Grows when something is renamed or removed, not when something is added."""


class Checked(Protocol):
    """One file after all stages; ``load`` returns such things."""

    @property
    def document(self) -> Document: ...

    @property
    def findings(self) -> Sequence[Finding]: ...

    @property
    def saga(self) -> Saga | None:
        """The model, when the file is good enough to have one; it is only counted."""


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
        results: The files, in the order in which they are to be reported.
        unplaced: Findings about no file, e.g. a plugin that cannot be imported.
        color: Use ANSI colours in ``text`` and ``concise``; whether to is the caller's decision.
        elapsed_ms: How long checking took; ``None`` leaves it out, so that equal findings give equal reports.
    """
    return FORMATS[format](_Given(results, unplaced, color, elapsed_ms))


@frozen
class _Given:
    results: Sequence[Checked]
    unplaced: Sequence[Finding]
    color: bool
    elapsed_ms: int | None


def in_order(result: Checked) -> list[Finding]:
    """Return the findings of one file as they stand in it, each once (an alias may repeat one)."""
    placed: dict[tuple[Span, str, str], Finding] = {}
    for finding in result.findings:
        span = _span(result.document, finding)
        placed.setdefault((span, finding.code, finding.message), finding)
    return [placed[key] for key in sorted(placed)]


def summary(results: Sequence[Checked], unplaced: Sequence[Finding] = (), elapsed_ms: int | None = None) -> str:
    """Return the last line: how many errors and warnings, or how much was found good."""
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


def _span(document: Document, finding: Finding) -> Span:
    return locate(document, finding.route, at_key=finding.at_key, focus=finding.focus)


# text for people


_COLORS = {"error": "1;31", "warning": "1;33", "frame": "1;34", "title": "1", "help": "1;36"}


def _painter(color: bool) -> Callable[[str, str], str]:
    def paint(kind: str, text: str) -> str:
        return f"\x1b[{_COLORS[kind]}m{text}\x1b[0m" if color and text else text

    return paint


def _text(given: _Given) -> str:
    paint = _painter(given.color)
    blocks = ["\n".join(_block(None, finding, paint)) for finding in given.unplaced]
    found = list(given.unplaced)
    for result in given.results:
        ordered = in_order(result)
        blocks += ["\n".join(_block(result.document, finding, paint)) for finding in ordered]
        found += ordered
    last = summary(given.results, given.unplaced, given.elapsed_ms)
    if found:
        code = min(found, key=lambda finding: finding.severity is not Severity.ERROR).code
        last = f"more about a code: sagadsl explain {code}\n{last}"
    return "\n\n".join([*blocks, last])


def _block(document: Document | None, finding: Finding, paint: Callable[[str, str], str]) -> Iterator[str]:
    level = finding.severity.value
    yield paint(level, f"{level}[{finding.code}]") + paint("title", f": {clean(finding.message)}")
    gutter = 2
    if document is not None:
        span = _span(document, finding)
        marks = [Mark(span, "^", finding.label)]
        marks += [Mark(locate(document, route, at_key=True), "-", label) for route, label in finding.related]
        rows = draw(document, marks, context=finding.at_key)
        gutter = max(2, *(len(str(row.number)) for row in rows))
        yield f"{'':{gutter}}{paint('frame', '-->')} {clean(document.name)}:{span.line}:{span.column}"
        yield f"{'':{gutter}} {paint('frame', '|')}"
        for row in rows:
            number = paint("frame", f"{row.number or '':>{gutter}} |")
            text = paint(level if row.sign == "^" else "frame", row.text) if row.sign else row.text
            yield f"{number} {text}".rstrip()
    for word, lines in (("help", finding.help.splitlines()), ("note", finding.notes)):
        for line in lines:
            yield f"{'':{gutter}} {paint('frame', '=')} {paint('help', word)}: {clean(line)}"


def _concise(given: _Given) -> str:
    paint = _painter(given.color)
    lines = [_line("sagadsl", finding, paint) for finding in given.unplaced]
    for result in given.results:
        for finding in in_order(result):
            span = _span(result.document, finding)
            lines.append(_line(f"{clean(result.document.name)}:{span.line}:{span.column}", finding, paint))
    return "\n".join([*lines, summary(given.results, given.unplaced, given.elapsed_ms)])


def _line(where: str, finding: Finding, paint: Callable[[str, str], str]) -> str:
    level = finding.severity.value
    help = "; ".join(["", *(clean(line) for line in finding.help.splitlines()[:1])])
    return f"{where}: {paint(level, f'{level}[{finding.code}]')} {clean(finding.message)}{help}"


# formats for machines


def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415  # 20 ms that text for people need not pay

    return version("sagadsl")


@lru_cache(maxsize=8)
def _starts(text: str) -> tuple[int, ...]:
    """Return the offset of each line's first character."""
    return (0, *(found.end() for found in syntax.BREAK.finditer(text)))


def _point(document: Document, line: int, column: int) -> dict[str, int]:
    starts = _starts(document.text)
    number = max(1, min(line, len(starts)))
    return {"line": line, "column": column, "offset": min(starts[number - 1] + column - 1, len(document.text))}


def _range(document: Document, span: Span) -> dict[str, Any]:
    return {
        "start": _point(document, span.line, span.column),
        "end": _point(document, span.end_line, span.end_column),
    }


def _path(route: Route) -> str:
    """JSON Pointer to the value; of a mere place in the text, to what it lies in."""
    real = [key for key in route if not is_place((key,))]
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in real)


def _step(document: Document, finding: Finding) -> str:
    """Return the id of the innermost step around the place, if the check did not say it."""
    if finding.step:
        return finding.step
    data, step, keys = document.data, "", list(finding.route)
    for index, key in enumerate(keys):
        if isinstance(data, list) and isinstance(key, int) and 0 <= key < len(data):
            data = data[key]
            in_steps = keys[index - 1] in STEP_LISTS
            if in_steps and isinstance(data, dict) and isinstance(data.get("id"), str):
                step = data["id"]
        elif isinstance(data, dict) and key in data:
            data = data[key]
        else:
            break
    return step


def _item(document: Document | None, finding: Finding) -> dict[str, Any]:
    related = [
        {"message": label, "range": _range(document, locate(document, route, at_key=True))}
        for route, label in finding.related
        if document is not None
    ]
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "file": document.name if document else None,
        "range": _range(document, _span(document, finding)) if document else None,
        "path": _path(finding.route),
        "step": (_step(document, finding) if document else finding.step) or None,
        "label": finding.label,
        "related": related,
        "help": finding.help.splitlines(),
        "notes": list(finding.notes),
        "fix": {"replace": finding.fix, "safe": True} if finding.fix is not None else None,
        "url": f"docs/diagnostics/{finding.code}.md",
    }


def _items(given: _Given) -> list[dict[str, Any]]:
    items = [_item(None, finding) for finding in given.unplaced]
    return items + [_item(result.document, finding) for result in given.results for finding in in_order(result)]


def _json(given: _Given) -> str:
    items = _items(given)
    errors = sum(item["severity"] == "error" for item in items)
    counts: dict[str, Any] = {"files": len(given.results), "errors": errors, "warnings": len(items) - errors}
    if given.elapsed_ms is not None:
        counts["elapsed_ms"] = given.elapsed_ms
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "sagadsl", "version": _version()},
        "summary": counts,
        "files": [result.document.name for result in given.results],
        "findings": items,
    }
    return json.dumps(document, indent=2, ensure_ascii=True)


def _github(given: _Given) -> str:
    return "\n".join(_command(item) for item in _items(given))


def _command(item: dict[str, Any]) -> str:
    """One workflow command of GitHub Actions, which shows it beside the line of a pull request."""
    properties = {"title": f"sagadsl ({item['code']})"}
    if item["file"] is not None:
        start, end = item["range"]["start"], item["range"]["end"]
        properties |= {"file": item["file"], "line": start["line"], "col": start["column"], "endLine": end["line"]}
        if start["line"] == end["line"]:  # GitHub takes columns only of a single line
            properties["endColumn"] = end["column"]
    listed = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items())
    text = "\n".join([item["message"], *(f"  help: {line}" for line in item["help"])])
    return f"::{item['severity']} {listed}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    safe = "\n".join(map(clean, text.split("\n")))
    return "".join(f"%{ord(char):02X}" if char in f"%\n{more}" else char for char in safe)


def _sarif(given: _Given) -> str:
    """SARIF 2.1.0, for code scanning."""
    items = _items(given)
    codes = sorted({item["code"] for item in items})
    run = {
        "tool": {
            "driver": {
                "name": "sagadsl",
                "version": _version(),
                "rules": [_rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, codes.index(item["code"])) for item in items],
    }
    schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=True)


def _rule(code: str) -> dict[str, Any]:
    known = CODES.get(code)
    title, severity = (known.title, known.severity) if known else (code, Severity.ERROR)
    return {
        "id": code,
        "shortDescription": {"text": title},
        "help": {"text": f"`sagadsl explain {code}`"},
        "defaultConfiguration": {"level": severity.value},
    }


def _result(item: dict[str, Any], rule: int) -> dict[str, Any]:
    mark = "\0".join([item["file"] or "", item["code"], item["path"], item["message"]])
    result: dict[str, Any] = {
        "ruleId": item["code"],
        "ruleIndex": rule,
        "level": item["severity"],
        "message": {"text": "\n".join([item["message"], *item["help"]])},
        # Lines move when a file is edited; these do not, so that the same finding stays the same.
        "partialFingerprints": {"sagadslFinding/v1": hashlib.sha256(mark.encode("utf-8", "replace")).hexdigest()[:32]},
    }
    if item["file"] is not None:
        result["locations"] = [{"physicalLocation": _physical(item["file"], item["range"])}]
        result["relatedLocations"] = [
            {"physicalLocation": _physical(item["file"], place["range"]), "message": {"text": place["message"]}}
            for place in item["related"]
        ]
    return result


def _physical(file: str, place: dict[str, Any]) -> dict[str, Any]:
    start, end = place["start"], place["end"]
    return {
        "artifactLocation": {"uri": quote(file.replace("\\", "/"), errors="replace")},
        "region": {
            "startLine": start["line"],
            "startColumn": start["column"],
            "endLine": end["line"],
            "endColumn": end["column"],
        },
    }


FORMATS: dict[str, Callable[[_Given], str]] = {
    "text": _text,
    "concise": _concise,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
"""Every format by its name on the command line."""
