"""A file as an editor has it, with all that its text says: what is loaded, what is wrong, what each place can read.

Places are offsets in code points; only the protocol counts lines, columns and UTF-16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.immutable import Immutable
from sagadsl.language import syntax
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.known import Known, Signature
from sagadsl.language.calls import ActivityCall
from sagadsl.language.document import Document, Span, is_place
from sagadsl.language.load import beside, load_text
from sagadsl.language.loaded import Address, Loaded
from sagadsl.language.model import Saga
from sagadsl.language.walk import Site, calls, spots
from sagadsl.plugins.needed import advised, needing
from sagadsl.plugins.problems import PluginUnknown
from sagadsl.plugins.survey import Surveyed
from sagadsl.reporting.excerpt import locate
from sagadsl.reporting.report_input import Checked, in_order
from sagadsl.trial.suite import read_suite

SUITES = (".saga-test.yaml", ".saga-test.yml")


class Range(NamedTuple):
    """A half-open range of a text."""

    start: int
    end: int

    def has(self, offset: int) -> bool:
        """Whether a cursor at *offset* is in it, or right behind it."""
        return self.start <= offset <= self.end


class Edit(NamedTuple):
    """A change of a file."""

    path: Path
    range: Range
    text: str


class At(NamedTuple):
    """What is written at a place: the saga, the route of the value, and whether it is the key of that value."""

    loaded: Loaded
    route: Route
    at_key: bool


class FindingHere(Immutable):
    """A finding with its document."""

    document: Document
    finding: Finding


class Source:
    """One file at one moment.

    Attributes:
        text: What it says, without a byte-order mark.
        activities: Signatures of what is installed; ``None`` when nobody knows.
    """

    def __init__(self, path: Path, text: str, activities: Mapping[str, Signature] | None = None) -> None:
        self.path = path
        self.text = text.removeprefix("\ufeff")
        self.activities = activities
        self._analyses: dict[str, Analysis | None] = {}

    @property
    def is_suite(self) -> bool:
        """Whether it has the cases of a saga."""
        return self.path.name.endswith(SUITES)

    @cached_property
    def loaded(self) -> tuple[Loaded, ...]:
        """Its sagas, each with its findings; a suite has none."""
        if self.is_suite:
            return ()
        return load_text(self.text, self.path, known=Known(activities=self.activities))

    @cached_property
    def problems(self) -> tuple[FindingHere, ...]:
        """What is wrong with it, in the order of the file, each once."""
        found: Sequence[Checked] = [read_suite(self.text, self.path, self.activities, self._judged)]
        if not self.is_suite:
            found = [self._judged(each) for each in self.loaded]
        return tuple(FindingHere(each.document, each.finding) for each in in_order(found))

    def _judged(self, loaded: Loaded) -> Loaded:
        return _installed(loaded, self.activities)

    def analysis(self, loaded: Loaded) -> Analysis | None:
        """Return the analysis of one of its sagas, as far as that can be read; ``None`` if nothing can."""
        address = loaded.document.address
        if address not in self._analyses:
            made = None
            if loaded.draft is not None:
                at = Address(self.path, loaded.draft.name if loaded.document.part else None)
                made = Analysis(loaded.draft, beside(at, self.text, Known(activities=self.activities)))
            self._analyses[address] = made
        return self._analyses[address]

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        return (0, *(found.end() for found in syntax.BREAK.finditer(self.text)))

    def range(self, span: Span) -> Range:
        """Return the range of a span."""
        return Range(self._offset(span.line, span.column), self._offset(span.end_line, span.end_column))

    def _offset(self, line: int, column: int) -> int:
        number = max(1, min(line, len(self._starts)))
        return min(self._starts[number - 1] + column - 1, len(self.text))

    def line_at(self, offset: int) -> Range:
        """Return the line around an offset, without its break."""
        start = max(self.text.rfind(each, 0, offset) for each in "\n\r") + 1
        ends = [at for each in "\n\r" if (at := self.text.find(each, offset)) >= 0]
        return Range(start, min(ends, default=len(self.text)))

    def place_of(self, problem: FindingHere) -> Range:
        """Return what a report underlines of a finding."""
        finding = problem.finding
        return self.range(locate(problem.document, finding.route, at_key=finding.at_key, focus=finding.focus))

    def of(self, document: Document, route: Route, *, at_key: bool = False) -> Range | None:
        """Return the place of a value, or of its key; ``None`` if the file does not have it."""
        span = (document.keys if at_key else document.spans).get(route)
        return None if span is None else self.range(span)

    def part_at(self, offset: int) -> Loaded | None:
        """Return the saga in whose part of the file a place is."""
        for loaded in self.loaded:
            part = loaded.document.part
            if part is None:
                return loaded
            low, high = part.lines
            if self._offset(low, 1) <= offset <= self.range(Span(low, 1, high + 1, 1)).end:
                return loaded
        return self.loaded[0] if self.loaded else None

    def at(self, offset: int) -> At | None:
        """Return what is written at a place: the innermost value, or the key under the cursor."""
        loaded = self.part_at(offset)
        return None if loaded is None else self.at_in(loaded, offset)

    def at_in(self, loaded: Loaded, offset: int) -> At:
        """Return the same for one saga of the file."""
        document = loaded.document
        for route, span in document.keys.items():
            if not is_place(route) and self.range(span).has(offset):
                return At(loaded, route, at_key=True)
        return At(loaded, value_at(self, document, offset), at_key=False)

    def sites(self, loaded: Loaded) -> tuple[Site, ...]:
        """Return the values of a saga that may hold expressions."""
        analysis = self.analysis(loaded)
        return () if analysis is None else analysis.structure.sites

    def site_at(self, at: At) -> Site | None:
        """Return the value with expressions that a place belongs to."""
        found = [each for each in self.sites(at.loaded) if _belongs(each.route, at.route)]
        return max(found, key=lambda each: len(each.route), default=None)


def _installed(loaded: Loaded, activities: Mapping[str, Signature] | None) -> Loaded:
    """Return a saga with what is to be said of the activities that are broken or not installed."""
    if not isinstance(activities, Surveyed) or loaded.draft is None:
        return loaded
    called = {name for call in activity_calls(loaded.draft) for name in call.names}
    problems = {name: problem for name in called if (problem := activities.survey.problem(name)) is not None}
    known, modules = tuple(activities), activities.survey.modules
    lacking = called - problems.keys() - activities.keys()
    unknown = {name: PluginUnknown(name, known, modules=modules) for name in lacking}
    return advised(needing(loaded, problems), unknown)


def activity_calls(saga: Saga) -> Iterator[ActivityCall]:
    """Yield every call of an activity."""
    for spot in spots(saga):
        for call, _route, _phase in calls(spot[-1].step):
            if isinstance(call, ActivityCall) and call.operation is None:
                yield call


def value_at(source: Source, document: Document, offset: int) -> Route:
    """Return the route of the innermost value at a place."""
    best: Route = ()
    smallest = len(source.text) + 1
    for route, span in document.spans.items():
        if is_place(route):
            continue
        place = source.range(span)
        size = place.end - place.start
        if place.has(offset) and (size < smallest or (size == smallest and len(route) > len(best))):
            best, smallest = route, size
    return best


def value_of(data: Any, route: Route) -> Any:
    """Return the value at a route; ``None`` if there is none."""
    for key in route:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def scalars(document: Document, below: Route = ()) -> Iterator[tuple[Route, str]]:
    """Yield every text of a document, or of a part of it, with its route."""
    waiting: list[tuple[Route, object]] = [(below, value_of(document.data, below))]
    while waiting:
        route, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*route, key), each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [((*route, index), each) for index, each in enumerate(value)]
        elif isinstance(value, str):
            yield route, value


def _belongs(site: Route, route: Route) -> bool:
    """Whether a value stands at the place of a site; a count as an expression has a key more than what is written."""
    return route[: len(site)] == site or (site[-1:] in (("value",), ("name",)) and route == site[:-1])
