"""The cases of the conformance suite that every build plays on a real server: with a cache and without.

The whole suite is played there by ``python -m tests.trial.conformance_table --on temporal``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagadsl.temporal.trial.suites import real
from sagadsl.temporal.trial.worker import CACHED
from sagadsl.trial.runner import Host, run_one
from sagadsl.trial.suite import Playable, Suite
from tests.temporal.play import SDK_RACE, replay
from tests.trial.conformance_table import marked

pytestmark = pytest.mark.filterwarnings(SDK_RACE)

CASES = list(marked())


@pytest.fixture(scope="module", params=[CACHED, 0], ids=["cached", "replayed"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """Plays all cases at once; without a cache each workflow task begins with a replay, and each run ends with one."""
    with real([playable for _, playable in CASES], {}, cached=request.param, inspect=replay) as playing:
        yield playing


@pytest.mark.parametrize(("suite", "playable"), CASES, ids=[each.case.name for _, each in CASES])
def test_a_real_server_keeps_every_rule(suite: Suite, playable: Playable, host: Host) -> None:
    """R53, and the rules that the case names; its history is replayed afterwards."""
    result = run_one(suite, playable, host, timed=False)

    assert result.unplayed == ""
    assert result.misses == ()
    assert result.played is not None
    assert result.played.output is None or result.played.status in ("completed", "rejected")
