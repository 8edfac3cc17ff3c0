"""Recovers from mistakes of form, so that the rest of a definition can still be checked.

A mistake in one step must not hide a dangling reference in another. So this module repairs a mistake
if the fix is known, and otherwise cuts it out, until the rest satisfies the schema. A step that cannot
be saved leaves a stand-in under its id, so that lists keep their indices and references to it stay valid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.immutable import Immutable, field, replace
from sagadsl.language.document import Document
from sagadsl.language.kinds import WAYS
from sagadsl.language.raw_steps import ON_PAUSE, STEP_LISTS, inside
from sagadsl.language.schema import definition

_ROUNDS = 12
_ABOUT_THE_STEP = ("SD102", "SD105", "SD106")


class Recovered(Immutable):
    """The part of a document that satisfies the schema.

    Attributes:
        data: A definition that can be built.
        cut: Routes of the document where something was taken out or put in.
        touched: Steps with a mistake; ``()`` stands for all steps.
        renamed: Routes of misspelt keys as they are after the repair, each with the key as written.
    """

    data: Mapping[str, Any]
    cut: frozenset[Route] = frozenset()
    touched: frozenset[Route] = frozenset()
    renamed: Mapping[Route, str] = field(default_factory=dict)

    def origin(self, route: Route) -> Route:
        """Return where *route* is written in the document."""
        return tuple(self.renamed.get(route[: number + 1], key) for number, key in enumerate(route))

    def trusts(self, finding: Finding) -> bool:
        """Whether a finding about ``data`` holds for the document, and does not just follow from a mistake of form."""
        if any(finding.route[: len(route)] == route for route in self.cut):
            return False
        certain = finding.severity is Severity.ERROR
        return certain or not any(finding.route[: len(route)] == route for route in self.touched)


def recover(document: Document, findings: tuple[Finding, ...]) -> Recovered | None:
    """Return the document without the mistakes in *findings* of the schema; ``None`` when nothing can be recovered."""
    data = document.data
    errors = _errors(findings)
    if not isinstance(data, dict) or any(finding.route == ("sagadsl",) for finding in errors):
        return None  # another version of the language has other rules
    if not errors:
        return Recovered(data)
    repair = _Repair(deepcopy(data))
    for _ in range(_ROUNDS):
        repair.mend(errors)
        errors = _errors(definition.check(replace(document, data=repair.data)))
        if not errors:
            origin = Recovered({}, renamed=repair.renamed).origin
            cut = frozenset(map(origin, repair.cut))
            return Recovered(repair.data, cut, frozenset(map(origin, repair.touched)), repair.renamed)
    return None


def _errors(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


class _Repair:
    """Repairs one copy of a definition in place."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.cut: set[Route] = set()
        self.touched: set[Route] = set()
        self.renamed: dict[Route, str] = {}
        self._tried: set[Route] = set()
        self._gone: set[Route] = set()
        self._unnamed = 0

    def mend(self, findings: list[Finding]) -> None:
        """Repair the mistakes in *findings*: apply the fix of a finding if it has one, or take the faulty value out."""
        self._gone.clear()
        for finding in findings:
            self._mend(finding)

    def _mend(self, finding: Finding) -> None:
        wanted = self._current(finding.route)
        if finding.code in _ABOUT_THE_STEP and wanted[-1:] == ("id",):
            wanted = wanted[:-1]
        route = self._existing(wanted)
        self.touched.add(_enclosing_step(route))
        if any(wanted[:end] in self._gone for end in range(1, len(wanted) + 1)):
            return  # it had another mistake, too, and has been replaced already
        if finding.fix is not None and route == wanted and route not in self._tried:
            self._tried.add(route)
            self._fix(route, finding)
        else:
            self._cut(route)

    def _fix(self, route: Route, finding: Finding) -> None:
        assert finding.fix is not None
        holder, key = self._at(route[:-1]), route[-1]
        if not finding.at_key:
            holder[key] = _read(finding.fix)
        elif finding.fix in holder:
            self._cut(route)
        else:
            holder[finding.fix] = holder.pop(key)
            self.renamed[(*route[:-1], finding.fix)] = str(key)

    def _cut(self, route: Route) -> None:
        if not route:
            self._complete()
        elif isinstance(route[-1], str):
            self._replaced(route)
            del self._at(route[:-1])[route[-1]]
        elif route[-2] in STEP_LISTS:
            self._cut_step(route)
        elif route[-2] in WAYS:
            self._cut_way(route)
        else:
            self._cut(route[:-1])  # an item of texts or actions: cut the whole list, so that no index changes

    def _cut_step(self, route: Route) -> None:
        step = self._at(route)
        if isinstance(step, dict) and not isinstance(step.get("id"), str):
            step["id"] = self._name()
            self._replaced((*route, "id"))
        else:
            is_notice = route[-2] == ON_PAUSE
            stand_in = {"id": self._name(), "activity": "unknown"} if is_notice else self._stand_in(step)
            self._at(route[:-1])[route[-1]] = stand_in
            self._replaced(route)
            self.touched.add(())

    def _cut_way(self, route: Route) -> None:
        """Replace an arm or a handler, with stand-ins for the steps inside it."""
        way = self._at(route)
        within = [self._stand_in(step) for step in inside({route[-2]: [way]})] or [self._stand_in({})]
        last = route[-2] == "switch" and isinstance(way, dict) and "else" in way
        self._at(route[:-1])[route[-1]] = {"else": within} if last else {"if": True, "steps": within}
        self._replaced(route)
        self.touched.add(())

    def _replaced(self, route: Route) -> None:
        self.cut.add(route)
        self._gone.add(route)

    def _complete(self) -> None:
        self.data.setdefault("sagadsl", 1)
        self.data.setdefault("name", "unnamed")
        if not self.data.get("steps"):
            self.data["steps"] = [self._stand_in({})]

    def _stand_in(self, step: Any) -> dict[str, Any]:
        """Return a step whose output may be anything, so that references to it stay valid; so too the steps inside."""
        called = step.get("id") if isinstance(step, dict) else None
        name = called if isinstance(called, str) and called.isidentifier() and called.islower() else self._name()
        stand_in: dict[str, Any] = {"id": name, "wait_for": {"signal": "unknown"}}
        within = [self._stand_in(inner) for inner in inside(step)]
        return {**stand_in, "on_error": [{"steps": within}]} if within else stand_in

    def _name(self) -> str:
        self._unnamed += 1
        return f"unnamed_{self._unnamed}"

    def _at(self, route: Route) -> Any:
        found: Any = self.data
        for key in route:
            found = found[key]
        return found

    def _current(self, route: Route) -> Route:
        """Return a route of the document as it is after the renaming of keys."""
        new = {(*now[:-1], old): now[-1] for now, old in self.renamed.items()}
        found: Route = ()
        for key in route:
            found = (*found, new.get((*found, key), key))
        return found

    def _existing(self, route: Route) -> Route:
        """Return *route*, or its nearest ancestor that is still there."""
        found: Any = self.data
        for number, key in enumerate(route):
            there = key in found if isinstance(found, dict) else isinstance(found, list) and key in range(len(found))
            if not there:
                return route[:number]
            found = found[key]
        return route


def _enclosing_step(route: Route) -> Route:
    """Return the route of the innermost step around *route*; ``()`` when there is none."""
    for end in range(len(route), 1, -1):
        if isinstance(route[end - 1], int) and route[end - 2] in STEP_LISTS:
            return route[:end]
    return ()


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
