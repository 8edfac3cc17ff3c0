"""Loads definitions: from text to documents, findings and models, through every stage in order.

Bad input never raises, and a mistake in one place never hides one in another. It knows nothing of
plugins: the known activities are an argument.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.errors import reason_of
from sagadsl.immutable import Immutable, replace
from sagadsl.language import suppressions
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.known import Known, NotedSignatures, secrets_of
from sagadsl.language.bounds import are_all, first
from sagadsl.language.build import build
from sagadsl.language.bundles import names_in, take_apart
from sagadsl.language.calls import ActivityCall, SagaCall
from sagadsl.language.checks.registry import ALL
from sagadsl.language.document import Document, Span, parse
from sagadsl.language.expansion import Expanded, expand
from sagadsl.language.libraries import Shelf
from sagadsl.language.loaded import NO_SUCH_SAGA, SUFFIXES, Address, Loaded, LookedAt, Size
from sagadsl.language.model import Saga
from sagadsl.language.recovery import Recovered, recover
from sagadsl.language.schedules import without
from sagadsl.language.schema import definition
from sagadsl.language.schema.bundle import is_bundle
from sagadsl.language.schema.library import check as check_library
from sagadsl.language.schema.library import is_library
from sagadsl.language.suggest import closest, listed
from sagadsl.language.unsaved import read_bytes
from sagadsl.language.walk import calls, spots
from sagadsl.later import compiled_later

_NAME = compiled_later(rb"""^name:\s*["']?([A-Za-z][A-Za-z0-9_.-]*)""", re.M)


class _Draft(Immutable):
    """A definition between the stages: read and built as far as possible, but not yet checked."""

    expanded: Expanded
    findings: tuple[Finding, ...]
    left: Recovered | None
    saga: Saga | None


def load(data: bytes | str, *, name: str = "<text>", known: Known | None = None, folder: Path | None = None) -> Loaded:
    """Load one definition. Never raises for bad input; a text with several sagas is the mistake SD018.

    Args:
        name: Its name in reports, usually its path.
        known: The known activities and sagas beside the file; by default none are known.
        folder: Where it lies, and what it imports; without one it can import nothing.
    """
    return _one(_drafts(data, name, folder, Shelf()), Known() if known is None else known)


def one(data: bytes | str, address: Address, known: Known) -> Loaded:
    """Load the definition at an address, of whose file *data* is the text. Never raises.

    Args:
        known: The known activities and sagas, as ``beside`` gives them.
    """
    drafts = _drafts(data, str(address.file), address.file.parent, Shelf())
    return _one(_chosen(drafts, address.saga), known)


def _one(drafts: tuple[_Draft, ...], known: Known) -> Loaded:
    return _judge(drafts[0] if len(drafts) == 1 else _ambiguous(drafts), known)


def load_text(
    data: bytes | str, path: Path | str, *, known: Known | None = None, saga: str | None = None
) -> tuple[Loaded, ...]:
    """Load the sagas in a text as if it stood at *path*, beside which it looks for child sagas. Never raises.

    Args:
        saga: The name of the only one that is wanted; without one of that name, the finding SD018.
    """
    library = _Library()
    base = Known() if known is None else known
    folder = Path(path).parent
    drafts = _drafts(data, str(path), folder, library.shelf)
    home = _Home(folder, drafts)
    return tuple(_judge(draft, library.known(base, home, draft), library.shelf) for draft in _chosen(drafts, saga))


def load_many(paths: Iterable[Path | str], known: Known | None = None, *, children: bool = False) -> tuple[Loaded, ...]:
    """Load the definitions at addresses (``FILE`` or ``FILE#NAME``) in the given order, each once.

    It looks for child sagas in the same file, then in the files beside it. Each file is read only once. A file
    that cannot be read gives the finding SD016, one without the named saga SD018.

    Args:
        children: ``FILE#NAME`` also means the child sagas of the saga, as far as they stand in its file.
    """
    library = _Library()
    base = Known() if known is None else known
    found: dict[str, Loaded] = {}
    for path in paths:
        address = Address.of(path)
        drafts = library.read(address.file)
        home = _Home(address.file.parent, drafts)
        chosen = _chosen(drafts, address.saga)
        for draft in _with_children(chosen, drafts) if children else chosen:
            document = draft.expanded.document
            key = str(path) if document.data is None else document.address
            if key not in found:
                found[key] = _judge(draft, library.known(base, home, draft), library.shelf)
    return tuple(found.values())


def beside(at: Address | Path | str, data: bytes | str, known: Known | None = None) -> Known:
    """Return *known*, with the child sagas that the definition *data* names, if its file or folder has them.

    Args:
        at: The address at which the definition stands; without ``#NAME`` it is about every saga in *data*.
    """
    library, address = _Library(), at if isinstance(at, Address) else Address.of(at)
    found = Known() if known is None else known
    drafts = _drafts(data, str(address.file), address.file.parent, library.shelf)
    for draft in _chosen(drafts, address.saga):
        found = library.known(found, _Home(address.file.parent, drafts), draft)
    return found


def as_data(path: Path | str, names: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """Return what runs of sagas are pinned to, by name, as far as the file at an address or its folder has them."""
    library, file, found = _Library(), Address.of(path).file, dict[str, Mapping[str, Any]]()
    home = _Home(file.parent, library.read(file))
    for name in sorted(names):
        if (draft := library.find(name, home)) is not None:
            found[name] = without(draft.expanded.document.data)
    return found


def _drafts(data: bytes | str, name: str, folder: Path | None, shelf: Shelf) -> tuple[_Draft, ...]:
    """Return the definitions in a file; always at least one."""
    written, syntax = parse(data, name)
    if is_library(written):
        return (_Draft(Expanded(written), (*syntax, *check_library(written)), None, None),)
    if not is_bundle(written):
        return (_draft(written, syntax, folder, shelf),)
    parts = take_apart(written, syntax)
    if parts[0].document.part is None:
        return (_Draft(Expanded(written), parts[0].findings, None, None),)
    return tuple(_draft(each.document, each.findings, folder, shelf) for each in parts)


def _draft(written: Document, known: tuple[Finding, ...], folder: Path | None, shelf: Shelf) -> _Draft:
    expanded = expand(written, folder, shelf)
    document = expanded.document
    form = definition.check(document) if expanded.is_whole else ()
    found = (*known, *expanded.findings, *form)
    left = recover(document, form) if are_all(found) and expanded.is_whole else None
    if left is not None and expanded.cut:
        left = replace(left, cut=left.cut | expanded.cut, touched=left.touched | {()})
    saga = build(left.data) if left is not None else None
    return _Draft(expanded, found, left, saga)


def _chosen(drafts: tuple[_Draft, ...], name: str | None) -> tuple[_Draft, ...]:
    """Return the definitions that an address means."""
    if name is None or (len(drafts) == 1 and drafts[0].saga is None):  # then its own mistakes say more
        return drafts
    named = tuple(draft for draft in drafts if _name(draft) == name)
    return named or (_missing(drafts, name),)


def _with_children(chosen: tuple[_Draft, ...], own: tuple[_Draft, ...]) -> Iterator[_Draft]:
    """Yield definitions of a file, and those of its sagas that they call in turn."""
    met, waiting = set[str](), list(chosen)
    while waiting:
        draft = waiting.pop(0)
        if (name := _name(draft)) not in met:
            met.add(name)
            yield draft
            called = set(_named(draft.saga))
            waiting += (each for each in own if _name(each) in called)


def _name(draft: _Draft) -> str:
    document = draft.expanded.document
    name = document.data.get("name") if isinstance(document.data, dict) else None
    return name if isinstance(name, str) else ""


def _missing(drafts: tuple[_Draft, ...], name: str) -> _Draft:
    file, names = drafts[0].expanded.document.name, [_name(draft) for draft in drafts]
    near = closest(name, names)
    help = f"did you mean `{file}#{near}`?" if near else f"it has {listed(names)}"
    return _without_saga(drafts, Finding(NO_SUCH_SAGA, f"`{file}` has no saga `{name}`", (), help=help))


def _ambiguous(drafts: tuple[_Draft, ...]) -> _Draft:
    names = [_name(draft) for draft in drafts]
    file = drafts[0].expanded.document.name
    what = f"`{file}` has {len(names)} sagas, and one is wanted: {listed(names)}"
    return _without_saga(drafts, Finding(NO_SUCH_SAGA, what, (), help=f"say which: `{file}#{names[0]}`"))


def _without_saga(drafts: tuple[_Draft, ...], finding: Finding) -> _Draft:
    document = drafts[0].expanded.document
    nothing = Document(document.name, document.text, None, {(): Span(1, 1, 1, 1)})
    return _Draft(Expanded(nothing), (finding,), None, None)


def _judge(draft: _Draft, known: Known, shelf: Shelf | None = None) -> Loaded:
    findings = [*draft.findings]
    asked = None if known.activities is None else NotedSignatures(known.activities)
    known = known if asked is None else replace(known, activities=asked)
    if draft.saga is not None and draft.left is not None:
        findings += first(_meaning(draft.saga, draft.left, known))
    written = draft.expanded.document
    document, kept = suppressions.apply(
        written,
        map(draft.expanded.told, findings),
        lambda finding: written.span_of(finding).line,
        complete=draft.left is not None and not draft.left.touched,
    )
    ordered = tuple(first(sorted(dict.fromkeys(kept), key=document.position)))
    usable = not any(finding.severity is Severity.ERROR for finding in ordered)
    looked_at = LookedAt(
        frozenset(() if asked is None else asked.names),
        frozenset(() if shelf is None else shelf.read),
        any(_named(draft.saga)),
    )
    if draft.saga is None or not usable:
        return Loaded(document, ordered, None, draft.saga, looked_at=looked_at)
    size = _size(draft.saga)
    secrets = {} if asked is None else secrets_of(size.activities, asked)
    return Loaded(document, ordered, draft.saga, draft.saga, size, looked_at, secrets)


def _size(saga: Saga) -> Size:
    called = (call for spot in spots(saga) for call, _route, _phase in calls(spot[-1].step))
    activities = (call for call in called if isinstance(call, ActivityCall) and not call.operation)
    names = (name for call in activities for name in call.names)
    return Size(len(saga.places), frozenset(names))


def _meaning(saga: Saga, left: Recovered, known: Known) -> Iterator[Finding]:
    """Run every check on the model, and yield the findings with their routes in the document."""
    analysis = Analysis(saga, known)
    for check in ALL:
        for finding in check(analysis):
            here = replace(
                finding,
                route=left.origin(finding.route),
                related=tuple((left.origin(route), label) for route, label in finding.related),
            )
            if left.trusts(here):
                yield here


class _Home(NamedTuple):
    """Where a definition looks for its child sagas: in its own file first, then in the folder."""

    folder: Path
    own: tuple[_Draft, ...]


class _Library:
    """The definitions that have been read so far, by path."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self._drafts: dict[Path, tuple[_Draft, ...]] = {}
        self._texts: dict[Path, Mapping[Path, bytes]] = {}

    def read(self, path: Path) -> tuple[_Draft, ...]:
        """Return the definitions in a file; always at least one."""
        if path not in self._drafts:
            try:
                self._drafts[path] = _drafts(read_bytes(path), str(path), path.parent, self.shelf)
            except OSError as error:
                reason = reason_of(error)
                problem = Finding("SD016", f"`{path}` cannot be read: {reason}", ())
                nothing = Document(str(path), "", None, {(): Span(1, 1, 1, 1)})
                self._drafts[path] = (_Draft(Expanded(nothing), (problem,), None, None),)
        return self._drafts[path]

    def known(self, base: Known, home: _Home, draft: _Draft) -> Known:
        """Return *base*, with the sagas beside a definition if it calls other sagas."""
        if not any(_named(draft.saga)):
            return base
        sagas = {**base.sagas, **self.children(home, draft)}
        return replace(base, sagas=sagas, neighbours=tuple(dict.fromkeys(self._names(home))))

    def children(self, home: _Home, draft: _Draft) -> dict[str, Saga]:
        """Return the sagas that a definition calls, and those that they call in turn, if they are beside it."""
        found: dict[str, Saga] = {}
        wanted = list(_named(draft.saga))
        while wanted:
            name = wanted.pop()
            child = None if name in found else self.find(name, home)
            if child is not None and child.saga is not None:
                found[name] = child.saga
                wanted += _named(child.saga)
        return found

    def find(self, name: str, home: _Home) -> _Draft | None:
        """Return the definition of a saga; ``None`` if neither the file nor the folder has one that can be built."""
        for draft in home.own:
            if draft.saga is not None and draft.saga.name == name:
                return draft
        for path, text in self._folder(home.folder).items():
            for draft in self.read(path) if name.encode() in text else ():
                if draft.saga is not None and draft.saga.name == name:
                    return draft
        return None

    def _names(self, home: _Home) -> Iterator[str]:
        yield from filter(None, map(_name, home.own))
        for path, text in self._folder(home.folder).items():
            if (name := _NAME.search(text)) is not None:
                yield name[1].decode()
                continue
            names = names_in(text)
            yield from map(_name, self.read(path)) if names is None else names

    def _folder(self, folder: Path) -> Mapping[Path, bytes]:
        """Return the unparsed definitions of a folder: most need no parsing to see that they are another saga."""
        if folder not in self._texts:
            self._texts[folder] = dict(_texts(folder))
        return self._texts[folder]


def _texts(folder: Path) -> Iterator[tuple[Path, bytes]]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))
    except OSError:
        return  # without a folder there are no neighbours
    for path in paths:
        try:
            yield path, read_bytes(path)
        except OSError:
            continue  # an unreadable neighbour is reported when somebody loads it


def _named(saga: Saga | None) -> Iterator[str]:
    """Yield the names of the sagas that *saga* calls, in steps or in compensations."""
    for place in saga.places.values() if saga is not None else ():
        step = place.step
        if isinstance(step.body, SagaCall):
            yield step.body.saga
        for action in step.compensation.actions if step.compensation is not None else ():
            if isinstance(action.call, SagaCall):
                yield action.call.saga
