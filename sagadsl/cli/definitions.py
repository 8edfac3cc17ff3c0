"""Definitions as a command gets them: found by their paths, loaded through every stage, reported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sagadsl import report
from sagadsl.cli import screen
from sagadsl.cli.files import STDIN, Missing, find
from sagadsl.cli.installed import Installed
from sagadsl.diagnostics import Finding, Severity
from sagadsl.language.checks.known import Known
from sagadsl.language.load import Loaded, beside, load, load_many
from sagadsl.language.model import Saga
from sagadsl.plugins import Catalogue

UNREADABLE = "SD016"
INVALID_EXIT = 1
UNREADABLE_EXIT = 2


@dataclass(frozen=True, slots=True)
class Definitions:
    """What came of some paths.

    Attributes:
        unplaced: Findings about no file: paths that lead nowhere, activities that are named and cannot be used.
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
        """2 when something cannot be read, 1 when something is wrong, else 0 (L01)."""
        if any(finding.code == UNREADABLE for finding in self.findings):
            return UNREADABLE_EXIT
        return 0 if self.are_usable else INVALID_EXIT

    def only(self, select: Sequence[str], ignore: Sequence[str]) -> Definitions:
        """Return this with the findings whose code begins with one of *select* (all, if empty) and none of *ignore*."""

        def kept(finding: Finding) -> bool:
            if finding.code == UNREADABLE:  # nobody can mean not to be told that nothing was checked
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
        """Write the report for people to stderr: the command has another result, or none."""
        color = screen.wants_color(sys.stderr, screen.session().color)
        print(report.render("text", self.files, unplaced=self.unplaced, color=color), file=sys.stderr, flush=True)


def load_definitions(
    paths: Sequence[str], catalogue: Catalogue | None = None, *, stdin_filename: str = ""
) -> Definitions:
    """Load everything that *paths* name; no path is the current folder.

    Args:
        catalogue: Activities to know of; ``None`` knows none, and takes every name for right.
        stdin_filename: Name for what comes from ``-``.
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
    missing = [Finding(UNREADABLE, str(each), ()) for each in found if isinstance(each, Missing)]
    broken = [] if installed is None else [_broken(each) for each in installed.problems]
    ordered = tuple(loaded[each] for each in found if not isinstance(each, Missing))
    return Definitions(ordered, (*missing, *broken))


def _broken(problem: Exception) -> Finding:
    return Finding(
        str(getattr(problem, "code", "SD910")), str(problem), (), Severity.WARNING, str(getattr(problem, "help", ""))
    )
