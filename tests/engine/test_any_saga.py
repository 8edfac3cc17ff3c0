"""Any saga, any faults, a cancel at any instant: the rules hold, and it ends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagadsl.engine.facts import OperatorAsked, SignalReceived, Verb
from sagadsl.engine.journal import State
from sagadsl.engine.virtual import VirtualRun, World
from sagadsl.engine.virtual_calls import Attempt
from sagadsl.language.build import build
from tests.engine.invariants import check
from tests.engine.scenes import ID, scripted

FAULTS = st.sampled_from(
    [
        Attempt(error="Refused", retryable=False),
        Attempt(error="Busy"),
        Attempt(error="Busy", clean=False),
        Attempt(takes=1e6),
        Attempt(starts=False),
        Attempt(output={"ok": False}),
        Attempt(output={"ok": True}, takes=3),
    ]
)
BOUNDS = {"start_to_close": "5s", "schedule_to_start": "7s"}
CHILD = {
    "sagadsl": 1,
    "name": "child",
    "version": "1",
    "steps": [
        {"id": id_, "activity": f"act.{id_}", "retry": "none", "timeouts": BOUNDS, "compensation": undo}
        for id_, undo in (
            ("x", {"activity": "undo.x", "retry": "none", "timeouts": BOUNDS}),
            ("y", {"activity": "undo.y", "retry": "none", "timeouts": BOUNDS}),
        )
    ],
}


@dataclass
class _Maker:
    """Draws steps with ids of their own."""

    draw: st.DrawFn
    count: int = 0
    calls: list[str] = field(default_factory=list)
    pivot: bool = False

    def chance(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == 1

    def pick(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def steps(self, depth: int, most: int = 3) -> list[dict[str, Any]]:
        return [self.step(depth) for _ in range(self.draw(st.integers(1, most)))]

    def step(self, depth: int) -> dict[str, Any]:
        self.count += 1
        step: dict[str, Any] = {"id": f"s{self.count}"}
        leaves = ("activity", "activity", "activity", "saga", "sleep", "wait_for", "set", "fail")
        kind = self.pick(*leaves) if depth <= 0 or self.chance(2) else self.pick(*BLOCKS)
        getattr(self, f"_{kind}")(step, depth)
        if self.chance(8):
            step["if"] = self.pick("true", "false", "steps.s1.status == 'completed'", "1")
        if self.chance(5):
            step["on_error"] = self.pick(
                "continue",
                [{"types": ["Refused"], "then": "compensate"}],
                [{"types": ["timeout"], "then": "stop"}],
                [{"steps": self.steps(0, 1), "then": self.pick("continue", "compensate")}],
            )
        return step

    def _activity(self, step: dict[str, Any], _depth: int) -> None:
        self.calls.append(step["id"])
        step["activity"] = "act.one"
        step["retry"] = self.pick("none", {"maximum_attempts": 2})
        step["timeouts"] = dict(BOUNDS)
        if self.chance(2):
            step["timeouts"]["heartbeat"] = "2s"
        undo: dict[str, Any] = {"activity": "undo.one", "retry": self.pick("none", {"maximum_attempts": 2})}
        undo["timeouts"] = BOUNDS
        undo["on"] = self.pick("auto", "auto", "completed", "attempted")
        if undo["on"] == "completed":
            undo["input"] = {"was": "{{ step.output }}", "why": "{{ failure.type }}"}
        step["compensation"] = self.pick(undo, undo, "none", [undo, {**undo, "activity": "undo.two"}])
        if self.chance(6):
            step["failed_if"] = {"if": "output is mapping and output.ok == false"}
        if not self.pivot and self.chance(10):
            self.pivot = step["pivot"] = True
            if self.chance(2):
                step["probe"] = {"activity": "act.probe", "retry": "none", "timeouts": BOUNDS}

    def _saga(self, step: dict[str, Any], _depth: int) -> None:
        step["saga"] = self.pick("child", "child", "missing")
        step["compensation"] = self.pick("auto", "none", {"activity": "undo.one", "retry": "none", "timeouts": BOUNDS})

    def _sleep(self, step: dict[str, Any], _depth: int) -> None:
        step["sleep"] = self.pick("1s", "0s", "9s")

    def _wait_for(self, step: dict[str, Any], _depth: int) -> None:
        step["wait_for"] = {"signal": "go", "timeout": "4s"}

    def _set(self, step: dict[str, Any], _depth: int) -> None:
        step["set"] = {"a": self.pick(1, "{{ input.n }}", "{{ nothing.at.all }}")}

    def _fail(self, step: dict[str, Any], _depth: int) -> None:
        step["fail"] = {"type": "Fraud", "message": "no"}

    def _steps(self, step: dict[str, Any], depth: int) -> None:
        step["steps"] = self.steps(depth - 1)

    def _switch(self, step: dict[str, Any], depth: int) -> None:
        step["switch"] = [{"if": self.pick("input.n > 1", "false"), "steps": self.steps(depth - 1, 2)}]
        if self.chance(2):
            step["switch"].append({"else": self.steps(depth - 1, 2)})

    def _repeat(self, step: dict[str, Any], depth: int) -> None:
        step["repeat"] = {"until": self.pick("item_index >= 1", "false"), "maximum_attempts": 2}
        if self.chance(2):
            step["repeat"]["every"] = "1s"
        step["steps"] = self.steps(depth - 1, 2)

    def _parallel(self, step: dict[str, Any], depth: int) -> None:
        branches = step["parallel"] = self.steps(depth - 1)
        if len(branches) > 1 and self.chance(3):
            branches[-1]["needs"] = [branches[0]["id"]]
        self._together(step)

    def _for_each(self, step: dict[str, Any], depth: int) -> None:
        step["for_each"] = {
            "items": self.pick("[1, 2]", "[]", "[1, 2, 3]"),
            "max_concurrency": self.pick(1, 2, "unlimited"),
        }
        step["steps"] = self.steps(depth - 1, 2)
        self._together(step)

    def _together(self, step: dict[str, Any]) -> None:
        if self.chance(2):
            step["on_branch_failure"] = self.pick("cancel", "wait")
        if self.chance(3):
            step["complete_when"] = self.pick("completed >= 1", "completed + failed >= 2", "false")
            step["remaining"] = self.pick("compensate", "keep")


BLOCKS = ("steps", "switch", "repeat", "parallel", "for_each")


@dataclass(frozen=True)
class Case:
    definition: Mapping[str, Any]
    script: Mapping[str, list[Attempt]]
    cancel_at: float | None
    pause_at: float | None = None
    verbs: tuple[Verb, ...] = ()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    maker = _Maker(draw)
    definition: dict[str, Any] = {"sagadsl": 1, "name": "any", "version": "1", "steps": maker.steps(3, 4)}
    if maker.chance(4):
        definition["timeout"] = "20s"
    if maker.chance(6):
        definition["on_failure"] = maker.steps(1, 2)
    definition["compensation"] = {
        "order": maker.pick("reverse", "reverse", "parallel"),
        "on_failure": maker.pick("pause", "continue", "stop"),
    }
    names = sorted({*maker.calls, "act.x", "act.y", "undo.one", "undo.two", "undo.x", "act.probe"})
    faulty = draw(st.lists(st.sampled_from(names), max_size=4, unique=True))
    script = {name: draw(st.lists(FAULTS, min_size=1, max_size=2)) for name in faulty}
    if "act.probe" not in script:
        script["act.probe"] = [Attempt(output=maker.pick(True, False))]
    cancel_at = draw(st.none() | st.integers(0, 120).map(lambda twentieths: twentieths / 20))
    pause_at = draw(st.none() | st.none() | st.integers(0, 60).map(lambda tenths: tenths / 10))
    verbs = draw(st.lists(st.sampled_from([Verb.RETRY_STEP, Verb.SKIP_STEP, Verb.ABORT]), max_size=3))
    return Case(definition, script, cancel_at, pause_at, tuple(verbs))


def _run(case: Case, *, replay: bool = False, drain: bool = False) -> tuple[World, VirtualRun]:
    """Run it to its end: an operator does what the case says, then skips; whatever waits for a signal gets it."""
    world = World(scripted(case.script), sagas={"child": build(CHILD)}, replay=replay, drain=drain)
    if case.cancel_at is not None:
        world.cancel_at(case.cancel_at)
    if case.pause_at is not None:
        world.at(case.pause_at, lambda at: OperatorAsked(at, Verb.PAUSE))
    run = world.start(build(case.definition), {"n": 2})
    world.run()
    verbs = [*case.verbs, *[Verb.SKIP_STEP] * 200]
    for verb in verbs:
        waiting = [(saga_id, each) for saga_id, each in world.runs.items() if each.close is None]
        if run.close is not None:
            break
        for saga_id, each in waiting:
            now = world.now - world.begin
            if each.state.attention:
                path = next(iter(each.state.attention))
                world.at(now, partial(OperatorAsked, verb=verb, path=path, by="ann", why="because"), saga_id)
                break
            if each.state.paused:
                world.at(now, partial(OperatorAsked, verb=Verb.RESUME), saga_id)
                break
            if each.state.waiting:
                world.at(now, lambda at: SignalReceived(at, "go", None), saga_id)
                break
        else:
            raise AssertionError("it waits, and nobody can tell for what")
        world.run()
    return world, run


@settings(deadline=None, max_examples=250, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_any_saga_ends_and_keeps_the_rules(case: Case) -> None:
    """R1, R2, R3, R10, R12, R43, R56, and the same again from a state that was written down after every fact."""
    world, run = _run(case)

    assert run.close is not None
    for saga_id, each in world.runs.items():
        check(world.events, saga_id, each)
    again, same = _run(case, replay=True)
    assert again.events == world.events
    assert same.state == run.state


@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_any_saga_survives_continue_as_new_at_every_moment(case: Case) -> None:
    """R50: what is carried over is all that is needed."""
    world, run = _run(case, drain=True)

    assert run.close is not None
    for saga_id, each in world.runs.items():
        check(world.events, saga_id, each)
    assert State.restore(json.loads(json.dumps(run.state.snapshot()))) == run.state
    assert ID in world.runs
