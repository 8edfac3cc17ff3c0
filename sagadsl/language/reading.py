"""Parses YAML text into plain JSON-like data, and remembers the place of every value.

Scalars follow the core schema of YAML 1.2. Values that JSON cannot represent are refused.
It never raises for bad input, and is bounded in time, memory and depth for hostile input.
It knows nothing of sagas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language import syntax
from sagadsl.language.bounds import MAX_FINDINGS, first
from sagadsl.language.document import Document, Span
from sagadsl.language.notation.scalars import resolved
from sagadsl.language.syntax import MAX_DEPTH, MAX_KEY, SyntaxRefused
from sagadsl.later import compiled_later

MAX_BYTES = 1024 * 1024
MAX_EXPANDED = 100_000
"""The most values that aliases may add to a file; ten levels of ten aliases would add ten thousand million."""

_MAX_REREAD = 4 * MAX_BYTES
"""The most bytes to read again: each repair reads the text once more. A file of usual size can have hundreds."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is thirteen times faster
_PROPERTIES = compiled_later(r"(?:[&!]\S*\s+)+")


def read(data: bytes | str, name: str) -> tuple[Document, tuple[Finding, ...]]:
    """Parse one YAML document. It never raises for bad input, but returns findings."""
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = f"the file has {size:,} bytes; at most {MAX_BYTES:,} are read"
        return _give_up(name, "", [SyntaxRefused("SD010", message, help="split the saga, or move data out of it")])
    try:
        text = syntax.decode(data) if isinstance(data, bytes) else data
    except SyntaxRefused as refused:
        return _give_up(name, str(data, "utf-8", "replace"), [refused])  # type: ignore[arg-type]  # only bytes come here
    return _Reader(name, text.removeprefix("\ufeff")).read()


def _give_up(name: str, text: str, problems: list[SyntaxRefused]) -> tuple[Document, tuple[Finding, ...]]:
    spans: dict[Route, Span] = {(): Span(1, 1, 1, 1)}
    findings = []
    for number, problem in enumerate(problems, 1):
        spans[(-number,)] = _span_of(text, problem.start, problem.end)
        findings.append(problem.finding((-number,)))
    return Document(name, text, None, spans), tuple(findings)


def _span_of(text: str, start: int, end: int) -> Span:
    lines = syntax.lines(text[:start])
    line, column = len(lines), len(lines[-1]) + 1
    more = syntax.lines(text[start : max(end, start)])
    return Span(line, column, line + len(more) - 1, (column if len(more) == 1 else 1) + len(more[-1]))


class _Node(Struct):
    """One value as written. It knows no route, because aliases share it.

    Attributes:
        value: Text, a list of nodes, or a tuple of pairs of nodes for a mapping.
        start: PyYAML's mark of its first character; ``end`` is the mark after its last one.
        size: Number of values in it, including those that aliases add.
        height: Number of levels below it.
        plain: It is text without quotes, so it may be a number.
        problem: Why the document cannot use it.
    """

    value: Any
    start: Any
    end: Any
    size: int = 1
    height: int = 0
    plain: bool = False
    problem: SyntaxRefused | None = None


class _Reader:
    """Reads one text: turns events into nodes, and nodes into data with tables of places."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        self.spans: dict[Route, Span] = {}
        self.keys: dict[Route, Span] = {}
        self.findings: list[Finding] = []
        self.repaired: list[tuple[int, int]] = []
        self._forget()

    def _forget(self) -> None:
        self.anchors: dict[str, _Node | None] = {}
        self.added = 0

    def read(self) -> tuple[Document, tuple[Finding, ...]]:
        """Read the text. After an unquoted ``{{ }}`` go on as if it were quoted, so that one pass finds all of them."""
        masked, problems = self.text, list[SyntaxRefused]()
        while True:
            self._forget()
            try:
                root = self._document(masked)
            except SyntaxRefused as refused:
                problems.append(refused)
                if (
                    refused.code != "SD008"
                    or (len(self.repaired) + 2) * len(self.text) > _MAX_REREAD
                    or refused.start >= refused.end
                ):
                    return _give_up(self.name, self.text, problems)
                self.repaired.append((refused.start, refused.end))
                masked = syntax.mask(masked, refused.start, refused.end)
            else:
                break
        data = self._data(root, ())
        if not isinstance(data, dict) and not self.findings:
            self._note(syntax.not_a_definition(data))
        return Document(self.name, self.text, data, self.spans, self.keys), self._once()

    def _note(self, finding: Finding) -> None:
        if len(self.findings) <= MAX_FINDINGS:  # one more than are shown, to show that there are more
            self.findings.append(syntax.bounded(finding))

    def _once(self) -> tuple[Finding, ...]:
        """Return only one of several equal findings about a value that several aliases name."""
        seen: dict[tuple[str, Span], Finding] = {}
        for finding in self.findings:
            where = (self.keys if finding.at_key else self.spans)[finding.route]
            seen.setdefault((finding.code, where), finding)
        return tuple(first(seen.values()))

    # events -> nodes

    def _document(self, text: str) -> _Node:
        if refused := syntax.unprintable(text):
            raise refused
        events = yaml.parse(text, Loader=_LOADER)
        try:
            next(events)  # the start of the stream
            first = next(events)
            if isinstance(first, yaml.StreamEndEvent):
                return _Node(None, first.start_mark, first.end_mark)
            root = self._node(next(events), events, 0, text)
            next(events)  # the end of the document
            second: Any = next(events)
            if not isinstance(second, yaml.StreamEndEvent):
                start = second.start_mark.index
                raise SyntaxRefused(
                    "SD006",
                    "a second document starts here: one definition per file",
                    start,
                    start + 3,
                    help="move it to a file of its own, or put both below `sagas`",
                )
        except yaml.YAMLError as error:
            raise syntax.explain(error, text) from None
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int, text: str) -> _Node:
        start, end = event.start_mark, event.end_mark
        if depth > MAX_DEPTH:
            raise syntax.too_deep(start.index)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = None  # while it is incomplete: an alias to it would be a circle
        if isinstance(event, yaml.ScalarEvent):
            node = _Node(event.value, start, end, plain=event.implicit[0])
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(event, events, depth, text)
        else:
            node = self._mapping(event, events, depth, text)
        if event.tag is not None:
            node.problem = syntax.tagged(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _sequence(self, event: Any, events: Iterator[Any], depth: int, text: str) -> _Node:
        node = _Node([], event.start_mark, event.end_mark)
        while not isinstance(child := next(events), yaml.SequenceEndEvent):
            item = self._node(child, events, depth + 1, text)
            node.value.append(item)
            node.size += item.size
            node.height = max(node.height, item.height + 1)
        # libyaml ends a block only where the next one begins, after blank lines and comments.
        node.end = child.end_mark if event.flow_style or not node.value else node.value[-1].end
        return node

    def _mapping(self, event: Any, events: Iterator[Any], depth: int, text: str) -> _Node:
        index = event.start_mark.index
        if event.flow_style and text.startswith("{{", index):
            raise syntax.unquoted(text, index)
        node = _Node((), event.start_mark, event.end_mark)
        entries: list[tuple[_Node, _Node]] = []
        while not isinstance(child := next(events), yaml.MappingEndEvent):
            key = self._node(child, events, depth + 1, text)
            value = self._node(next(events), events, depth + 1, text)
            entries.append((key, value))
            node.size += key.size + value.size
            node.height = max(node.height, key.height + 1, value.height + 1)
        node.value = tuple(entries)
        node.end = child.end_mark if event.flow_style or not entries else entries[-1][1].end
        return node

    def _alias(self, event: Any, depth: int) -> _Node:
        start, end = event.start_mark.index, event.end_mark.index
        name = event.anchor
        if name not in self.anchors:
            help = f'give the value an anchor `&{name}` further up, or quote the text: `"*{name}"`'
            missing = SyntaxRefused(
                "SD015", f"alias `*{name}` has no anchor `&{name}` before it", start, end, help=help
            )
            return _Node(None, event.start_mark, event.end_mark, problem=missing)
        target = self.anchors[name]
        if target is None:
            circle = SyntaxRefused(
                "SD007",
                f"alias `*{name}` stands inside its own anchor, so it never ends",
                start,
                end,
                help="write the value out",
            )
            return _Node(None, event.start_mark, event.end_mark, problem=circle)
        self.added += target.size
        if self.added > MAX_EXPANDED or depth + target.height > MAX_DEPTH:
            grown = f"aliases make more than {MAX_EXPANDED:,} values of this file"
            raise SyntaxRefused(
                "SD007",
                grown if self.added > MAX_EXPANDED else f"aliases nest more than {MAX_DEPTH} deep",
                start,
                end,
                help="write the value once where it is used",
            )
        return replace(target, start=event.start_mark, end=event.end_mark)

    # nodes -> data

    def _data(self, node: _Node, route: Route) -> Any:
        self.spans[route] = self._span(node)
        if node.problem is not None:
            self._note(node.problem.finding(self._place(node, route)))
        if isinstance(node.value, tuple):
            return self._entries(node, route)
        if isinstance(node.value, list):
            return [self._data(item, (*route, index)) for index, item in enumerate(node.value)]
        if node.plain:
            return self._scalar(node, route)
        return node.value

    def _place(self, node: _Node, route: Route) -> Route:
        """Return the route for a problem of a value: the tag's own place, before the value, if the tag is wrong."""
        tag = _PROPERTIES.match(self.text, node.start.index)
        if tag is None or node.problem is None or node.problem.code != "SD005":
            return route
        line, column = node.start.line + 1, node.start.column + 1
        self.spans[(*route, -1)] = Span(line, column, line, column + len(tag[0].rstrip()))
        return (*route, -1)

    def _entries(self, node: _Node, route: Route) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: list[_Node] = []
        for number, (key_node, value_node) in enumerate(node.value, 1):
            key = self._key(key_node, route, number)
            if key is None:
                continue
            here = (*route, key)
            if here in self.keys:
                here = (*here, -number)  # the first keeps its place; mistakes in this one count, too
                self._twice(key, here)
            self.keys[here] = self._span(key_node)
            if key == "<<" and key_node.plain:
                self.spans[here] = self._span(value_node)
                merged += self._merged(value_node, here)
            else:
                data.setdefault(key, self._data(value_node, here))
        for source in merged:
            self._merge(source, data, route)
        return data

    def _twice(self, key: str, here: Route) -> None:
        message = f"key `{key}` is already given on line {self.keys[here[:-1]].line}"
        related = ((here[:-1], "first given here"),)
        self._note(Finding("SD003", message, here, help="keep one of the two", at_key=True, related=related))

    def _key(self, node: _Node, route: Route, number: int) -> str | None:
        problem = node.problem or self._repair(node)
        if problem is None and isinstance(node.value, str):
            key = resolved(node.value) if node.plain else node.value
            if isinstance(key, str) and len(key) <= MAX_KEY:
                return key
        place = (*route, -number)
        self.spans[place] = self._span(node)
        self._note(problem.finding(place) if problem else syntax.not_text(node.value, place))
        return None

    def _merged(self, node: _Node, here: Route) -> list[_Node]:
        """Return the mappings that a merge key names; the first one wins over the others."""
        sources = node.value if isinstance(node.value, list) else [node]
        if node.problem or not all(isinstance(source.value, tuple) for source in sources):
            problem = node.problem or SyntaxRefused(
                "SD014", "`<<` takes a mapping or a list of mappings", help="name one by its alias: `<<: *shared`"
            )
            self._note(problem.finding(here))
            return []
        return list(sources)

    def _merge(self, source: _Node, data: dict[str, Any], route: Route) -> None:
        """Add the keys that *data* lacks. An explicit key wins, then the earlier mapping of the list."""
        for key_node, value_node in source.value:
            key = key_node.value if isinstance(key_node.value, str) else None
            if key is None or (key_node.plain and not isinstance(resolved(key_node.value), str)):
                continue  # refused at the place where it is written
            if key == "<<" and key_node.plain:
                for inner in self._merged(value_node, (*route, key)):
                    self._merge(inner, data, route)
            elif key not in data:
                self.keys[(*route, key)] = self._span(key_node)
                data[key] = self._data(value_node, (*route, key))

    def _scalar(self, node: _Node, route: Route) -> Any:
        if refused := self._repair(node):
            self._note(refused.finding(route))
            return self.text[node.start.index : node.end.index]
        value = resolved(node.value)
        if isinstance(value, float) and not math.isfinite(value):
            self._note(
                Finding(
                    "SD013",
                    f"`{node.value}` is a number that JSON cannot carry",
                    route,
                    help=f'quote it if it is text: `"{node.value}"`',
                )
            )
        return value

    def _repair(self, node: _Node) -> SyntaxRefused | None:
        for start, _ in self.repaired:
            if node.start.index <= start < node.end.index:
                return syntax.unquoted(self.text, node.start.index, node.end.index)
        return None

    def _span(self, node: _Node) -> Span:
        start, end = node.start, node.end
        skipped = (
            _PROPERTIES.match(self.text, start.index) if self.text[start.index : start.index + 1] in "&!" else None
        )
        if skipped and skipped.end() < end.index and "\n" not in skipped[0]:
            return Span(start.line + 1, start.column + 1 + len(skipped[0]), end.line + 1, end.column + 1)
        return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)
