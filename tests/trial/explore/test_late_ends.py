"""`explore` of steps with `settle`: attempts end late while an undo waits. R96, R97."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.engine import late
from sagadsl.engine.facts import LateEnd, Outcome
from sagadsl.engine.run import Run
from sagadsl.trial.explore.example import example
from sagadsl.trial.explore.run import Task, explore, surroundings_of
from tests.engine.scenes import act, saga

TIMES = {"start_to_close": "2s", "settle": "4s"}
SHAPES: dict[str, dict[str, Any]] = {
    "sequence": saga(act("a"), act("b", timeouts=TIMES)),
    "parallel": saga({"id": "p", "parallel": [act("a"), act("b", timeouts=TIMES)]}, compensation={"order": "parallel"}),
    "a no in the result": saga(act("b", timeouts=TIMES, failed_if={"if": "output.no == true"})),
    "repeated": saga(act("b", timeouts=TIMES, on_error="pause")),
    "tried again": saga({"id": "g", "retry": {"maximum_attempts": 2}, "steps": [act("b", timeouts=TIMES)]}),
    "in a loop": saga({"id": "l", "for_each": {"items": "{{ [1, 2] }}"}, "steps": [act("b", timeouts=TIMES)]}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_however_an_attempt_ends_late_no_law_is_broken(shape: str) -> None:
    found = explore(Task(SHAPES[shape], kills=True, resets=True))

    assert [each.message for each in found.summary.violations.values()] == []


def test_a_late_success_that_counts_as_a_no_is_found_and_its_case_shows_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard = late.heard

    def deaf(run: Run, fact: LateEnd) -> None:
        heard(run, LateEnd(fact.at, fact.call_id, Outcome.FAILED, fact.attempt, fact.began))

    monkeypatch.setattr(late, "heard", deaf)
    found = explore(Task(SHAPES["sequence"]))

    assert {each.rule for each in found.summary.violations.values()} >= {"R1"}
    violation = next(each for each in found.summary.violations.values() if each.kind == "effect-left")
    shown = example(violation, surroundings_of(Task(SHAPES["sequence"])))
    assert shown.replayed
    late_end = {"after": "100ms", "output": None}
    assert shown.case["given"]["mocks"]["b"] == {"timeout": "start_to_close", "late": late_end}
