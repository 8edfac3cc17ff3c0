"""`saga.now` on a server: the workflow's own clock, which a replay sees again (every played history is replayed)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.conftest import Server
from tests.engine.scenes import act, no, plain, saga
from tests.temporal.play import play

pytestmark = pytest.mark.temporal


def test_the_clock_of_a_saga_is_recorded_and_a_compensation_has_the_moment_of_its_step(server: Server) -> None:
    """R15, R56: also with the worker's cache switched off, where each task computes all of it again."""
    now = {"set": {"now": "{{ saga.now }}"}}
    steps = (
        {"id": "first", **now},
        {"id": "rest", "sleep_until": "{{ steps.first.output.now | plus('1s') | in_zone('Asia/Kolkata') }}"},
        {"id": "second", "if": "saga.now | seconds >= steps.first.output.now | seconds + 1", **now},
        act("a", compensation={"activity": "undo.a", "input": "{{ saga.now }}"}),
        plain("b", input=["{{ steps.first.output.now }}", "{{ steps.second.output.now }}"]),
    )

    played = play(server.address, saga(*steps, name="clock"), {"do.b": no()}, max_cached_workflows=0)

    first, second = map(datetime.fromisoformat, played.stage.sent["b"])
    undone = datetime.fromisoformat(played.stage.sent["a.compensation"])
    assert timedelta(seconds=1) <= second - first
    assert second <= undone
