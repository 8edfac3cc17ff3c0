"""Failures are named as they happen: a run of many minutes keeps their stories for its end, and may not reach it."""

from __future__ import annotations

import pytest


class Failing:
    """Writes a line for each test that fails, where results are printed."""

    def __init__(self, screen: pytest.TerminalReporter) -> None:
        self._screen = screen

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Name the test, and what part of it failed, with the first line of why."""
        if report.failed:
            part = "" if report.when == "call" else f" ({report.when})"
            crash = getattr(report.longrepr, "reprcrash", None)
            said = (crash.message if crash else str(report.longrepr or "")).strip().partition("\n")[0]
            self._screen.write("\n")  # behind the dots
            self._screen.write_line(f"failed now: {report.nodeid}{part}: {said}", red=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Write where there is a screen: the processes of xdist have none, and their reports come to the one that has."""
    screen = config.pluginmanager.get_plugin("terminalreporter")
    if screen is not None:
        config.pluginmanager.register(Failing(screen), "failures as they happen")
