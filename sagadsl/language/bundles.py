"""Takes a bundle, a file with several sagas, apart into the definitions that it stands for.

Each of them has the data that a file of its own would have, with the places of the bundle: every further stage sees
one definition, and no worker knows of bundles.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.immutable import Immutable, replace
from sagadsl.language.document import Document, OneOfMany, Span
from sagadsl.language.schema import bundle
from sagadsl.language.schema.bundle import MARK, MOST_SAGAS, SHARED
from sagadsl.later import compiled_later

_DEFAULTS = "defaults"
_FIRST_PLACE = 3_000_000
"""Where the numbers begin of places that have no route in a saga; comments have lower ones."""

_BODY = compiled_later(rb"^sagas:[ \t]*(?:#.*)?\r?\n((?:[ \t]+.*(?:\n|\Z)|[ \t]*\r?\n|#.*\n)*)", re.M)
_KEY = compiled_later(rb"^([ \t]+)[\"']?([A-Za-z][A-Za-z0-9_.-]*)[\"']?[ \t]*:", re.M)


class SagaOfFile(Immutable):
    """One definition of a file, with the mistakes that are known already."""

    document: Document
    findings: tuple[Finding, ...] = ()


def take_apart(document: Document, syntax: tuple[Finding, ...]) -> tuple[SagaOfFile, ...]:
    """Return the sagas of a bundle; of one without any, the whole document with its mistakes.

    Args:
        syntax: What is wrong with the YAML of the file.
    """
    findings = (*syntax, *bundle.check(document))
    sagas = document.data[MARK] if isinstance(document.data[MARK], dict) else {}
    named = {name: saga for name, saga in sagas.items() if isinstance(saga, dict)}
    if not named or len(sagas) > MOST_SAGAS:
        return (SagaOfFile(document, findings),)
    table = _Places(document, named)
    own = {name: [each for each in findings if _owner(each.route) == name] for name in named}
    common = [each for each in findings if _owner(each.route) not in named]
    parts = []
    for name, saga in named.items():
        parts.append(_part(document, table, name, saga, [*common, *own[name]]))
        # A report shows each once; that there is one keeps every saga from running.
        common = [each for each in common if each.severity is Severity.ERROR][:1]
    return tuple(parts)


def names_in(text: bytes) -> tuple[str, ...] | None:
    """Return the names of the sagas in a bundle without parsing it; ``None`` when that cannot be told."""
    if MARK.encode() + b":" not in text:
        return ()
    body = _BODY.search(text)
    keys = _KEY.findall(body[1]) if body is not None else []
    return tuple(name.decode() for indent, name in keys if indent == keys[0][0]) or None


class _Places:
    """The places of a bundle, by saga."""

    def __init__(self, document: Document, named: Mapping[str, Any]) -> None:
        self.spans = _by_saga(document.spans, named)
        self.keys = _by_saga(document.keys, named)


def _by_saga(places: Mapping[Route, Span], named: Mapping[str, Any]) -> dict[str | None, dict[Route, Span]]:
    found: dict[str | None, dict[Route, Span]] = {None: {}, **{name: {} for name in named}}
    for route, span in places.items():
        owner = _owner(route)
        if owner in named and len(route) > 2:
            found[owner][route[2:]] = span
        elif route and route[0] in ("sagadsl", *SHARED):
            found[None][route] = span
    return found


def _owner(route: Route) -> str | None:
    """Return the name of the saga below which a route leads."""
    return route[1] if len(route) > 1 and route[0] == MARK and isinstance(route[1], str) else None


def _part(
    document: Document, table: _Places, name: str, saga: Mapping[str, Any], findings: Iterable[Finding]
) -> SagaOfFile:
    own = {key: each for key, each in saga.items() if not bundle.belongs_at_the_top(key)}
    taken = {key: document.data[key] for key in SHARED if key in document.data and key not in own}
    shared: set[Route] = {("sagadsl",), *((key,) for key in taken)}
    ours, theirs = own.get(_DEFAULTS), document.data.get(_DEFAULTS)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        more = {key: each for key, each in theirs.items() if key not in ours}
        own[_DEFAULTS] = {**more, **ours}
        shared |= {(_DEFAULTS, key) for key in more}
    at = document.keys[MARK, name]
    part = OneOfMany(
        (MARK, name),
        frozenset(shared),
        (at.line, document.spans[MARK, name].end_line),
        (document.keys[(MARK,)].line, document.spans[(MARK,)].end_line),
    )
    spans, keys = _merged(table.spans, part, at), _merged(table.keys, part, at)
    moved: list[Finding] = []
    for number, finding in enumerate(findings, _FIRST_PLACE):
        each, place = _moved(finding, part, number)
        moved.append(each)
        if place is not None:
            shared.add(place)
            spans[place] = document.span_of(finding)
    data = {"sagadsl": document.data.get("sagadsl", 1), "name": name, **taken, **own}
    part = replace(part, shared=frozenset(shared))
    return SagaOfFile(replace(document, data=data, spans=spans, keys=keys, part=part), tuple(moved))


def _merged(places: Mapping[str | None, Mapping[Route, Span]], part: OneOfMany, at: Span) -> dict[Route, Span]:
    """Return the places of one saga: of what is its own, and of what it shares."""
    common = {route: span for route, span in places[None].items() if part.is_shared(route)}
    own = places[str(part.prefix[-1])].items()
    mine = {route: span for route, span in own if not bundle.belongs_at_the_top(str(route[0]))}
    return {**common, **mine, (): at, ("name",): at}


def _moved(finding: Finding, part: OneOfMany, number: int) -> tuple[Finding, Route | None]:
    """Return a finding about the bundle for one saga, and a place of its own if its route is none of the saga's."""
    related = tuple((part.from_file(route) or (), label) for route, label in finding.related)
    route = part.from_file(finding.route)
    is_own = finding.route[: len(part.prefix)] == part.prefix
    if route is not None and not (is_own and route and bundle.belongs_at_the_top(str(route[0]))):
        return replace(finding, route=route, related=related), None
    place = (*finding.route, -number)
    return replace(finding, route=place, related=related, at_key=False), place
