"""What becomes of the suites of a saga whose steps get other names: where they name them, whether they still pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sagadsl.diagnostics.findings import Route
from sagadsl.editing.source import Edit, Range, Source, scalars
from sagadsl.editing.workspace import Workspace
from sagadsl.immutable import Immutable
from sagadsl.language.analysis.known import Known
from sagadsl.language.document import Document, parse
from sagadsl.language.load import beside, one
from sagadsl.language.loaded import Address
from sagadsl.language.paths import path_of_key, pattern_of, renamed
from sagadsl.language.unsaved import read_bytes
from sagadsl.trial.names import Asks, Names, names
from sagadsl.trial.played import ID
from sagadsl.trial.runner import run, virtual
from sagadsl.trial.spelling import everywhere
from sagadsl.trial.suite import read_suite

_QUOTED = re.compile(r"""(["'])([a-z][^"']*)\1""")
Texts = Mapping[Path, str]
"""Texts that files would have, by resolved path."""


class Affected(Immutable):
    """A suite of which a saga has other names.

    Attributes:
        edits: Where it names them, with what has to stand there.
    """

    suite: Source
    edits: tuple[Edit, ...]


class _Change(Immutable):
    """The names of a saga as they are, and for each pattern of a path that changes, what it becomes."""

    names: Names
    after: Mapping[str, str]


def affected(workspace: Workspace, changed: Texts) -> Iterator[Affected]:
    """Yield the suites that are about sagas whose names change. Within ``as_typed``."""
    for path in workspace.suites():
        suite = workspace.source(path)
        document = None if suite is None else parse(suite.text, str(path))[0]
        if suite is None or document is None or not isinstance(document.data, dict):
            continue
        changes = _changes(workspace, suite, document.data, changed)
        if any(each is not None for each in changes.values()):
            yield Affected(suite=suite, edits=tuple(_edits(suite, document, changes)))


def failing(suite: Source) -> dict[str, str]:
    """Return the cases of a suite that do not pass, by name, each with what it misses first."""
    found = read_suite(suite.text, suite.path)
    results = run([found], virtual(None), timed=False)
    return {
        each.name: f"`{each.misses[0].what}`" if each.misses else each.unplayed for each in results if not each.passed
    }


def _changes(workspace: Workspace, suite: Source, data: dict[str, Any], changed: Texts) -> dict[str, _Change | None]:
    found: dict[str, _Change | None] = {}
    for written, _route in _parts(data):
        named = written.get("saga", data.get("saga"))
        if isinstance(named, str) and named not in found:
            found[named] = _change(workspace, suite.path.parent / named, changed)
    return found


def _parts(data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Route]]:
    """Yield the defaults and the cases of a suite, as far as they have the right form."""
    if isinstance(data.get("defaults"), dict):
        yield data["defaults"], ("defaults",)
    cases = data.get("cases")
    for number, case in enumerate(cases if isinstance(cases, list) else ()):
        if isinstance(case, dict):
            yield case, ("cases", number)


def _change(workspace: Workspace, path: Path, changed: Texts) -> _Change | None:
    """Return how the names of a saga change; ``None`` if they do not."""
    before = _names(path)
    with workspace.as_typed(changed):
        after = _names(path)
    if before is None or after is None or before == after:
        return None
    pairs: dict[str, str] = {}
    for asks in (Asks.DECISION, Asks.ANY_CALL):
        old, new = before.of(asks), after.of(asks)
        pairs |= dict(zip(old, new, strict=True)) if len(old) == len(new) else {}
    return _Change(names=before, after=pairs)


def _names(path: Path) -> Names | None:
    address = Address.of(path)
    try:
        data = read_bytes(address.file)
    except OSError:
        return None
    known = beside(address, data, Known())
    saga = one(data, address, known).draft
    return None if saga is None else names(saga, known.sagas)


def _edits(suite: Source, document: Document, changes: Mapping[str, _Change | None]) -> Iterator[Edit]:
    for written, route in _parts(document.data):
        change = changes.get(str(written.get("saga", document.data.get("saga"))))
        if change is not None:
            yield from _in_part(suite, document, written, route, change)


def _in_part(
    suite: Source, document: Document, written: dict[str, Any], route: Route, change: _Change
) -> Iterator[Edit]:
    known = change.names
    try:
        places = list(everywhere(written))
    except (KeyError, TypeError, AttributeError):  # a case of another form, which its own findings tell
        return
    for place in places:
        whole = known.whole(place.asks, place.name)
        if whole is not None and place.name not in known.activities:
            where = suite.of(document, (*route, *place.route), at_key=place.at_key)
            yield from _changed(suite, where, place.name, whole, change)
    for inner, value in scalars(document, route):
        for path in _paths_in(value, inner[len(route) :]):
            whole = known.whole(Asks.STEP, path)
            if whole is not None:
                yield from _changed(suite, suite.of(document, inner), path, whole, change)


def _paths_in(text: str, route: Route) -> Iterator[str]:
    """Yield the paths in a text that is no name itself: in a key of idempotency, in what a case expects."""
    path = path_of_key(ID, text)
    if path is not None:
        yield path
    elif route == ("then", "failure", "step"):
        yield text
    elif route[:2] == ("then", "holds"):
        yield from (found[2] for found in _QUOTED.finditer(text))


def _changed(suite: Source, where: Range | None, name: str, whole: str, change: _Change) -> Iterator[Edit]:
    pattern = pattern_of(whole)
    new = renamed(name, pattern, change.after.get(pattern, pattern))
    start = -1 if where is None else suite.text.find(name, where.start, where.end)
    if new != name and start >= 0:
        yield Edit(suite.path, Range(start, start + len(name)), new)
