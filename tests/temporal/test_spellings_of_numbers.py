"""A definition that is taken runs the same on a real server, however its numbers are written; and mistakes are told."""

from __future__ import annotations

import pytest

from sagadsl.language.load import load
from sagadsl.temporal.wire.definitions import InvalidDefinition, checked
from tests.conftest import Server
from tests.engine.scenes import flaky, plain, saga
from tests.temporal.play import play

TWO_KINDS = {"id": "a", "sleep": "1s", "set": {"b": 1}}


@pytest.mark.temporal
def test_whole_numbers_may_be_written_with_a_point(server: Server) -> None:
    """`priority: 3.0` passed every check, and kept the run's workflow task failing for ever."""
    steps = [plain(id_, priority=3.0, retry={"maximum_attempts": 2.0, "initial_interval": "10ms"}) for id_ in "ab"]
    loop = {"id": "each", "for_each": {"items": [1, 2], "max_concurrency": 2.0}, "steps": [plain("c", local=True)]}
    definition = saga({"id": "both", "parallel": steps, "max_concurrency": 1.0}, loop)
    played = play(server.address, definition, {"do.b": flaky("Busy")})

    assert (played.ended.status, played.ended.error and played.ended.error[0]) == ("compensated", "Busy")
    assert played.calls == ["both/a", "both/b"]


def test_a_step_of_two_kinds_is_told_of_wherever_it_stands() -> None:
    """Data has no places of its keys, and a step below a misspelt key no right one: both were internal errors."""
    with pytest.raises(InvalidDefinition, match=r"SD106 steps\[0\].set: step `a` is of 2 kinds at once: `sleep`"):
        checked({"sagadsl": 1, "name": "two", "steps": [TWO_KINDS]})

    found = load("sagadsl: 1\nname: two\nstep:\n  - {id: a, sleep: 1s, set: {b: 1}}\n").findings
    assert [each.code for each in found] == ["SD104"]
