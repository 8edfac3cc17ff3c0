"""Finds the definitions of a command by their paths, loads them, and reports their findings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sagadsl.cli import screen
from sagadsl.cli.files import STDIN, NoSuchFile, find
from sagadsl.cli.installed import Installed
from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.immutable import Immutable, replace
from sagadsl.language.analysis.known import Known
from sagadsl.language.load import Loaded, beside, load, load_many
from sagadsl.language.model import ActivityCall, Saga
from sagadsl.plugins.catalogue import Catalogue, Problem
from sagadsl.reporting import report

UNREADABLE = "SD016"
INVALID_EXIT = 1
UNREADABLE_EXIT = 2
ENVIRONMENT_EXIT = 3

_PLUGINS = "SD91"


class Definitions(Immutable):
    """The definitions at some paths, with their findings.

    Attributes:
        unplaced: Findings without a file: paths that do not exist, activities that are named and cannot be used.
    """

    files: tuple[Loaded, ...] = ()
    unplaced: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.unplaced + tuple(finding for each in self.files for finding in each.findings)

    @property
    def sagas(self) -> tuple[Saga, ...]:
        return tuple(each.saga for each in self.files if each.saga is not None)

    @property
    def are_usable(self) -> bool:
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """2 when something cannot be read, 1 when a definition is wrong, 3 when only this machine is, else 0."""
        errors = {finding.code for finding in self.findings if finding.severity is Severity.ERROR}
        if UNREADABLE in errors:
            return UNREADABLE_EXIT
        if errors and all(code.startswith(_PLUGINS) for code in errors):
            return ENVIRONMENT_EXIT
        return INVALID_EXIT if errors else 0

    def only(self, select: Sequence[str], ignore: Sequence[str]) -> Definitions:
        """Return this with the findings whose code begins with one of *select* (all, if empty) and none of *ignore*."""

        def kept(finding: Finding) -> bool:
            if finding.code == UNREADABLE:  # nothing was checked then, so this finding cannot be ignored
                return True
            chosen = not select or finding.code.startswith(tuple(select))
            return chosen and not finding.code.startswith(tuple(ignore))

        return Definitions(
            tuple(replace(each, findings=tuple(filter(kept, each.findings))) for each in self.files),
            tuple(filter(kept, self.unplaced)),
        )

    def strict(self) -> Definitions:
        """Return this with every warning made an error."""

        def harder(finding: Finding) -> Finding:
            return replace(finding, severity=Severity.ERROR)

        return Definitions(
            tuple(replace(each, findings=tuple(map(harder, each.findings))) for each in self.files),
            tuple(map(harder, self.unplaced)),
        )

    def show(self) -> None:
        """Write the report for people to stderr: stdout is for the command's own result. JSON has it too."""
        color = screen.wants_color(sys.stderr, screen.session().color)
        print(report.render("text", self.files, unplaced=self.unplaced, color=color), file=sys.stderr, flush=True)
        found = json.loads(report.render("json", self.files, unplaced=self.unplaced))
        first = next((each for each in found["findings"] if each["severity"] == "error"), {"code": "", "message": ""})
        screen.failed({"code": first["code"], "message": first["message"], "help": "", "findings": found["findings"]})


def load_definitions(
    paths: Sequence[str], catalogue: Catalogue | None = None, *, stdin_filename: str = ""
) -> Definitions:
    """Load everything that *paths* name; without a path, the current folder.

    Args:
        catalogue: The installed activities; ``None`` accepts every name.
        stdin_filename: Name for the definition from ``-``.
    """
    found = find(paths)
    installed = Installed(catalogue) if catalogue is not None else None
    known = Known(activities=installed)
    loaded: dict[Path | str, Loaded] = {}
    files = [path for path in found if isinstance(path, Path)]
    loaded.update(zip(files, load_many(files, known), strict=True))
    if STDIN in found:
        data = sys.stdin.buffer.read()
        name = stdin_filename or "<stdin>"
        loaded[STDIN] = load(data, name=name, known=beside(Path(name), data, known))
    missing = [Finding(UNREADABLE, str(each), ()) for each in found if isinstance(each, NoSuchFile)]
    broken = {} if installed is None else installed.problems
    for each in broken.values():
        screen.authors_stack(each)
    ordered = tuple(_needing(loaded[each], broken) for each in found if not isinstance(each, NoSuchFile))
    told = {finding.message for each in ordered for finding in each.findings}
    aside = [
        Finding(each.code, str(each), (), Severity.WARNING, each.help)
        for each in broken.values()
        if str(each) not in told
    ]
    return Definitions(ordered, (*missing, *aside))


def _needing(loaded: Loaded, broken: Mapping[str, Problem]) -> Loaded:
    """Return *loaded* with an error for every call of an activity that is installed and does not work."""
    if loaded.draft is None or not broken:
        return loaded
    errors = [
        Finding(broken[name].code, str(broken[name]), route, help=broken[name].help, step=step)
        for name, route, step in _own_calls(loaded.draft)
        if name in broken
    ]
    return replace(loaded, findings=(*loaded.findings, *errors), saga=None) if errors else loaded


def _own_calls(saga: Saga) -> Iterator[tuple[str, Route, str]]:
    """Yield the calls on the saga's own queue, whose activities this machine needs: name, place, id of the step."""
    for place in saga.places.values():
        step = place.step
        found: list[tuple[object, Route]] = [(step.body, ()), (step.probe, ("probe",))]
        actions = step.compensation.actions if step.compensation is not None else ()
        found += [(action.call, ("compensation", index)) for index, action in enumerate(actions)]
        for call, inner in found:
            if isinstance(call, ActivityCall) and call.task_queue is None:
                yield call.activity, (*step.route, *inner, "activity"), step.id
