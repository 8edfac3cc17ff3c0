"""Finds the definitions of a command by their paths, loads them, and reports their findings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeGuard

import click

from sagadsl.cli import screen
from sagadsl.cli.files import STDIN, NoSuchFile, find
from sagadsl.cli.fitted import width_of
from sagadsl.cli.installed import Installed
from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.immutable import Immutable, replace
from sagadsl.language.analysis.known import Known
from sagadsl.language.loaded import NO_SUCH_SAGA, Loaded
from sagadsl.language.model import Saga
from sagadsl.language.suggest import listed
from sagadsl.language.versions import of_version, rank
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.needed import advised, needing
from sagadsl.reporting import report

UNREADABLE = ("SD016", NO_SUCH_SAGA)
"""The codes of paths that lead to no definition."""
INVALID_EXIT = 1
UNREADABLE_EXIT = 2
ENVIRONMENT_EXIT = 3

_PLUGINS = "SD91"


class Definitions(Immutable):
    """The definitions at some paths, with their findings.

    Attributes:
        files: One for each saga; a file with several gives several.
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
        return exit_code_of(self.findings)

    def only(self, select: Sequence[str], ignore: Sequence[str]) -> Definitions:
        """Return this with the findings whose code begins with one of *select* (all, if empty) and none of *ignore*."""

        def kept(finding: Finding) -> bool:
            if finding.code in UNREADABLE:  # nothing was checked then, so this finding cannot be ignored
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
            return replace(finding, severity=Severity.ERROR) if finding.severity is Severity.WARNING else finding

        return Definitions(
            tuple(replace(each, findings=tuple(map(harder, each.findings))) for each in self.files),
            tuple(map(harder, self.unplaced)),
        )

    def show(self) -> None:
        """Write the report for people to stderr: stdout is for the command's own result. JSON has it too."""
        color = screen.wants_color(sys.stderr, screen.session().color)
        width = width_of(sys.stderr)
        screen.tell(report.render("text", self.files, unplaced=self.unplaced, color=color, width=width))
        found = json.loads(report.render("json", self.files, unplaced=self.unplaced))
        first = next((each for each in found["findings"] if each["severity"] == "error"), {"code": "", "message": ""})
        screen.failed({"code": first["code"], "message": first["message"], "help": "", "findings": found["findings"]})


def exit_code_of(findings: Iterable[Finding]) -> int:
    """Return the exit code of a command that has checked files and found this."""
    errors = {finding.code for finding in findings if finding.severity is Severity.ERROR}
    if errors.intersection(UNREADABLE):
        return UNREADABLE_EXIT
    if errors and all(code.startswith(_PLUGINS) for code in errors):
        return ENVIRONMENT_EXIT
    return INVALID_EXIT if errors else 0


def load_definitions(
    paths: Sequence[str],
    catalogue: Catalogue | None = None,
    *,
    stdin_filename: str = "",
    libraries: bool = False,
    children: bool = False,
) -> Definitions:
    """Load everything that *paths* name; without a path, the current folder.

    Args:
        catalogue: The installed activities; ``None`` accepts every name.
        stdin_filename: Name for the definition from ``-``.
        libraries: A library among them is no mistake.
        children: With a saga that is named by ``FILE#NAME`` come its child sagas in that file.
    """
    found = find(paths)
    installed = Installed(catalogue) if catalogue is not None else None
    loaded = load_found(found, installed, stdin_filename, children=children)
    return reported(found, loaded, installed, libraries=libraries)


Found = Sequence[Path | Literal["-"] | NoSuchFile]


def load_found(
    found: Found, installed: Installed | None, stdin_filename: str = "", *, children: bool = False
) -> list[Loaded]:
    """Load what the paths of a command have led to."""
    from sagadsl.language.load import load_many, load_text  # a third of the time of a command that loads nothing

    known = Known(activities=installed)
    at_stdin = found.index(STDIN) if STDIN in found else len(found)
    loaded = list(load_many(filter(_is_path, found[:at_stdin]), known, children=children))
    if STDIN in found:
        loaded += load_text(sys.stdin.buffer.read(), stdin_filename or "<stdin>", known=known)
        loaded += load_many(filter(_is_path, found[at_stdin:]), known, children=children)
    return loaded if installed is None else [judged(each, installed) for each in loaded]


def judged(loaded: Loaded, installed: Installed) -> Loaded:
    """Return a definition with what is to be said of its activities that are broken or not installed."""
    return advised(needing(loaded, installed.problems), installed.unknown)


def reported(
    found: Found, loaded: Iterable[Loaded], installed: Installed | None, *, libraries: bool = False
) -> Definitions:
    """Return what has been loaded with the findings that belong to no place in a file, and write stacks for authors.

    Args:
        libraries: A library among them is no mistake.
    """
    missing = [Finding(UNREADABLE[0], str(each), (), help=each.help) for each in found if isinstance(each, NoSuchFile)]
    broken = {} if installed is None else installed.problems
    for problem in broken.values():
        screen.authors_stack(problem)
    ordered = tuple(loaded) if libraries else tuple(map(_runnable, loaded))
    messages = {finding.message for each in ordered for finding in each.findings}
    aside = [
        Finding(each.code, str(each), (), Severity.WARNING, each.help)
        for each in broken.values()
        if str(each) not in messages
    ]
    return Definitions(ordered, (*missing, *aside))


def _is_path(found: object) -> TypeGuard[Path]:
    return isinstance(found, Path)


def the_one(definitions: Definitions, written: str, what: str) -> Loaded:
    """Return the only saga at an address. Raises ``click.UsageError`` when there are several."""
    if len(definitions.files) == 1:
        return definitions.files[0]
    names = [each.saga.name if each.saga is not None else each.document.address for each in definitions.files]
    example = definitions.files[0].document.address
    raise click.UsageError(
        f"`{written}` has {len(names)} sagas ({listed(names)}), and {what}: say which, as in `{example}`"
    )


def of_one_name(definitions: Definitions, *, versions: bool = False) -> Iterator[str]:
    """Yield one sentence for every name that two definitions have; with *versions*, two of one version."""
    places: dict[str, list[str]] = {}
    for each in definitions.files:
        if each.saga is not None:
            name = of_version(each.saga.name, each.saga.version) if versions else each.saga.name
            places.setdefault(name, []).append(each.document.address)
    for name, found in sorted(places.items()):
        if len(found) > 1:
            yield f"saga `{name}` is defined in {' and in '.join(found)}"


def one_name_each(definitions: Definitions, *, versions: bool = False) -> None:
    """Raise ``click.UsageError`` when two definitions have one name: nobody knows which of them is meant by it.

    With *versions*, when two of one name have one version.
    """
    if doubles := list(of_one_name(definitions, versions=versions)):
        raise click.UsageError("; ".join(doubles))


def by_name(definitions: Definitions, chosen: Loaded | None = None) -> dict[str, Loaded]:
    """Return the usable definitions by name. Of two with one name, that in the file of *chosen* counts."""
    usable = [each for each in definitions.files if each.saga is not None]
    if chosen is not None:
        usable = [*sorted(usable, key=lambda each: each.document.name == chosen.document.name), chosen]
    return {each.saga.name: each for each in usable if each.saga is not None}


def secrets_in(found: Iterable[Loaded]) -> dict[str, Any]:
    """Return where the activities that definitions call have secrets, see ``Loaded.secrets``."""
    return {name: marks for each in found for name, marks in each.secrets.items()}


def by_version(definitions: Definitions) -> dict[str, Loaded]:
    """Return the usable definitions by name; of several versions the newest, and the others as ``NAME@VERSION``."""
    found: dict[str, Loaded] = {}
    usable = [(each.saga.name, each.saga.version, each) for each in definitions.files if each.saga is not None]
    for name, version, each in sorted(usable, key=lambda one: rank(one[1]), reverse=True):
        found[of_version(name, version) if name in found else name] = each
    return found


def _runnable(loaded: Loaded) -> Loaded:
    """Return *loaded* with an error if it is a library."""
    if not loaded.is_library:
        return loaded
    help = "definitions import it; `sagadsl validate` checks it"
    wrong = Finding("SD012", "this is a library, not a definition", (), help=help)
    return replace(loaded, findings=(*loaded.findings, wrong))
