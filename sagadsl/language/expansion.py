"""Puts what a definition uses of its libraries in place, before anything else looks at it.

From then on there is one definition without imports: it is checked, pinned, sent and run, and no worker knows of
libraries. Whatever came from a library keeps its origin, so that a finding names both places: the use, in the
definition, and the line of the library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.document import Document
from sagadsl.language.kinds import LISTS, WAYS
from sagadsl.language.libraries import MOST_FILES, CannotImport, LibraryFile, Shelf
from sagadsl.language.raw_steps import STEP_LISTS, everywhere
from sagadsl.language.renaming import CannotPut, Renaming
from sagadsl.language.suggest import closest, listed
from sagadsl.language.syntax import MAX_DEPTH
from sagadsl.later import compiled_later

IMPORTS, USE, WITH = "imports", "use", "with"

MOST_VALUES = 100_000
"""The most values that fragments may add to a definition; ten levels of ten uses would add ten thousand million."""

_DEEPEST = 10
_ALIAS = compiled_later(r"[a-z][a-z0-9_]*")
_POLICIES = ("retry", "timeouts")
_DATA = frozenset(
    {"input", "set", "output", "state", "next", "return", "answer", "reply", "result", "message", "description"}
    | {"schedule", "labels", "send"}
)
"""Keys below which nothing is a step, a policy or a condition."""
_BARE = frozenset({"if", "until", "while", "complete_when", "items", "value"})
"""Keys whose texts are expressions also without braces."""
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords of JSON Schema whose values are schemas by name."""
_VALUES = frozenset({"default", "const", "enum", "examples", "example"})
"""Keywords of JSON Schema whose values are data."""
_NOUNS = {"fragments": "fragment", "retry": "retry policy", "timeouts": "timeouts", "schemas": "schema"}


class LibraryPlace(NamedTuple):
    """A place in a library."""

    document: Document
    route: Route


class Expanded(Immutable):
    """A definition without imports.

    Attributes:
        document: The file, with the data as a run gets it; the places are those of the file.
        findings: What could not be put in place.
        cut: Routes at which something stands in for what could not.
        origins: The places in libraries from which the values at some routes, and all below them, came.
        is_whole: Everything was looked at; otherwise no further stage judges the file.
    """

    document: Document
    findings: tuple[Finding, ...] = ()
    cut: frozenset[Route] = frozenset()
    origins: Mapping[Route, LibraryPlace] = field(default_factory=dict)
    is_whole: bool = True

    def told(self, finding: Finding) -> Finding:
        """Return a finding that also names its places in libraries, the innermost first; no fix can be put there."""
        notes = tuple(self._places(finding.route))
        return replace(finding, notes=(*notes, *finding.notes), fix=None) if notes else finding

    def _places(self, route: Route) -> Iterator[str]:
        for end in range(len(route) if self.origins else 0, 0, -1):
            if (origin := self.origins.get(route[:end])) is not None:
                yield f"written in {_spot(origin.document, (*origin.route, *route[end:]))}"


def expand(document: Document, folder: Path | None, shelf: Shelf) -> Expanded:
    """Put everything in place that a definition uses of its libraries. It never raises for bad input.

    Args:
        folder: Where the definition lies; ``None`` when nobody knows, so that it can import nothing.
    """
    data = document.data
    if not isinstance(data, dict) or (IMPORTS not in data and USE not in document.text):
        return Expanded(document)
    work = _Expansion(document, folder, shelf)
    try:
        made = work.definition(data)
        if _weight(made, {}) > _weight(data, {}) + MOST_VALUES:
            raise _TooMuch(_TOO_MUCH)
    except _TooMuch as much:
        help = "a fragment that uses others multiplies their steps: write loops with `for_each`"
        work.findings.append(Finding("SD133", str(much), (IMPORTS,), help=help, at_key=True))
        return Expanded(document, tuple(work.findings), is_whole=False)
    return Expanded(
        replace(document, data=made),
        tuple(work.findings),
        frozenset(work.cut),
        work.origins,
    )


_TOO_MUCH = f"what is used adds more than {MOST_VALUES:,} values to the definition"


_TOO_DEEP = f"what is used is nested more than {MAX_DEPTH} levels deep"


class _TooMuch(Exception):
    pass


def _bound(route: Route, value: Any = None) -> None:
    """Raise ``_TooMuch`` if a value at *route* is nested deeper than a file may be: others walk through it, too."""
    if len(route) + _height(value) > MAX_DEPTH:
        raise _TooMuch(_TOO_DEEP)


def _height(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_height, value.values() if isinstance(value, dict) else value), default=0)


def _weight(value: Any, known: dict[int, int]) -> int:
    """Return the number of values in *value*, where one of ten characters counts as one more; shared parts are fast."""
    if isinstance(value, str):
        return 1 + len(value) // 10
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_weight(each, known) for each in inner)
    return known[id(value)]


class _Scope(Immutable):
    """What may be used in one file.

    Attributes:
        imported: Libraries by their names here; ``None`` for one that cannot be used, which has been reported.
        own: The library itself, whose entries need no name before them.
    """

    imported: Mapping[str, LibraryFile | None]
    own: LibraryFile | None = None


class _Expansion:
    """Makes one expanded definition."""

    def __init__(self, document: Document, folder: Path | None, shelf: Shelf) -> None:
        self._document, self._root, self._shelf = document, folder, shelf
        self.findings: list[Finding] = []
        self.origins: dict[Route, LibraryPlace] = {}
        self.cut: set[Route] = set()
        self._scopes: dict[Path, _Scope] = {}
        self._using: list[tuple[str, Path, str]] = []
        self._made = 0

    def definition(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition with everything in place."""
        scope = _Scope(self._imported(data.get(IMPORTS, {})))
        made = self._mapping({key: value for key, value in data.items() if key != IMPORTS}, (), scope)
        if isinstance(made.get("input"), dict):
            made["input"] = self._schema(made["input"], ("input",), scope)
        return made

    def _imported(self, imports: Any) -> dict[str, LibraryFile | None]:
        if not isinstance(imports, dict):
            help = "e.g. `imports: {pay: ./policies.yaml}`"
            self.findings.append(
                Finding("SD130", "`imports` must be a mapping of paths by name", (IMPORTS,), help=help)
            )
            return {}
        if imports and self._root is None:
            help = "give the definition as a file"
            self.findings.append(Finding("SD130", "a definition without a file imports nothing", (IMPORTS,), help=help))
            return dict.fromkeys(imports)
        return {name: self._import(name, written) for name, written in imports.items()}

    def _import(self, name: str, written: Any) -> LibraryFile | None:
        route = (IMPORTS, name)
        if not _ALIAS.fullmatch(name):
            help = "use a lower case letter, then lower case letters, digits and `_`"
            self.findings.append(Finding("SD130", f"`{name}` is no name for an import", route, help=help, at_key=True))
            return None
        if not isinstance(written, str):
            help = f"e.g. `{name}: ./policies.yaml`"
            self.findings.append(
                Finding("SD130", f"`{IMPORTS}.{name}` must be the path of a library", route, help=help)
            )
            return None
        assert self._root is not None
        return self._open(written, self._root, route, (), ())

    def _open(
        self, written: str, folder: Path, route: Route, chain: tuple[Path, ...], notes: tuple[str, ...]
    ) -> LibraryFile | None:
        """Return a library that is usable, as is all that it imports in turn; or report what is wrong."""
        assert self._root is not None
        try:
            found = self._shelf.get(written, folder, self._root)
        except CannotImport as error:
            self.findings.append(Finding("SD130", error.reason, route, help=error.help, notes=notes))
            return None
        if found.path in chain:
            help = "a library cannot import itself: move what both need into a third one"
            self.findings.append(Finding("SD133", f"`{written}` imports itself", route, help=help, notes=notes))
            return None
        if found.path in self._scopes:
            return found
        if len(self._scopes) == MOST_FILES:
            raise _TooMuch(f"more than {MOST_FILES} libraries are imported")
        for each in found.errors:
            at = f"written in {_spot(found.document, each.route, each)}"
            what = f"`{written}` has a mistake: {each.message}"
            self.findings.append(Finding("SD130", what, route, help=each.help, notes=(at, *notes, *each.notes)))
        if found.errors:
            return None
        self._scopes[found.path] = _Scope({}, found)
        imported = {
            name: self._open(
                inner,
                Path(found.document.name).parent,
                route,
                (*chain, found.path),
                (f"written in {_spot(found.document, (IMPORTS, name))}", *notes),
            )
            for name, inner in found.imports.items()
        }
        self._scopes[found.path] = _Scope(imported, found)
        return found

    def _mapping(self, data: Mapping[str, Any], route: Route, scope: _Scope) -> dict[str, Any]:
        return {key: self._value(key, value, (*route, key), scope) for key, value in data.items()}

    def _value(self, key: str, value: Any, route: Route, scope: _Scope) -> Any:
        if key in _POLICIES and isinstance(value, dict):
            return self._policy(key, value, route, scope)
        if key == "payload" and isinstance(value, dict):
            return self._schema(value, route, scope)
        if key in _DATA or key.startswith("x-"):
            return value
        if isinstance(value, dict):
            return self._mapping(value, route, scope)
        if isinstance(value, list):
            if key in STEP_LISTS:
                return [self._step(each, (*route, index), scope) for index, each in enumerate(value)]
            return [
                self._mapping(each, (*route, index), scope) if isinstance(each, dict) else each
                for index, each in enumerate(value)
            ]
        return value

    def _policy(self, kind: str, value: dict[str, Any], route: Route, scope: _Scope) -> dict[str, Any]:
        """Return a retry policy or timeouts: those of the library, with what stands beside ``use`` instead."""
        if USE not in value:
            return value
        own = {key: each for key, each in value.items() if key != USE}
        found = self._find(kind, value[USE], (*route, USE), scope)
        if found is None:
            return own
        library, name = found
        shared = library.document.data[kind][name]
        self._came(route, library, (kind, name), (key for key in shared if key not in own))
        return {**shared, **own}

    def _schema(self, value: Any, route: Route, scope: _Scope) -> Any:
        """Return a JSON Schema with the shared ones in it."""
        if not isinstance(value, dict):
            return value
        self._count()
        _bound(route)
        if isinstance(value.get(USE), str):
            return self._shared_schema(value, route, scope)
        made: dict[str, Any] = {}
        for key, each in value.items():
            at = (*route, key)
            if key in _VALUES:
                made[key] = each
            elif key in _BY_NAME and isinstance(each, dict):
                made[key] = {name: self._schema(inner, (*at, name), scope) for name, inner in each.items()}
            elif isinstance(each, list):
                made[key] = [self._schema(inner, (*at, index), scope) for index, inner in enumerate(each)]
            else:
                made[key] = self._schema(each, at, scope)
        return made

    def _shared_schema(self, value: dict[str, Any], route: Route, scope: _Scope) -> Any:
        own = self._schema({key: each for key, each in value.items() if key != USE}, route, scope)
        found = self._find("schemas", value[USE], (*route, USE), scope)
        if found is None or not self._enter("schemas", found, (*route, USE)):
            return own
        library, name = found
        shared = library.document.data["schemas"][name]
        self._came(route, library, ("schemas", name), (key for key in shared if key not in own))
        made = {**self._schema(shared, route, self._scopes[library.path]), **own}
        self._using.pop()
        return made

    def _step(self, step: Any, route: Route, scope: _Scope) -> Any:
        if not isinstance(step, dict):
            return step
        _bound(route)
        if USE not in step:
            return self._mapping(step, route, scope)
        found = self._find("fragments", step[USE], (*route, USE), scope)
        if "steps" in step:
            what = f"`{step.get('id', '')}` has `steps` beside `{USE}`"
            self.findings.append(Finding("SD106", what, (*route, "steps"), help="keep one", at_key=True))
            found = None
        made = None
        if found is not None and self._enter("fragments", found, (*route, USE)):
            made = self._fragment(step, route, scope, *found)
            self._using.pop()
        if made is None:
            self.cut.add(route)
            id = step.get("id")
            return {"id": id if isinstance(id, str) else "unnamed", "wait_for": {"signal": "unknown"}}
        return made

    def _fragment(
        self, step: dict[str, Any], route: Route, scope: _Scope, library: LibraryFile, name: str
    ) -> dict[str, Any] | None:
        """Return the block that a step with ``use`` stands for; ``None`` if it has not all its arguments."""
        fragment, at = library.document.data["fragments"][name], ("fragments", name)
        arguments = self._arguments(step, route, fragment.get("parameters", {}))
        if arguments is None:
            return None
        inner = self._scopes[library.path]
        steps = [self._step(each, (*route, "steps", index), inner) for index, each in enumerate(fragment["steps"])]
        within = list(everywhere({"steps": steps}))
        id = step.get("id")
        renaming = Renaming(
            prefix=id if isinstance(id, str) else "unnamed",
            ids={each["id"] for each in within if isinstance(each.get("id"), str)},
            blocks={each["id"] for each in within if isinstance(each.get("id"), str) and _gives_outputs(each)},
            arguments=arguments,
        )
        made = self._mapping({key: each for key, each in step.items() if key not in (USE, WITH)}, route, scope)
        self._came(route, library, at, ("steps",))
        made["steps"] = self._renamed(steps, renaming, (*route, "steps"))
        if "output" in fragment and "output" not in step:
            self._came(route, library, at, ("output",))
            made["output"] = self._renamed(fragment["output"], renaming, (*route, "output"), is_data=True)
        _bound(route, made)
        return made

    def _arguments(self, step: Mapping[str, Any], route: Route, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        given = step.get(WITH, {})
        if not isinstance(given, dict):
            self.findings.append(Finding("SD132", f"`{WITH}` must be a mapping of arguments by name", (*route, WITH)))
            given = {}
        for name in given:
            if name not in parameters:
                near = closest(name, parameters)
                what = f"`{step[USE]}` takes no `{name}`"
                help = f"did you mean `{near}`?" if near else f"it takes {listed(parameters)}"
                self.findings.append(Finding("SD132", what, (*route, WITH, name), help=help, at_key=True))
        missing = [name for name, each in parameters.items() if name not in given and "default" not in each]
        if missing:
            help = f"add it to `{WITH}`"
            what = f"`{step[USE]}` needs {listed(missing)}"
            place = (*route, WITH if WITH in step else USE)
            self.findings.append(Finding("SD132", what, place, help=help, at_key=True))
            return None
        defaults = {name: each.get("default") for name, each in parameters.items()}
        return {**defaults, **{name: each for name, each in given.items() if name in parameters}}

    def _renamed(self, value: Any, renaming: Renaming, route: Route, key: str = "", *, is_data: bool = False) -> Any:
        """Return a value of a fragment with the arguments in it and the ids of its steps renamed."""
        self._count()
        if isinstance(value, str):
            if key == "id" and not is_data:
                return renaming.id(value)
            try:
                return renaming.value(value, bare=key in _BARE and not is_data)
            except CannotPut as error:
                self.findings.append(Finding("SD132", str(error), route))
                self.cut.add(route)
                return value
        if isinstance(value, list):
            if key == "needs" and not is_data:
                return [renaming.id(each) if isinstance(each, str) else each for each in value]
            return [
                self._renamed(each, renaming, (*route, index), key, is_data=is_data) for index, each in enumerate(value)
            ]
        if isinstance(value, dict):
            return {
                name: self._renamed(each, renaming, (*route, name), name, is_data=is_data or name in _DATA)
                for name, each in value.items()
            }
        return value

    def _find(self, kind: str, written: Any, route: Route, scope: _Scope) -> tuple[LibraryFile, str] | None:
        """Return the library and the name of what is used; ``None`` with a finding when there is no such thing."""
        before, dot, after = written.partition(".") if isinstance(written, str) else ("", "", "")
        name = after if dot else before
        if not dot and scope.own is None:
            help = f"write `{USE}: name.{_NOUNS[kind].replace(' ', '_')}`, with a name from `{IMPORTS}`"
            self._unknown(f"`{written}` does not say of which import it is", route, help)
            return None
        if dot and before not in scope.imported:
            near = closest(before, scope.imported)
            help = f"did you mean `{near}.{name}`?" if near else f"add it to `{IMPORTS}`: `{before}: ./{before}.yaml`"
            self._unknown(f"`{before}` is not imported", route, help)
            return None
        library = scope.imported[before] if dot else scope.own
        if library is None:
            return None  # its mistakes have been reported
        entries = library.document.data.get(kind, {})
        if name in entries:
            return library, name
        near = closest(name, entries)
        at = f"{before}." if dot else ""
        help = f"did you mean `{at}{near}`?" if near else f"it has {listed(entries)}"
        self._unknown(f"`{library.document.name}` has no {_NOUNS[kind]} `{name}`", route, help)
        return None

    def _unknown(self, what: str, route: Route, help: str) -> None:
        self.findings.append(Finding("SD131", what, route, help=help))

    def _enter(self, kind: str, found: tuple[LibraryFile, str], route: Route) -> bool:
        """Go into a part of a library, unless the way leads through it already."""
        part = (kind, found[0].path, found[1])
        if part in self._using:
            what, help = f"`{found[1]}` uses itself", "a loop is written with `repeat` or `for_each`"
        elif len(self._using) == _DEEPEST:
            what, help = f"more than {_DEEPEST} parts are used inside of each other", "use fewer levels"
        else:
            self._using.append(part)
            return True
        self.findings.append(Finding("SD133", what, route, help=help))
        return False

    def _came(self, route: Route, library: LibraryFile, at: Route, keys: Any) -> None:
        for key in keys:
            self.origins[(*route, key)] = LibraryPlace(library.document, (*at, key))

    def _count(self) -> None:
        self._made += 1
        if self._made > MOST_VALUES:
            raise _TooMuch(_TOO_MUCH)


def _gives_outputs(step: Mapping[str, Any]) -> bool:
    """Whether the output of a step is an object of the outputs of the steps in it, by id."""
    blocks = (*LISTS, *(key for key in WAYS if key != "on_error"))
    return "output" not in step and "for_each" not in step and any(key in step for key in blocks)


def _spot(document: Document, route: Route, finding: Finding | None = None) -> str:
    """Return the place of a route as people write it: ``pay.yaml:12:7``."""
    nearest = document.nearest(route)
    span = document.span_of(finding) if finding is not None else document.keys.get(nearest, document.spans[nearest])
    return f"{document.name}:{span.line}:{span.column}"
