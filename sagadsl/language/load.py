"""Loads a definition: from text to document, findings and model, through every stage in order.

Bad input never raises, and a mistake in one place never hides one in another. It knows nothing of
plugins: the known activities are an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.immutable import Immutable, replace
from sagadsl.language import suppressions
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.known import Known
from sagadsl.language.bounds import are_all, first
from sagadsl.language.build import build
from sagadsl.language.checks.registry import ALL
from sagadsl.language.document import Document, Span, parse
from sagadsl.language.model import Saga, SagaCall
from sagadsl.language.recovery import Recovered, recover
from sagadsl.language.schema import definition

SUFFIXES = (".saga.yaml", ".saga.yml")
_NAME = re.compile(rb"""^name:\s*["']?([A-Za-z][A-Za-z0-9_.-]*)""", re.M)


class Loaded(Immutable):
    """The result of loading one file.

    Attributes:
        document: The file as data, with the places of its values.
        findings: All its mistakes, in the order of the file.
        saga: The model; ``None`` when any finding is an error.
        draft: The model of all that could be read, even with errors: only to draw it, never to run it.
    """

    document: Document
    findings: tuple[Finding, ...] = ()
    saga: Saga | None = None
    draft: Saga | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the definition unusable."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


class _Draft(Immutable):
    """A file between the stages: read and built as far as possible, but not yet checked."""

    document: Document
    findings: tuple[Finding, ...]
    left: Recovered | None
    saga: Saga | None


def load(data: bytes | str, *, name: str = "<text>", known: Known | None = None) -> Loaded:
    """Load one definition. Never raises for bad input.

    Args:
        name: Its name in reports, usually its path.
        known: The known activities and sagas beside the file; by default none are known.
    """
    return _judge(_draft(data, name), Known() if known is None else known)


def load_many(paths: Iterable[Path | str], known: Known | None = None) -> tuple[Loaded, ...]:
    """Load files in the given order. It looks for child sagas beside the file that names them.

    Each file is read only once. A file that cannot be read gives the finding SD016.
    """
    library = _Library()
    base = Known() if known is None else known
    drafts = [(Path(path), library.read(Path(path))) for path in paths]
    return tuple(_judge(draft, library.known(base, path, draft)) for path, draft in drafts)


def beside(path: Path, data: bytes | str, known: Known | None = None) -> Known:
    """Return *known*, with the child sagas that the definition *data* names, if the folder of *path* has them."""
    return _Library().known(Known() if known is None else known, path, _draft(data, str(path)))


def _draft(data: bytes | str, name: str) -> _Draft:
    document, syntax = parse(data, name)
    form = definition.check(document)
    left = recover(document, form) if are_all((*syntax, *form)) else None
    saga = build(left.data) if left is not None else None
    return _Draft(document, (*syntax, *form), left, saga)


def _judge(draft: _Draft, known: Known) -> Loaded:
    findings = [*draft.findings]
    if draft.saga is not None and draft.left is not None:
        findings += first(_meaning(draft.saga, draft.left, known))
    document, kept = suppressions.apply(
        draft.document,
        findings,
        lambda finding: draft.document.span_of(finding).line,
        complete=draft.left is not None and not draft.left.touched,
    )
    ordered = tuple(first(sorted(dict.fromkeys(kept), key=document.position)))
    usable = not any(finding.severity is Severity.ERROR for finding in ordered)
    return Loaded(document, ordered, draft.saga if usable else None, draft.saga)


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


class _Library:
    """The definitions that have been read so far, by path."""

    def __init__(self) -> None:
        self._drafts: dict[Path, _Draft] = {}
        self._texts: dict[Path, Mapping[Path, bytes]] = {}

    def read(self, path: Path) -> _Draft:
        if path not in self._drafts:
            try:
                self._drafts[path] = _draft(path.read_bytes(), str(path))
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                problem = Finding("SD016", f"`{path}` cannot be read: {reason}", ())
                self._drafts[path] = _Draft(
                    Document(str(path), "", None, {(): Span(1, 1, 1, 1)}), (problem,), None, None
                )
        return self._drafts[path]

    def known(self, base: Known, path: Path, draft: _Draft) -> Known:
        """Return *base*, with the sagas beside a definition if it calls other sagas."""
        if not any(_named(draft.saga)):
            return base
        sagas = {**base.sagas, **self.children(path, draft)}
        return replace(base, sagas=sagas, neighbours=tuple(self._names(path.parent)))

    def children(self, path: Path, draft: _Draft) -> dict[str, Saga]:
        """Return the sagas that a definition calls, and those that they call in turn, if they are beside the file."""
        found: dict[str, Saga] = {}
        wanted = list(_named(draft.saga))
        while wanted:
            name = wanted.pop()
            saga = None if name in found else self._find(name, path.parent)
            if saga is not None:
                found[name] = saga
                wanted += _named(saga)
        return found

    def _find(self, name: str, folder: Path) -> Saga | None:
        for path, text in self._folder(folder).items():
            if name.encode() in text and (saga := self.read(path).saga) is not None and saga.name == name:
                return saga
        return None

    def _names(self, folder: Path) -> Iterator[str]:
        for text in self._folder(folder).values():
            if (name := _NAME.search(text)) is not None:
                yield name[1].decode()

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
            yield path, path.read_bytes()
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
