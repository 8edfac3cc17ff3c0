"""Plain JSON-like data of a file, with the place of every value in its text. It knows nothing of sagas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.immutable import Immutable, field
from sagadsl.language import syntax


class Span(NamedTuple):
    """A half-open range in the source. Lines and columns count from 1, in code points."""

    line: int
    column: int
    end_line: int
    end_column: int


class OneOfMany(Immutable):
    """How a document lies in a file that has several of them.

    Attributes:
        prefix: The route in the file to what is this document's own; its last key is the document's name.
        shared: Routes whose values, and all below them, stand at the top of the file for all of its documents.
        lines: The first and the last line of its own part.
        of_all: The same for the parts of all documents.
    """

    prefix: Route
    shared: frozenset[Route]
    lines: tuple[int, int]
    of_all: tuple[int, int]

    def is_shared(self, route: Route) -> bool:
        return route in self.shared or route[:1] in self.shared or route[:2] in self.shared

    def from_file(self, route: Route) -> Route | None:
        """Return the route in the document to what *route* leads to in the file; ``None`` if it is not in it."""
        if route[: len(self.prefix)] == self.prefix:
            return route[len(self.prefix) :]
        return route if self.is_shared(route) else None


class Document(Immutable):
    """A parsed file, or one document of a file that has several.

    Attributes:
        name: The reader's name for the file, usually its path.
        text: The source, without a byte-order mark.
        data: Dicts with text keys, lists, text, numbers, booleans, ``None``. If it is not a
            dict, there is nothing more to check, and findings say why.
        spans: The place of each value, by its route. A place that is not the place of a value (a
            syntax error, the second of two equal keys) has a route that no value can have.
        keys: The place of the *key* of each entry of a mapping. A finding underlines the key if the
            key is unknown, and the value if the value is bad.
        part: How it lies in its file, if it is one document of several; the text is that of the whole file.
    """

    name: str
    text: str
    data: Any = None
    spans: Mapping[Route, Span] = field(default_factory=dict)
    keys: Mapping[Route, Span] = field(default_factory=dict)
    part: OneOfMany | None = None

    @property
    def address(self) -> str:
        """Its name; for one document of several, with its own name: ``orders.saga.yaml#refund``."""
        return self.name if self.part is None else f"{self.name}#{self.part.prefix[-1]}"

    def in_file(self, route: Route) -> Route:
        """Return the route in the file to what *route* leads to in this document."""
        return route if self.part is None or self.part.is_shared(route) else (*self.part.prefix, *route)

    def source(self, route: Route) -> str:
        """Return the value at *route* exactly as written, quotes included; empty when unknown."""
        span = self.spans.get(route)
        if span is None:
            return ""
        lines = list(syntax.lines(self.text)[span.line - 1 : span.end_line])
        if not lines:
            return ""
        lines[-1] = lines[-1][: span.end_column - 1 if span.end_line > span.line or len(lines) == 1 else None]
        lines[0] = lines[0][span.column - 1 :]
        return "\n".join(lines)

    def nearest(self, route: Route) -> Route:
        """Return *route*, or its nearest ancestor that has a place in the file."""
        while route and route not in self.spans:
            route = route[:-1]
        return route

    def span_of(self, finding: Finding) -> Span:
        """Return the place of a finding; if its route has no place, the place of the nearest ancestor."""
        spans = self.keys if finding.at_key and finding.route in self.keys else self.spans
        return spans.get(finding.route) or self.spans[self.nearest(finding.route)]

    def position(self, finding: Finding) -> tuple[Span, str, str]:
        """Return the sort key of a finding: its place in the file, then its code and message."""
        return self.span_of(finding), finding.code, finding.message


def parse(data: bytes | str, name: str = "<text>") -> tuple[Document, tuple[Finding, ...]]:
    """Parse one YAML document. It never raises for bad input, but returns findings."""
    from sagadsl.language.reading import read  # noqa: PLC0415 # PyYAML takes 7 ms, and a report needs places alone

    return read(data, name)


def is_place(route: Route) -> bool:
    """Whether *route* stands for a mere place in the text, and does not lead to a value."""
    return bool(route) and isinstance(route[-1], int) and route[-1] < 0
