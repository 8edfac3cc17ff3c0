"""Reads suites, YAML files with cases of a saga, into findings and cases to play. Bad input raises no exception."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.errors import reason_of
from sagadsl.immutable import Immutable, replace
from sagadsl.language import bounds
from sagadsl.language.analysis.known import Known, Signature
from sagadsl.language.bundled import schema_text
from sagadsl.language.document import Document, parse
from sagadsl.language.expressions.values import compile_condition
from sagadsl.language.load import as_data, beside, one
from sagadsl.language.loaded import NO_SUCH_SAGA, Address, Loaded, Size
from sagadsl.language.notation import durations
from sagadsl.language.notation.moments import instant
from sagadsl.language.notation.scalars import write_flow
from sagadsl.language.schema import wording
from sagadsl.language.schema.definition import inline
from sagadsl.language.schema.wording import SchemaPart
from sagadsl.language.suggest import closest, listed
from sagadsl.language.unsaved import read_bytes
from sagadsl.trial import spelling
from sagadsl.trial.case import ACTIONS, MOMENTS, Case, case, is_time, key_of
from sagadsl.trial.mocks import ENDS
from sagadsl.trial.names import all_names, names
from sagadsl.trial.target import Target

SUFFIXES = (".saga-test.yaml", ".saga-test.yml")
VERSION = 1
_NOT_INSTALLED = "SD401"
_BROKEN = "SD91"
"""Codes that begin with this say why an activity that is installed does not work: an import that breaks, mostly."""

Judge = Callable[[Loaded], Loaded]
"""Adds to a definition what only those know who have imported the activities: which are broken, which are meant."""


class Playable(Immutable):
    """One case with its saga."""

    case: Case
    target: Target


class Suite(Immutable):
    """The result of reading one file.

    Attributes:
        cases: The cases that can be played; all of them when no finding is an error.
        size: Always ``None``: suites are counted by their cases.
    """

    document: Document
    findings: tuple[Finding, ...] = ()
    cases: tuple[Playable, ...] = ()
    size: Size | None = None

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.severity is Severity.ERROR)


def check_mocks(document: Document, data: Any, route: Route) -> Iterator[Finding]:
    """Yield the mistakes of form of a mapping of mocks."""
    schema = _schema()
    part = SchemaPart(document, route, "the mocks", None, schema["definitions"])
    yield from wording.reword(part, wording.errors_in(data, schema["definitions"]["mocks"]))


def load_suite(path: Path, activities: Mapping[str, Signature] | None = None, judge: Judge | None = None) -> Suite:
    """Load a suite with the saga that it names. Never raises for bad input.

    Args:
        activities: Signatures of what is installed; ``None`` takes every activity for right.
        judge: Says more of a definition's activities than *activities* can.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        finding = Finding("SD016", f"cannot read `{path}`: {reason_of(error)}", ())
        return Suite(Document(str(path), ""), (finding,))
    return read_suite(data, path, activities, judge)


def read_suite(
    data: bytes | str, path: Path, activities: Mapping[str, Signature] | None = None, judge: Judge | None = None
) -> Suite:
    """Load a suite from its text; *path* says where the files that it names are looked for."""
    document, findings = parse(data, str(path))
    if not isinstance(document.data, dict):
        return Suite(document, tuple(_of_a_suite(each) for each in findings))
    formal = bounds.first((*findings, *_form(document)))
    if formal:
        return Suite(document, tuple(formal))
    return _Reading(document, path, activities, judge).suite()


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(schema_text("suite"))
    inline(loaded, loaded["definitions"])
    return loaded


def _of_a_suite(finding: Finding) -> Finding:
    """Word for suites what is said of a file that holds no mapping."""
    if finding.code != "SD012":
        return finding
    message = finding.message.replace("a definition", "a suite")
    return replace(finding, message=message, help="begin with `sagadsl_test: 1`, `saga:` and `cases:`")


def _form(document: Document) -> Iterator[Finding]:
    data, schema = document.data, _schema()
    first = "write `sagadsl_test: 1` on the first line"
    if "sagadsl" in data and "sagadsl_test" not in data:
        help = "`sagadsl validate` checks it; its cases stand in a suite of their own, named `*.saga-test.yaml`"
        yield Finding("SD012", "this is a definition, not a suite of cases", ("sagadsl",), help=help, at_key=True)
        return
    if "sagadsl_test" not in data:
        other = closest("sagadsl_test", data)
        help = f"did you mean `sagadsl_test` for `{other}`? {first}" if other else first
        yield Finding("SD101", "the version of the format is missing", (), help=help)
        return
    if data["sagadsl_test"] != VERSION or isinstance(data["sagadsl_test"], bool):
        shown = wording.found(document, ("sagadsl_test",), data["sagadsl_test"])
        message = f"the version of the format must be {VERSION}, got {shown}"
        yield Finding("SD101", message, ("sagadsl_test",), help=first)
        return
    part = SchemaPart(document, (), "the suite", None, schema["definitions"])
    yield from wording.reword(part, wording.errors_in(data, schema))


@dataclass(slots=True)
class _Reading:
    """A suite of the right form, while it is read."""

    document: Document
    path: Path
    activities: Mapping[str, Signature] | None
    judge: Judge | None
    findings: list[Finding] = field(default_factory=list)
    targets: dict[str, Target | None] = field(default_factory=dict)

    def suite(self) -> Suite:
        data = self.document.data
        defaults = data.get("defaults") or {}
        for index, named in enumerate(data.get("sagas") or ()):
            loaded, _, why = self._read(named)
            if loaded is None or loaded.saga is None:
                self._refuse(named, loaded, why, ("sagas", index))
        cases: list[Playable] = []
        seen: dict[str, Route] = {}
        for index, written in enumerate(data["cases"]):
            route: Route = ("cases", index)
            first = seen.setdefault(written["name"], route)
            if first != route:
                self._note(
                    "SD803", f"two cases are named `{written['name']}`", (*route, "name"), "name each differently"
                )
            target = self._target(written, route)
            later = self._later(written, target, route)
            formal = list(self._moments(written.get("when") or (), (*route, "when")))
            formal += self._expressions(written["then"].get("holds") or (), (*route, "then", "holds"))
            formal += _no_moments(written.get("given") or {}, (*route, "given"))
            formal += _contradictions((written.get("given") or {}).get("mocks") or {}, (*route, "given", "mocks"))
            self.findings += formal
            if target is not None and later is not None and not formal:
                every = all_names(target.names, *(each.names for each in later.values()))
                made = case(spelling.written_out(written, every), spelling.written_out(defaults, every), route, later)
                cases.append(Playable(made, target))
                signals = {
                    **target.saga.signals,
                    **{key: each for to in made.later for key, each in to.saga.signals.items()},
                }
                self.findings += spelling.case(written, every, signals, route)
        known = [each.names for each in self.targets.values() if each is not None]
        self.findings += spelling.defaults(defaults, known)
        self.findings += _contradictions(defaults.get("mocks") or {}, ("defaults", "mocks"))
        self.findings += _no_moments(defaults, ("defaults",))
        return Suite(self.document, tuple(bounds.first(self.findings)), tuple(cases))

    def _note(self, code: str, message: str, route: Route, help: str = "") -> None:
        self.findings.append(Finding(code, message, route, help=help))

    def _target(self, written: Mapping[str, Any], route: Route) -> Target | None:
        named = written.get("saga", self.document.data.get("saga"))
        if named is None:
            self._note("SD801", "no saga is named", route, "write `saga: FILE` at the top of the suite, or in the case")
            return None
        return self._known(named, (*route, "saga") if "saga" in written else ("saga",))

    def _known(self, named: Any, place: Route) -> Target | None:
        key = key_of(named)
        if key not in self.targets:
            self.targets[key] = self._load(named, place)
        return self.targets[key]

    def _later(self, written: Mapping[str, Any], target: Target | None, route: Route) -> Mapping[str, Target] | None:
        """Return the definitions to which a case migrates; ``None`` if one of them cannot be used."""
        found: dict[str, Target] = {}
        is_usable = True
        for index, entry in enumerate(written.get("when") or ()):
            if "migrate" not in entry:
                continue
            place = (*route, "when", index, "migrate")
            to = self._known(entry["migrate"], place)
            if to is None:
                is_usable = False
            elif target is not None and to.saga.name != target.saga.name:
                is_usable = False
                what = f"a saga migrates to a definition of its own name: this is of `{to.saga.name}`"
                self._note("SD801", what, place, f"name a later version of `{target.saga.name}`")
            else:
                found[key_of(entry["migrate"])] = to
        return found if is_usable else None

    def _load(self, named: Any, place: Route) -> Target | None:
        loaded, known, why = self._read(named)
        if loaded is None or loaded.saga is None:
            self._refuse(named, loaded, why, place)
            return None
        more = [each for each in map(self._read, self.document.data.get("sagas") or ()) if each[0] is not None]
        sagas = {**known.sagas, **{each[0].saga.name: each[0].saga for each in more if each[0] and each[0].saga}}
        children = {each[0].saga.name: each[0].definition for each in more if each[0] and each[0].saga}
        return Target(
            loaded.saga,
            sagas,
            loaded.definition,
            {**as_data(self._file(named), sagas.keys() - children.keys()), **children},
            names(loaded.saga, sagas, self.activities),
        )

    def _refuse(self, named: Any, loaded: Loaded | None, why: str, place: Route) -> None:
        if loaded is not None and not isinstance(named, str):  # it stands here, so its mistakes are shown here
            self.findings += (_moved(each, place) for each in loaded.errors if each.code != _NOT_INSTALLED)
        elif loaded is not None and all(each.code.startswith(_BROKEN) for each in loaded.errors):
            for each in loaded.errors:  # no mistake of the saga's, nor of the suite's
                self._note(each.code, each.message, place, each.help)
        else:
            self._note("SD801", why, place, self._remedy(named, loaded))

    def _remedy(self, named: str, loaded: Loaded | None) -> str:
        if loaded is None:
            there = {each.name.partition(".")[0]: each.name for each in self.path.parent.glob("*.saga.y*ml")}
            near = closest(named.partition(".")[0], there)
            if near is not None:
                return f"did you mean `{there[near]}`?"
            return f"files are named as seen from the suite's folder, which has: {listed(there.values())}"
        if loaded.errors[0].code == NO_SUCH_SAGA:
            return loaded.errors[0].help.replace(f"{self.path.parent}{os.sep}", "")
        if _only_lacks_activities(loaded):
            remedy = loaded.errors[0].help
            end = "" if remedy.endswith("?") else ";"
            return f"{remedy}{end} or play the cases without knowing any activity: `sagadsl test --no-plugins`"
        return f"`sagadsl validate {self.path.parent / named}` shows all of it"

    def _file(self, named: Any) -> Path:
        return self.path.parent / named if isinstance(named, str) else self.path.with_name("inline.saga.yaml")

    def _read(self, named: Any) -> tuple[Loaded | None, Known, str]:
        """Return the definition, what stands beside it, and what is wrong with it."""
        known = Known(activities=self.activities)
        if isinstance(named, str):
            address = Address.of(self.path.parent / named)
            try:
                data = read_bytes(address.file)
            except OSError as error:
                return None, known, f"cannot read the saga `{named}`: {reason_of(error)}"
        else:
            address, data = Address(self._file(named)), write_flow(named).encode()
        known = beside(address, data, known)
        loaded = one(data, address, known)
        if not isinstance(named, str) and loaded.errors and _only_lacks_activities(loaded):
            # it exists for its cases alone, where nobody calls them
            loaded = one(data, address, replace(known, activities=None))
        elif self.judge is not None:
            loaded = self.judge(loaded)
        wrong = [each.message for each in loaded.errors]
        what = f"the saga `{named}`" if isinstance(named, str) else "the saga"
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return loaded, known, f"{what} cannot be used: {wrong[0]}{more}" if wrong else ""

    def _moments(self, when: Any, route: Route) -> Iterator[Finding]:
        for index, entry in enumerate(when):
            here = (*route, index)
            actions = [key for key in ACTIONS if key in entry]
            if len(actions) != 1:
                what = f"{len(actions)} actions: {listed(actions)}" if actions else "no action"
                yield Finding("SD804", f"an entry of `when` has {what}", here, help=f"give one of {listed(ACTIONS)}")
            if "mocks" in entry and not {"recover", "redrive"} & entry.keys():
                help = "`mocks` stand in `given`, or beside `recover` or `redrive`"
                yield Finding("SD804", "nobody takes the saga up here", (*here, "mocks"), help=help, at_key=True)
            yield from _contradictions(entry.get("mocks") or {}, (*here, "mocks"))
            at = entry["at"]
            if isinstance(at, Mapping):
                found = [key for key in MOMENTS if key in at]
                if len(found) != 1:
                    what = f"{len(found)} moments: {listed(found)}" if found else "no moment"
                    yield Finding("SD804", f"`at` has {what}", (*here, "at"), help=f"give one of {listed(MOMENTS)}")
            elif is_time(at):
                try:
                    durations.parse(at)
                except durations.NotADuration as error:
                    yield Finding("SD501", error.reason, (*here, "at"), help=error.suggestion)

    def _expressions(self, holds: Any, route: Route) -> Iterator[Finding]:
        for index, text in enumerate(holds):
            for problem in compile_condition(text).problems:
                yield Finding("SD805", problem.message, (*route, index), help=problem.help)


def _moved(finding: Finding, place: Route) -> Finding:
    """Return a finding of a definition that stands at a place of the suite."""
    related = tuple(((*place, *route), label) for route, label in finding.related)
    return replace(finding, route=(*place, *finding.route), related=related)


def _only_lacks_activities(loaded: Loaded) -> bool:
    return all(each.code == _NOT_INSTALLED for each in loaded.errors)


def _no_moments(given: Mapping[str, Any], route: Route) -> Iterator[Finding]:
    if "now" in given and instant(given["now"]) is None:
        help = "write it like `2026-01-31T09:00:00Z`"
        yield Finding("SD107", f"`{given['now']}` is not a moment", (*route, "now"), help=help)


def _contradictions(mocks: Mapping[str, Any], route: Route) -> Iterator[Finding]:
    """SD806: an attempt that would end in two ways."""
    for name, attempt, place in spelling.attempts(mocks, route):
        ends = [key for key in ENDS if key in attempt and (key, attempt[key]) != ("crash", False)]
        if len(ends) > 1:
            help = "keep one; a list has one entry for each attempt"
            yield Finding("SD806", f"an attempt of `{name}` has {listed(ends)}", place, help=help)
        if "late" not in attempt:
            continue
        if attempt.get("timeout") not in ("start_to_close", "heartbeat"):
            message = f"an attempt of `{name}` has `late`, and no timeout ends it before"
            yield Finding("SD806", message, (*place, "late"), help="add `timeout: start_to_close`")
        if attempt["late"].keys() >= {"output", "error"}:
            message = f"the late end of an attempt of `{name}` has `output` and `error`"
            yield Finding("SD806", message, (*place, "late"), help="keep one")
