"""What the names of expressions show: views of the state, read by key like the objects they stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sagadsl.engine.journal import Frame, FrameKind
from sagadsl.engine.scope import StepsView, StepView, scope
from tests.engine.scenes import Ran, act, gives, no, plain, play, saga


def _steps(ran: Ran, as_of: int | None = None) -> StepsView:
    return StepsView(ran.run.saga, ran.state, {}, as_of)


def test_a_step_shows_its_status_its_output_and_its_error() -> None:
    ran = play(saga(act("a"), act("b", on_error="continue"), plain("c", **{"if": "false"})), {"a": gives(1), "b": no()})
    steps = _steps(ran)

    assert {name: dict(steps[name]) for name in steps} == {
        "a": {"status": "completed", "output": 1},
        "b": {"status": "failed", "output": None, "error": {"type": "Refused", "message": "Refused!"}},
        "c": {"status": "skipped"},
    }
    assert (len(steps), [len(steps[name]) for name in steps]) == (3, [2, 3, 1])
    assert steps["b"].to_data() == dict(steps["b"])


def test_a_step_that_has_not_begun_is_pending() -> None:
    assert dict(StepView(None)) == {"status": "pending"}


@pytest.mark.parametrize(
    ("view", "name"), [("steps", "nowhere"), ("step", "outputs"), ("step", "error"), ("saga", "nm")]
)
def test_what_is_not_there_is_named(view: str, name: str) -> None:
    ran = play(saga(act("a")))
    names: dict[str, Any] = scope(ran.run.saga, ran.state, Frame("", FrameKind.SEQUENCE, "", "steps"))
    views = {"steps": names["steps"], "step": names["steps"]["a"], "saga": names["saga"]}

    with pytest.raises(KeyError, match=f"^'{name}'$"):
        views[view][name]


def test_as_of_a_moment_only_what_had_ended_by_then_is_there() -> None:
    """R14."""
    ran = play(saga(act("a"), act("b"), act("c")))
    ended = ran.record("b").ended
    ran.state.records["c"] = replace(ran.record("c"), ended=0)  # it runs

    seen = {name: step["status"] for name, step in _steps(ran, ended).items()}

    assert seen == {"a": "completed", "b": "completed", "c": "pending"}
    assert _steps(ran, ended - 1)["b"]["status"] == "pending"


def test_a_step_of_a_loop_is_not_seen_from_outside() -> None:
    """R7: which round would it be?"""
    ran = play(saga({"id": "each", "for_each": {"items": "[1]"}, "steps": [act("x")]}))

    with pytest.raises(KeyError, match=r"^'x'$"):
        _steps(ran)["x"]
