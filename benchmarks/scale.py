"""The engine alone: CPU per step from 10 to 10,000 steps, in virtual time, and of a replay of all its facts."""

from __future__ import annotations

import statistics
import time
from typing import Any

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Fact
from sagadsl.engine.journal import State
from sagadsl.engine.snapshots import snapshot
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.virtual.world import World

SIZES = (10, 100, 1_000, 10_000)
STEPS_A_SIZE = 20_000
"""Small sagas are run again until about so many steps have been measured."""


class Recording(World):
    """A world that keeps the facts it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[Fact] = []

    def tell(self, saga_id: str, fact: Fact) -> None:
        self.facts.append(fact)
        super().tell(saga_id, fact)


def saga(steps: int) -> Saga:
    """Return a saga of so many activities, each with a compensation, that fails at its end: every step is undone."""
    undo = {"activity": "bench.undo", "input": {"key": "{{ step.idempotency_key }}"}}
    body: list[dict[str, Any]] = [
        {"id": f"s{i}", "activity": "bench.step", "input": {"n": i, "v": "{{ input.v }}"}, "compensation": undo}
        for i in range(steps)
    ]
    body.append({"id": "no", "fail": {"type": "Refused", "message": "no"}})
    return build({"sagadsl": 1, "name": "long", "version": "1", "steps": body})


def main() -> list[dict[str, Any]]:
    rows = []
    print("| steps, each undone | µs a step | µs a step replayed | snapshot bytes a step |\n|---|---|---|---|")
    for size in SIZES:
        model, runs, replays = saga(size), [], []
        facts: list[Fact] = []
        for _ in range(max(3, STEPS_A_SIZE // size)):
            world = Recording()
            began = time.process_time()
            world.start(model, {"v": 1})
            world.run()
            runs.append((time.process_time() - began) / size * 1e6)
            facts = world.facts
            began = time.process_time()
            state = State()
            for fact in facts:
                decide(model, state, fact)
            replays.append((time.process_time() - began) / size * 1e6)
        row = {
            "steps": size,
            "run": statistics.median(runs),
            "replay": statistics.median(replays),
            "snapshot": len(str(snapshot(state))) // size,
        }
        rows.append(row)
        print(f"| {size:,} | {row['run']:.0f} | {row['replay']:.0f} | {row['snapshot']} |", flush=True)
    return rows
