"""pytest collects suites (``*.saga-test.yaml``), and has a fixture ``saga``.

Loaded in every run of every user, so it imports nothing before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sagadsl.testing import Scene
    from sagadsl.trial.runner import Result
    from sagadsl.trial.suite import Playable, Suite

_SUFFIXES = (".saga-test.yaml", ".saga-test.yml")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``sagadsl_suites``: whether suites are collected."""
    parser.addini("sagadsl_suites", "collect *.saga-test.yaml files", type="bool", default=True)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the suites among the files."""
    if not file_path.name.endswith(_SUFFIXES) or not parent.config.getini("sagadsl_suites"):
        return None
    collector: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
    return collector


class SuiteFile(pytest.File):
    """One suite."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield its cases; a suite with mistakes is an error of collection, in the words of ``sagadsl test``."""
        from sagadsl.reporting import report
        from sagadsl.trial.runner import virtual
        from sagadsl.trial.suite import load_suite

        suite = load_suite(self.path)
        if suite.errors:
            raise self.CollectError(report.render("text", [suite]))
        host = virtual(None)
        for playable in suite.cases:
            item = CaseItem.from_parent(self, name=playable.case.name, suite=suite, playable=playable, host=host)
            for rule in playable.case.rules:
                item.extra_keyword_matches.add(rule)
            yield item


class MissedExpectation(Exception):
    """A case that went otherwise than it expects."""


class CaseItem(pytest.Item):
    """One case."""

    def __init__(self, *, suite: Suite, playable: Playable, host: Any, **more: Any) -> None:
        super().__init__(**more)
        self._suite, self._playable, self._host = suite, playable, host

    def runtest(self) -> None:
        """Play it."""
        from sagadsl.trial.runner import run_one

        result = run_one(self._suite, self._playable, self._host)
        if result.misses:
            raise MissedExpectation("\n".join(_lines(result)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what was missed and what happened, not how the runner got there."""
        if isinstance(excinfo.value, MissedExpectation):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the case stands."""
        span = self._suite.document.spans.get(self._playable.case.route)
        return self.path, 0 if span is None else span.line - 1, self.name


def _lines(result: Result) -> Iterator[str]:
    from sagadsl.trial.timeline import text, timeline

    for miss in result.misses:
        yield f"{miss.what}: expected {miss.expected}"
        yield f"{' ' * len(miss.what)}  got      {miss.found}"
    if result.played is not None:
        yield "what happened:"
        yield from (f"  {line}" for line in text(timeline(result.playable.target.saga.name, result.played)))


@pytest.fixture
def saga() -> Callable[[str | Path], Scene]:
    """``saga("order.saga.yaml").given(mocks={...}).when("pay", cancel=True).play()``: see ``sagadsl.testing``."""
    from sagadsl.testing import load

    return load
