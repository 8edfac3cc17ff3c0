"""Sagas that nobody has thought of, made from choices."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Protocol

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


class Chooser(Protocol):
    """Whoever decides what comes out: hypothesis, or a seed."""

    def number(self, least: int, most: int) -> int:
        """Return a number, both ends included."""


@dataclass(frozen=True)
class Seeded:
    """Decides as its generator of random numbers was seeded."""

    choice: random.Random

    def number(self, least: int, most: int) -> int:
        return self.choice.randint(least, most)


@dataclass
class Maker:
    """Makes steps with ids of their own.

    Attributes:
        sequential: Nothing runs beside anything else.
        calls: Ids of the steps that call activities.
        sends: Some steps send signals to a workflow that no server knows: for virtual time.
    """

    chooser: Chooser
    sequential: bool = False
    count: int = 0
    calls: list[str] = field(default_factory=list)
    pivot: bool = False
    sends: bool = True

    def saga(self) -> dict[str, Any]:
        definition: dict[str, Any] = {"sagadsl": 1, "name": "any", "version": "1", "steps": self.steps(3, 4)}
        if self.chance(4):
            definition["timeout"] = "20s"
        if self.chance(6):
            definition["on_failure"] = self.steps(1, 2)
        definition["compensation"] = {
            "order": "reverse" if self.sequential else self.pick("reverse", "reverse", "parallel"),
            "on_failure": self.pick("pause", "continue", "stop"),
        }
        return definition

    def chance(self, one_in: int) -> bool:
        return self.chooser.number(1, one_in) == 1

    def pick(self, *choices: Any) -> Any:
        return choices[self.chooser.number(0, len(choices) - 1)]

    def steps(self, depth: int, most: int = 3) -> list[dict[str, Any]]:
        return [self.step(depth) for _ in range(self.chooser.number(1, most))]

    def step(self, depth: int) -> dict[str, Any]:
        self.count += 1
        step: dict[str, Any] = {"id": f"s{self.count}"}
        leaves = ("activity", "activity", "activity", "saga", "sleep", "wait_for", "set", "fail", "return")
        kind = (
            self.pick(*leaves)
            if depth <= 0 or self.chance(2)
            else self.pick(*(IN_A_ROW if self.sequential else BLOCKS))
        )
        getattr(self, f"_{kind}")(step, depth)
        if kind in (*BLOCKS, "saga") and self.chance(5):
            step["retry"] = {"maximum_attempts": 2, "initial_interval": self.pick("1s", "3s")}
        if kind in (*BLOCKS, "saga") and self.chance(6):
            step["timeout"] = self.pick("5s", "20s")
        if kind in BLOCKS and self.chance(5):
            step["output"] = self.pick("{{ output }}", {"a": 1}, "{{ nothing.at.all }}")
        if kind == "set" and self.count % 2 == 0:  # not drawn: it is one leaf of many
            step["answer"] = step.pop("set")
        elif kind == "set" and self.sends:
            self._send(step)
        if self.chance(8):
            step["if"] = self.pick("true", "false", "steps.s1.status == 'completed'", "1")
        if self.chance(5):
            step["on_error"] = self.pick(
                "continue",
                [{"types": ["Refused"], "then": "compensate"}],
                [{"types": ["timeout"], "then": "stop"}],
                [{"then": "retry", "maximum_attempts": 2}],
                [{"types": ["Refused", "timeout"], "raise": {"type": "Other"}}],
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
        elif self.chance(4):
            step["local"] = True
        undo: dict[str, Any] = {"activity": "undo.one", "retry": self.pick("none", {"maximum_attempts": 2})}
        undo["timeouts"] = BOUNDS
        undo["on"] = self.pick("auto", "auto", "completed", "attempted")
        if undo["on"] == "completed":
            undo["input"] = {"was": "{{ step.output }}", "why": "{{ failure.type }}"}
        if self.chance(6):
            undo["if"] = self.pick("input.n > 1", "nothing.at.all")
        step["compensation"] = self.pick(undo, undo, "none", [undo, {**undo, "activity": "undo.two"}])
        if self.chance(6):
            step["failed_if"] = {"if": "output is mapping and output.ok == false"}
        if not self.pivot and self.chance(10):
            self.pivot = step["pivot"] = True
            if self.chance(2):
                step["probe"] = {"activity": "act.probe", "retry": "none", "timeouts": BOUNDS}

    def _saga(self, step: dict[str, Any], _depth: int) -> None:
        step["saga"] = self.pick("child", "child", "missing")
        by_activity = {"activity": "undo.one", "retry": "none", "timeouts": BOUNDS}
        step["compensation"] = self.pick("auto", "none", by_activity)
        if self.chance(4):
            step["workflow_id"] = self.pick("one", "{{ 'kid-' ~ (item_index | default(0)) }}", "{{ nothing.at.all }}")
        if not self.sequential and self.chance(5):  # it runs beside everything else
            step |= {"detached": True, "compensation": self.pick("none", by_activity)}
        elif self.chance(4):
            step["on_cancel"] = "abandon"

    def _sleep(self, step: dict[str, Any], _depth: int) -> None:
        step["sleep"] = self.pick("1s", "0s", "9s")

    def _wait_for(self, step: dict[str, Any], _depth: int) -> None:
        rules = ("payload is none", "payload.n > 1", "item is defined", "false")  # not drawn: it is one leaf of many
        rule = {"if": rules[self.count % 4], "message": "{{ saga.now }}"}
        taken = {"refused_if": rule} if self.count % 3 == 0 else {}
        taken |= {"reply": rules[self.count % 3]} if self.count % 2 == 0 else {}
        names = {"any": {"go": taken, "stop": {}}} if self.count % 5 == 0 else {"signal": "go", **taken}
        step["wait_for"] = {"timeout": "4s", **names}

    def _set(self, step: dict[str, Any], _depth: int) -> None:
        step["set"] = {"a": self.pick(1, "{{ input.n }}", "{{ nothing.at.all }}")}

    def _send(self, step: dict[str, Any]) -> None:
        send = {"signal": "go", "to": "other", "payload": step.pop("set")}
        step["send"] = send
        step["compensation"] = ("none", {"send": send}, {"activity": "undo.one", "retry": "none", "timeouts": BOUNDS})[
            self.count % 3
        ]
        if self.count % 5 == 0:
            step["retry"] = {"maximum_attempts": 2}

    def _fail(self, step: dict[str, Any], _depth: int) -> None:
        step["fail"] = {"type": "Fraud", "message": "no"}
        if self.chance(2):
            step["fail"]["result"] = self.pick({"a": 1}, None, "{{ nothing.at.all }}")

    def _return(self, step: dict[str, Any], _depth: int) -> None:
        step["return"] = self.pick({"a": 1}, "{{ input.n }}", "{{ nothing.at.all }}")

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
        if self.chance(2):
            step["repeat"]["while"] = self.pick("item_index < 1", "false", "true")
        self._remembering(step["repeat"])
        step["steps"] = self.steps(depth - 1, 2)

    def _parallel(self, step: dict[str, Any], depth: int) -> None:
        branches = step["parallel"] = self.steps(depth - 1)
        if len(branches) > 1 and self.chance(3):
            branches[-1]["needs"] = [branches[0]["id"]]
        self._together(step)

    def _for_each(self, step: dict[str, Any], depth: int) -> None:
        step["for_each"] = {
            "items": self.pick("[1, 2]", "[]", "[1, 2, 3]"),
            "max_concurrency": 1 if self.sequential else self.pick(1, 2, "unlimited"),
        }
        if step["for_each"]["max_concurrency"] == 1:
            self._remembering(step["for_each"])
        step["steps"] = self.steps(depth - 1, 2)
        self._together(step)

    def _remembering(self, loop: dict[str, Any]) -> None:
        if self.chance(3):
            loop["state"] = {"n": self.pick(0, "{{ input.n }}")}
            loop["next"] = {"n": self.pick("{{ state.n + 1 }}", "{{ state.n }}", "{{ nothing.at.all }}")}

    def _together(self, step: dict[str, Any]) -> None:
        if self.chance(2):
            step["on_branch_failure"] = self.pick("cancel", "wait")
        if self.chance(3):
            step["complete_when"] = self.pick("completed >= 1", "completed + failed >= 2", "false")
            step["remaining"] = self.pick("compensate", "keep")


IN_A_ROW = ("steps", "switch", "repeat", "for_each")
BLOCKS = (*IN_A_ROW, "parallel")
