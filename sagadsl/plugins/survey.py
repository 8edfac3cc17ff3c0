"""Describes all installed activities in a process of its own, for programs that live long.

What an import does, prints or breaks stays in that process, and a module that has changed is read anew each time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable, field
from sagadsl.language.analysis.known import Signature
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.problems import PluginBroken, Problem, Told

PATIENCE = 120
"""Seconds that an import may take; whatever takes longer hangs."""


class Survey(Immutable):
    """What is installed.

    Attributes:
        signatures: All activities that work, by name.
        problems: What does not work.
        failure: Why nobody could look, in one sentence; empty if all is well.
        modules: The local modules, also those of the settings.
    """

    signatures: Mapping[str, Signature] = field(default_factory=dict)
    problems: tuple[Told, ...] = ()
    failure: str = ""
    modules: tuple[str, ...] = ()

    def problem(self, activity: str) -> Told | None:
        """Return the problem that is the reason why an activity is not there; ``None`` if it is not known at all."""
        if activity in self.signatures:
            return None
        for each in self.problems:
            if each.is_a_module or each.name == activity or activity.startswith(f"{each.name}."):
                return each
        return None


class Surveyed(Mapping[str, Signature]):
    """The signatures of a survey, for checks: they take a mapping, and ask for its names in order."""

    def __init__(self, found: Survey) -> None:
        self.survey = found

    def __getitem__(self, name: str) -> Signature:
        return self.survey.signatures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self.survey.signatures))

    def __len__(self) -> int:
        return len(self.survey.signatures)


def survey(modules: Sequence[str], folder: Path) -> Survey:
    """Return what is installed for a project. It never raises for what somebody else's code does.

    Args:
        modules: Local modules beside those of the settings.
        folder: Where settings and local modules are.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "sagadsl.plugins.survey", *modules],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Survey(failure=f"the installed activities cannot be read: an import has not ended in {PATIENCE} seconds")
    except OSError as error:
        return Survey(failure=f"the installed activities cannot be read: {error}")
    if done.returncode:
        return Survey(failure=f"the installed activities cannot be read: the process ended with {done.returncode}")
    try:
        return _read(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError) as error:
        return Survey(failure=f"the installed activities cannot be read: {error}")


def _read(found: Mapping[str, Any]) -> Survey:
    signatures = (
        Signature(**each | {"errors": tuple(each["errors"]), "examples": tuple(each["examples"])})
        for each in found["signatures"]
    )
    problems = tuple(Told(**each) for each in found["problems"])
    return Survey({each.name: each for each in signatures}, problems, found["failure"], tuple(found["modules"]))


def _look(modules: Sequence[str]) -> dict[str, Any]:
    try:
        catalogue = Catalogue.discover(modules, lenient=True)
    except SagadslError as error:  # the settings
        failure = f"{error}; {error.help}" if error.help else str(error)
        return {"signatures": [], "problems": [], "failure": failure, "modules": []}
    working: list[Signature] = []
    broken: list[Problem] = []
    for plugin in catalogue.load_all():
        signature = catalogue.signature(plugin.name)
        (working if isinstance(signature, Signature) else broken).append(signature)  # type: ignore[arg-type]
    broken = [*catalogue.problems, *broken]
    return {
        "signatures": [asdict(each) for each in working if _is_json(each)],
        "problems": [asdict(_told(each)) for each in broken],
        "failure": "",
        "modules": catalogue.modules,
    }


def _is_json(signature: Signature) -> bool:
    try:
        json.dumps(asdict(signature))
    except (TypeError, ValueError):  # an example that is no JSON
        return False
    return True


def _told(problem: Problem) -> Told:
    is_a_module = isinstance(problem, PluginBroken) and problem.is_a_module
    return Told(problem.name, problem.code, str(problem), problem.help, is_a_module)


def _main() -> None:
    ours = os.dup(1)
    os.dup2(2, 1)  # whatever an import prints is not our answer
    found = json.dumps(_look(sys.argv[1:]))
    with os.fdopen(ours, "w", encoding="utf-8") as answer:
        answer.write(found)
    os._exit(0)  # threads that an import has left behind would hold us


if __name__ == "__main__":
    _main()
