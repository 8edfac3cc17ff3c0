"""Where a saga names its steps: where they stand, in expressions, and in the needs of branches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sagadsl.diagnostics.findings import Route
from sagadsl.editing.shapes_at import is_written_bare
from sagadsl.editing.source import Range, Source, scalars
from sagadsl.language.document import Document
from sagadsl.language.kinds import Lane, parts
from sagadsl.language.loaded import Loaded
from sagadsl.language.model import Step

_NAME = r"[a-z][a-z0-9_]*"
_TOKEN = re.compile(
    rf"""(?<![\w.])steps(?:\.(?P<step>{_NAME})|\[\s*(?P<q>["'])(?P<key>{_NAME})(?P=q)\s*\])"""
    rf"(?P<rest>(?:\.output)(?:\[\d+\])*)?(?:\.(?P<inner>{_NAME}))?"
    r"""|(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<end>\}\})"""
)


class Mention(NamedTuple):
    """A place where a step is named.

    Attributes:
        is_own: It is the step's own ``id``.
    """

    step: str
    range: Range
    is_own: bool = False


def mentions(source: Source, loaded: Loaded) -> list[Mention]:
    """Return every place of a saga that names a step, in the order of the file."""
    return sorted(set(_mentions(source, loaded)), key=lambda each: each.range)


def _mentions(source: Source, loaded: Loaded) -> Iterator[Mention]:
    analysis, document = source.analysis(loaded), loaded.document
    if analysis is None:
        return
    steps = {name: spot[-1].step for name, spot in analysis.structure.steps.items()}
    for spot in analysis.structure.spots:
        step = spot[-1].step
        yield from _text(source, document, (*step.route, "id"), step.id, is_own=True)
        if spot[-1].lane is Lane.BRANCH:
            for number, name in enumerate(step.needs):
                yield from _text(source, document, (*step.route, "needs", number), name)
    texts = list(scalars(document))
    for site in analysis.structure.sites:
        at = site.route if site.route in document.spans else site.route[:-1]
        for route, _value in texts:
            if route[: len(at)] == at and route in document.spans:
                yield from _in_value(source, document, route, steps, bare=is_written_bare(site))


def _text(source: Source, document: Document, route: Route, name: str, is_own: bool = False) -> Iterator[Mention]:
    place = source.of(document, route)
    if place is None:
        return
    start = source.text.find(name, place.start, place.end)
    if start >= 0:
        yield Mention(name, Range(start, start + len(name)), is_own)


def _in_value(
    source: Source, document: Document, route: Route, steps: dict[str, Step], *, bare: bool
) -> Iterator[Mention]:
    place = source.of(document, route)
    assert place is not None
    at = place.start if bare else source.text.find("{{", place.start, place.end)
    while 0 <= at < place.end:
        for found in _TOKEN.finditer(source.text, at, place.end):
            if found["end"]:
                at = found.end()
                break
            yield from _named(found, steps)
        else:
            return
        at = source.text.find("{{", at, place.end)


def _named(found: re.Match[str], steps: dict[str, Step]) -> Iterator[Mention]:
    if found["quoted"]:
        return
    group = "step" if found["step"] else "key"
    yield Mention(found[group], Range(*found.span(group)))
    block = steps.get(found[group])
    if found["rest"] and found["inner"] and block is not None and block.output is None:
        inside = {each.id for part in parts(block) for each in part.steps}
        if found["inner"] in inside:
            yield Mention(found["inner"], Range(*found.span("inner")))


def at(source: Source, loaded: Loaded, offset: int) -> Mention | None:
    """Return the mention under a cursor."""
    return next((each for each in mentions(source, loaded) if each.range.has(offset)), None)
