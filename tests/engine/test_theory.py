"""The page about the engine draws the phases of a run as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagadsl.engine.journal import Phase, State
from sagadsl.trial.runner import run, virtual
from tests.trial.conformance_table import suites

PAGE = (Path(__file__).parents[2] / "docs" / "engine.md").read_text(encoding="utf-8")


def _passed_through(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Play every case of the conformance suite; return each phase that a run has left, with the one it went to."""
    seen: set[tuple[str, str]] = set()
    slot = State.__dict__["phase"]

    def entered(state: State, phase: Phase) -> None:
        try:
            before = slot.__get__(state)
        except AttributeError:  # the state is being made
            before = phase
        if before is not phase:
            seen.add((before.value, phase.value))
        slot.__set__(state, phase)

    monkeypatch.setattr(State, "phase", property(slot.__get__, entered))
    for _ in run(suites(), virtual(None)):
        pass
    return seen


def test_the_phases_follow_each_other_as_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = set(re.findall(r"^\s+(\w+) --> (\w+)", PAGE, re.M))

    assert {phase.value for phase in Phase} == {name for edge in drawn for name in edge}
    assert _passed_through(monkeypatch) == drawn
