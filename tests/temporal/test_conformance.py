"""The cases of the conformance suite that every build plays on a real server: with a cache and without.

The whole suite is played there by ``python -m tests.trial.conformance_table --on temporal``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagadsl.temporal.trial.suites import real
from sagadsl.temporal.trial.worker import CACHED
from sagadsl.trial.runner import Host, run_one
from tests.temporal.play import SDK_RACE, replay
from tests.trial.conformance_list import Listed, loaded, marked
from tests.trial.conformance_table import settled

INTERRUPTED = "ignore::pytest.PytestUnraisableExceptionWarning"
"""The SDK interrupts a workflow task that takes two seconds, as it may on a busy machine, wherever it is just then."""

pytestmark = [pytest.mark.filterwarnings(SDK_RACE), pytest.mark.filterwarnings(INTERRUPTED)]


@pytest.fixture(scope="module", params=[CACHED, 0], ids=["cached", "replayed"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Plays all cases at once; without a cache each workflow task begins with a replay, and each run ends with one."""
    with real([loaded(each)[1] for each in marked()], {}, cached=request.param, inspect=replay) as playing:
        yield playing


@pytest.mark.parametrize("named", marked(), ids=lambda named: named.case)
def test_a_real_server_keeps_every_rule(named: Listed, host: Host, request: pytest.FixtureRequest) -> None:
    """R53, and the rules that the case names; its history is replayed afterwards."""
    cached = request.node.callspec.params["host"]
    result = settled(run_one(*loaded(named), host, timed=False), cached=cached, inspect=replay)

    assert result.unplayed == ""
    assert result.misses == ()
    assert result.played is not None
    assert result.played.output is None or result.played.status in ("completed", "rejected")
