"""Translates between the language server protocol and our own: lines and UTF-16 to offsets, findings to diagnostics."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lsprotocol import types as lsp

from sagadsl.diagnostics.findings import Severity
from sagadsl.editing.completion import Proposal, What
from sagadsl.editing.outline import OutlineEntry
from sagadsl.editing.source import Edit, FindingHere, Range, Source
from sagadsl.later import compiled_later
from sagadsl.reporting.excerpt import locate

_BREAK = compiled_later("\r\n|\n|\r")  # the protocol knows no other ends of a line; YAML does
_UNITS = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_WIDTH = {"utf-8": 1, "utf-16": 2, "utf-32": 4}
_SEVERITIES = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
    Severity.NOTE: lsp.DiagnosticSeverity.Information,
}
_KINDS = {
    What.STEP: lsp.CompletionItemKind.Reference,
    What.FIELD: lsp.CompletionItemKind.Field,
    What.NAME: lsp.CompletionItemKind.Variable,
    What.FILTER: lsp.CompletionItemKind.Function,
    What.TEST: lsp.CompletionItemKind.Operator,
    What.KEY: lsp.CompletionItemKind.Property,
    What.ACTIVITY: lsp.CompletionItemKind.Function,
    What.SAGA: lsp.CompletionItemKind.Module,
    What.VALUE: lsp.CompletionItemKind.EnumMember,
}


class TextLines:
    """The lines of a text as the protocol counts them.

    Args:
        encoding: What it counts in a line: ``utf-16`` unless both sides agree on another.
    """

    def __init__(self, text: str, encoding: str = "utf-16") -> None:
        self._bom = int(text.startswith("\ufeff"))
        self._text = text.removeprefix("\ufeff")
        self._starts = (0, *(found.end() for found in _BREAK.finditer(self._text)))
        self._encoding = encoding

    def offset(self, position: lsp.Position) -> int:
        """Return the offset of a position; one behind the end of its line is at its end."""
        if position.line >= len(self._starts):
            return len(self._text)
        line = self._line(position.line)
        units = position.character - (self._bom if position.line == 0 else 0) * self._units("\ufeff")
        cut = line.encode(_UNITS[self._encoding], "surrogatepass")[: max(units, 0) * _WIDTH[self._encoding]]
        return self._starts[position.line] + len(cut.decode(_UNITS[self._encoding], "ignore"))

    def position(self, offset: int) -> lsp.Position:
        """Return the position of an offset."""
        number = bisect_right(self._starts, offset) - 1
        units = self._units(self._text[self._starts[number] : offset])
        return lsp.Position(number, units + (self._bom if number == 0 else 0) * self._units("\ufeff"))

    def range(self, place: Range) -> lsp.Range:
        """Return the range of a part of the text."""
        return lsp.Range(self.position(place.start), self.position(place.end))

    def part(self, place: lsp.Range) -> Range:
        """Return the part of the text that a range is."""
        return Range(self.offset(place.start), self.offset(place.end))

    def _line(self, number: int) -> str:
        end = self._starts[number + 1] if number + 1 < len(self._starts) else len(self._text)
        return self._text[self._starts[number] : end].rstrip("\r\n")

    def _units(self, text: str) -> int:
        return len(text.encode(_UNITS[self._encoding], "surrogatepass")) // _WIDTH[self._encoding]


def path_of(uri: str) -> Path | None:
    """Return the file of a URI; ``None`` if it is none."""
    parts = urlsplit(uri)
    return Path(unquote(parts.path)).resolve() if parts.scheme == "file" else None


def diagnostic(source: Source, lines: TextLines, problem: FindingHere, uri: str) -> lsp.Diagnostic:
    """Return a finding as a diagnostic: its message, help and notes, and the other places that explain it."""
    finding, document = problem.finding, problem.document
    text = [finding.message]
    text += [f"help: {line}" for line in finding.help.splitlines()]
    text += [f"note: {line}" for line in finding.notes]
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(uri, lines.range(source.range(locate(document, route, at_key=True)))), label
        )
        for route, label in finding.related
    ]
    return lsp.Diagnostic(
        range=lines.range(source.place_of(problem)),
        message="\n".join(text),
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        source="sagadsl",
        related_information=related or None,
    )


def completion_item(lines: TextLines, found: Proposal) -> lsp.CompletionItem:
    """Return a proposal as an item of a completion."""
    text = found.documentation
    return lsp.CompletionItem(
        label=found.label,
        kind=_KINDS[found.what],
        detail=found.detail or None,
        documentation=lsp.MarkupContent(lsp.MarkupKind.Markdown, text) if text else None,
        sort_text=f"{found.rank + 1:04}{found.label}",
        filter_text=found.text,
        text_edit=lsp.TextEdit(lines.range(found.range), found.text),
    )


def symbol(lines: TextLines, entry: OutlineEntry) -> lsp.DocumentSymbol:
    """Return a line of an outline as a symbol."""
    kind = lsp.SymbolKind.Function if entry.is_step else lsp.SymbolKind.Module
    return lsp.DocumentSymbol(
        name=entry.name,
        detail=entry.detail,
        kind=kind,
        range=lines.range(entry.range),
        selection_range=lines.range(entry.name_range),
        children=[symbol(lines, each) for each in entry.inside],
    )


def workspace_edit(edits: Iterable[Edit], texts: dict[Path, TextLines]) -> lsp.WorkspaceEdit:
    """Return changes of files as one change of the workspace."""
    changes: dict[str, list[lsp.TextEdit]] = {}
    for each in edits:
        path = each.path.resolve()
        changes.setdefault(path.as_uri(), []).append(lsp.TextEdit(texts[path].range(each.range), each.text))
    return lsp.WorkspaceEdit(changes=changes)
