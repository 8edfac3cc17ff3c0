"""`explore --kills`: the server ends a run at any moment, and a new run takes it up; failed sagas are redriven."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine import redriven
from sagadsl.engine.records import Record
from sagadsl.engine.run import Run
from sagadsl.trial.explore.run import Task, explore
from tests.engine.scenes import act, plain, saga

CONTINUES = {"on_failure": "continue"}
SHAPES: dict[str, dict[str, Any]] = {
    "sequence": saga(act("a"), act("b")),
    "parallel": saga({"id": "p", "parallel": [act("a"), act("b")]}),
    "left": saga(act("a"), act("b"), compensation=CONTINUES),
    "stopped": saga(act("a"), act("b", on_error=[{"then": "stop"}])),
    "pivot": saga(act("a"), plain("b", pivot=True, probe={"activity": "probe"})),
    "loop": saga({"id": "l", "for_each": {"items": "{{ [1, 2] }}", "as": "n"}, "steps": [act("a")]}),
}


KID = saga(act("x"), name="kid")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_kill_at_any_moment_breaks_no_law(shape: str) -> None:
    """R31, R45: nothing is undone twice, nothing is forgotten, and what is unknown is said."""
    found = explore(Task(SHAPES[shape], kills=True))
    assert [each.message for each in found.summary.violations.values()] == []
    assert any("the server ends the run" in fault for fault in found.summary.faults)


def test_a_redrive_changes_nothing_in_the_ways_beside_it() -> None:
    """R45: what an operator has left undone of a child is due again in the way that is redriven, and in no other."""
    child = {"id": "k", "saga": "kid", "compensation": "auto"}
    found = explore(Task(saga(act("a"), child, act("b")), {"kid": KID}, kills=True))
    assert [each.message for each in found.summary.violations.values()] == []
    assert any("child saga `k` fails and is not undone" in fault for fault in found.summary.faults)


def test_a_call_in_flight_that_nobody_doubts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """R5: its first time has happened, and its repetition says no."""
    begin_again = redriven._begin_again

    def trusting(run: Run, call_id: str, *, anew: bool) -> None:
        record: Record = run.state.records[run.state.calls[call_id]]
        begin_again(run, call_id, anew=anew)
        record.doubt = False

    monkeypatch.setattr(redriven, "_begin_again", trusting)
    found = explore(Task(SHAPES["sequence"], kills=True))
    assert any(each.rule in ("R1", "R3", "R20") for each in found.summary.violations.values())
