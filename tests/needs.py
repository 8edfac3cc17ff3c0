"""What tests need that may be missing on a machine: one way to ask for it, and one line at the end of a run that tells.

Where everything has to be tested (``CI`` is set), what is missing is a failure.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

Command = tuple[str, ...]
"""How a program is called, without its arguments."""

_SKIPPED = "Skipped: "
_MISSING = "missing here: "


@dataclass(frozen=True, slots=True)
class Need:
    """What some tests cannot do without.

    Attributes:
        name: As people call it.
        remedy: How to have it.
        find: Returns how it is called, or None where it is missing.
    """

    name: str
    remedy: str
    find: Callable[[], Command | None]


def _beside_python_or_on_path(*names: str) -> Callable[[], Command | None]:
    """Find the first of *names* that ``make setup`` has installed, or that is on PATH."""

    def find() -> Command | None:
        beside = str(Path(sys.executable).parent)
        found = (shutil.which(name, path=place) for place in (beside, None) for name in names)
        return next(((each,) for each in found if each), None)

    return find


NEEDS = {
    "chromium": Need(
        "Chromium",
        "`apt-get install chromium`, or Google Chrome on PATH",
        _beside_python_or_on_path("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    ),
    "go": Need("Go", "`make setup` installs it", _beside_python_or_on_path("go")),
    "node": Need("Node", "install Node 20 or later", _beside_python_or_on_path("node")),
    "npm": Need("npm", "install Node 20 or later with npm", _beside_python_or_on_path("npm")),
    "java": Need("Java", "install a JDK 17 or later", _beside_python_or_on_path("java")),
    "maven": Need("Maven", "install a JDK 17 or later, and Maven", _beside_python_or_on_path("mvn")),
}


def need(what: str) -> Command:
    """Return how to call what a test needs (a key of ``NEEDS``); where it is missing, the test does not run."""
    found = NEEDS[what].find()
    if found is None:
        missing(what)
    return found


def missing(what: str, why: str | None = None) -> NoReturn:
    """Tell that *what* is missing: a skipped test that the last lines name, or a failure where all has to be tested.

    Args:
        what: A key of ``NEEDS``.
        why: What was found out, if the remedy of ``NEEDS`` is not the right one.
    """
    text = f"{_MISSING}{NEEDS[what].name} ({why or NEEDS[what].remedy})"
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(f"{text}; CI is set, so that everything has to be tested", pytrace=False)
    pytest.skip(text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tested, and why."""
    reasons = (report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    prefix = _SKIPPED + _MISSING
    counted = Counter(reason.removeprefix(prefix) for reason in reasons if reason.startswith(prefix))
    if counted:
        told = (f"{count} test{'s' * (count != 1)}, since this is missing: {what}" for what, count in counted.items())
        terminalreporter.write_line(f"not run here: {'; '.join(sorted(told))}", yellow=True)
