"""Definitions to draw: those that are shipped, and made-up ones with any blocks in any order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from sagadsl.language.build import build
from sagadsl.language.load import load_many
from sagadsl.language.model import Saga

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(path for folder in ("definitions", "tests/shapes") for path in (ROOT / folder).rglob("*.saga.yaml"))
HOSTILE = (
    'a "quoted" [text] {that} <b>ends</b> # ; | & `it` \\',
    "1. end",
    "-->|x|",
    "subgraph",
    "end",
    "- x",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
    "no XML: \ufffe \uffff",
)


def shipped(path: Path) -> Saga:
    """Return the saga in a file; of several, the first one."""
    saga = next(each.saga for each in load_many([path]) if each.saga is not None)
    assert saga is not None
    return saga


def random_saga(seed: int, steps: int = 25) -> Saga:
    """Return a saga of about this many steps; the seed decides everything about it."""
    chance = Random(seed)
    return build({"sagadsl": 1, "name": f"random-{seed}", "steps": list(_steps(chance, steps, "s", 0))})


def long_saga(steps: int) -> Saga:
    """Return a saga of so many steps: a row in which now and then a block comes, with a pivot in the middle."""
    written: list[dict[str, Any]] = []
    number = 0
    while number < steps:
        id_ = f"step_number_{number}"
        if number % 12 == 7 and number + 4 <= steps:
            branches = [_call(f"{id_}_{each}") for each in ("flight", "hotel", "car")]
            written.append({"id": id_, "parallel": branches})
            number += 4
            continue
        written.append(_call(id_) | ({"pivot": True} if number == steps // 2 else {}))
        number += 1
    return build({"sagadsl": 1, "name": "long", "version": "1.0.0", "steps": written})


def _call(id_: str) -> dict[str, Any]:
    return {"id": id_, "activity": f"work.{id_}", "compensation": {"activity": f"work.undo_{id_}"}}


def _steps(chance: Random, size: int, prefix: str, depth: int) -> Iterator[dict[str, Any]]:
    number = 0
    while size > 0:
        number += 1
        id_ = f"{prefix}_{number}"
        kinds = ["activity", "sleep", "wait_for", "set", "saga", "hostile"]
        kinds += ["parallel", "switch", "for_each", "repeat", "group"] * 2 if depth < 4 and size > 2 else []
        part = chance.randint(1, max(1, size // 2))
        step = _step(chance, chance.choice(kinds), id_, part, depth)
        if chance.random() < 0.2:
            step["if"] = "input.amount > 100 and input.customer.name == 'a very long name of somebody'"
        if chance.random() < 0.2 and ("activity" in step or "steps" in step):
            inside = list(_steps(chance, 2, f"{id_}_h", depth + 1)) if chance.random() < 0.6 else []
            step["on_error"] = [
                {"on": ["Busy"], "then": chance.choice(["continue", "compensate", "stop"]), "steps": inside}
            ]
        size -= part if "activity" not in step else 1
        yield step


def _step(chance: Random, kind: str, id_: str, size: int, depth: int) -> dict[str, Any]:
    inside = list(_steps(chance, size, id_, depth + 1)) if kind in ("for_each", "repeat", "group") else []
    match kind:
        case "activity":
            return _call(id_) if chance.random() < 0.6 else {"id": id_, "activity": f"shop.{id_}", "pivot": True}
        case "hostile":
            return {"id": id_, "activity": chance.choice(HOSTILE)}
        case "sleep":
            return {"id": id_, "sleep": "3d"}
        case "wait_for":
            return {"id": id_, "wait_for": {"signal": "approve", "timeout": "2h"}}
        case "set":
            return {"id": id_, "set": {"x": 1}}
        case "saga":
            return {"id": id_, "saga": "another-saga", "compensation": "auto"}
        case "parallel":
            branches = [
                step for each in range(chance.randint(2, 4)) for step in _steps(chance, 1, f"{id_}_{each}", depth + 1)
            ]
            if chance.random() < 0.4:
                branches[-1]["needs"] = [branches[0]["id"]]
            return {"id": id_, "parallel": branches}
        case "switch":
            arms: list[dict[str, Any]] = [
                {"if": f"input.kind == {each}", "steps": list(_steps(chance, 2, f"{id_}_{each}", depth + 1))}
                for each in range(chance.randint(1, 3))
            ]
            return {"id": id_, "switch": [*arms, {"else": list(_steps(chance, 1, f"{id_}_e", depth + 1))}]}
        case "for_each":
            return {"id": id_, "for_each": {"items": "{{ input.rows }}", "as": "row"}, "steps": inside}
        case "repeat":
            return {"id": id_, "repeat": {"until": "item_index > 3", "every": "1m"}, "steps": inside}
        case _:
            return {"id": id_, "steps": inside}
