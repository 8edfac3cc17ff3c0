"""The static checks and the engine agree on what can be read where.

Whatever saga there is: once every expression that the checks complain about is taken out, no expression of
its run fails, whichever steps fail, are skipped or are cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagadsl.engine.facts import StartActivity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.build import build
from sagadsl.language.checks.registry import ALL
from sagadsl.language.model import Saga
from sagadsl.virtual.calls import Attempt
from sagadsl.virtual.world import World

IDS = 12


@dataclass
class _Maker:
    """Draws steps that read each other at random, most of the time where they may."""

    draw: st.DrawFn
    ids: list[str] = field(default_factory=list)

    def one_in(self, chances: int) -> bool:
        return self.draw(st.integers(1, chances)) == 1

    def read(self, *, by_status: bool = True) -> str:
        """An expression that reads a step: one that stands before, or any, guarded or not.

        What a condition has asked the status of, the checks take for decided, whatever was asked.
        """
        anywhere = [f"s{number}" for number in range(IDS)]
        name = self.draw(st.sampled_from(anywhere if self.one_in(6) or not self.ids else self.ids))
        forms = ["steps.{}.output", "steps.{}.output", "steps.{}.output | default(0)"]
        asking = ["steps.{}.status", "steps.{}.output if steps.{}.status == 'completed' else 0"] if by_status else []
        return self.draw(st.sampled_from([*forms, *asking])).replace("{}", name)

    def condition(self) -> str:
        return f"({self.read(by_status=False)}) is not none"

    def steps(self, depth: int, least: int = 1) -> list[dict[str, Any]]:
        return [self.step(depth) for _ in range(self.draw(st.integers(least, 3))) if len(self.ids) < IDS]

    def step(self, depth: int) -> dict[str, Any]:
        step: dict[str, Any] = {"id": f"s{len(self.ids)}"}
        self.ids.append(step["id"])
        kinds = ["call", "call", "set"]
        blocks = ["steps", "parallel", "switch", "for_each", "repeat"] if depth else []
        getattr(self, f"_{self.draw(st.sampled_from([*kinds, *blocks]))}")(step, depth - 1)
        if self.one_in(5):
            step["if"] = self.draw(st.sampled_from(["input.yes", "input.no", self.condition()]))
        if self.one_in(5):
            step["on_error"] = self.draw(st.sampled_from(["continue", "handler"]))
        if step.get("on_error") == "handler":
            inner = self.steps(0, 0)
            step["on_error"] = [{"steps": inner, "output": "{{ " + self.read() + " }}"}]
        return step

    def _call(self, step: dict[str, Any], depth: int) -> None:
        step |= {"activity": "a.b", "retry": "none", "input": {"x": "{{ " + self.read() + " }}"}}
        if self.one_in(2):
            step["compensation"] = {"activity": "a.undo", "retry": "none", "input": {"x": "{{ " + self.read() + " }}"}}

    def _set(self, step: dict[str, Any], depth: int) -> None:
        step["set"] = {"x": "{{ " + self.read() + " }}"}

    def _steps(self, step: dict[str, Any], depth: int) -> None:
        step["steps"] = self.steps(depth) or [self.step(0)]

    def _parallel(self, step: dict[str, Any], depth: int) -> None:
        branches = self.steps(depth) or [self.step(0)]
        for number, branch in enumerate(branches):
            if number and self.one_in(2):
                branch["needs"] = [branches[number - 1]["id"]]
        step["parallel"] = branches
        if self.one_in(3):
            step["complete_when"] = self.draw(st.sampled_from(["completed > 0", self.condition()]))

    def _switch(self, step: dict[str, Any], depth: int) -> None:
        arms: list[dict[str, Any]] = [{"if": self.condition(), "steps": self.steps(depth) or [self.step(0)]}]
        step["switch"] = [*arms, {"else": self.steps(depth, 0)}]

    def _for_each(self, step: dict[str, Any], depth: int) -> None:
        step |= {"for_each": {"items": [1, 2], "max_concurrency": 2}, "steps": self.steps(depth) or [self.step(0)]}

    def _repeat(self, step: dict[str, Any], depth: int) -> None:
        inner = self.steps(depth) or [self.step(0)]
        step |= {
            "repeat": {"until": self.condition(), "maximum_attempts": 2},
            "steps": inner,
        }


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    maker = _Maker(draw)
    steps = maker.steps(2, 2)
    on_failure = maker.steps(0, 0)
    return {
        **{"sagadsl": 1, "name": "any", "version": "1", "steps": steps, "on_failure": on_failure},
        "input": {"type": "object", "required": ["yes", "no"], "properties": {"yes": {}, "no": {}}},
        "compensation": {"on_failure": "continue"},
        "output": {"x": "{{ " + maker.read() + " }}"},
    }


def _mended(definition: dict[str, Any]) -> Saga:
    """Take out every expression that the checks complain about."""
    while True:
        saga = build(definition)
        analysis = Analysis(saga)
        routes = [f.route for check in ALL for f in check(analysis) if f.code.startswith("SD3")]
        if not routes:
            return saga
        for *way, key in routes:
            holder: Any = definition
            for part in way:
                holder = holder[part]
            holder[key] = "true" if key in ("if", "until", "complete_when") else "{{ 0 }}"


def _mistakes(saga: Saga, failing: frozenset[str]) -> list[str]:
    """Run a saga in which some steps fail; return the expressions that could not be computed."""

    def participant(_saga: str, command: StartActivity, _attempt: int) -> Attempt:
        last = command.call_id.rpartition("/")[2]
        return Attempt(error="No", retryable=False) if last in failing else Attempt(output={"x": 1})

    world = World(participant)
    run = world.start(saga, {"yes": True, "no": False})
    world.run()
    state = run.state
    errors = [state.failure, *state.others, *(record.error for record in state.records.values())]
    undone = [error for record in state.records.values() if record.undo for error in record.undo.errors.values()]
    assert run.close is not None
    return [str(error.message) for error in (*errors, *undone) if error is not None and error.type == "ExpressionError"]


@pytest.mark.timeout(600)
@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(definitions(), st.frozensets(st.sampled_from([f"s{n}" for n in range(IDS)]), max_size=2))
def test_what_the_checks_let_pass_can_be_computed(definition: dict[str, Any], failing: frozenset[str]) -> None:
    """R17: nothing that the checks have seen fails when it is too late."""
    assert _mistakes(_mended(definition), failing) == []
