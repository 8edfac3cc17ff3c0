"""The engine alone: CPU per step from 10 to 10,000 steps, in virtual time, and of a replay of all its facts; CPU per
item of loops of up to 20,000 items; and what the status of a saga of 10,000 steps costs.

The cyclic garbage collector is off while a saga is played: how often it runs depends on what else the process holds.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sagadsl.engine.decide import decide
from sagadsl.engine.facts import Fact
from sagadsl.engine.journal import State
from sagadsl.engine.projection import status
from sagadsl.engine.snapshots import snapshot
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.status.advice import page
from sagadsl.status.parts import Part
from sagadsl.virtual.world import World

SIZES = (10, 100, 1_000, 10_000)
LOOPS = (100, 1_000, 10_000, 20_000)
STEPS_A_SIZE = 20_000
"""Small sagas are run again until about so many steps have been measured."""


UNDO = {"activity": "bench.undo", "input": {"key": "{{ step.idempotency_key }}"}}


class Recording(World):
    """A world that keeps the facts it tells."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[Fact] = []

    def tell(self, saga_id: str, fact: Fact) -> None:
        self.facts.append(fact)
        super().tell(saga_id, fact)


def steps_of(count: int) -> list[dict[str, Any]]:
    """Return so many activities, each with a compensation."""
    return [
        {"id": f"s{i}", "activity": "bench.step", "input": {"n": i, "v": "{{ input.v }}"}, "compensation": UNDO}
        for i in range(count)
    ]


def saga(steps: int) -> Saga:
    """Return a saga of so many activities that fails at its end: every step is undone."""
    body = [*steps_of(steps), {"id": "no", "fail": {"type": "Refused", "message": "no"}}]
    return build({"sagadsl": 1, "name": "long", "version": "1", "steps": body})


def loop(at_once: int, *, undone: bool) -> Saga:
    """Return a saga of one activity an item, which completes, or fails at its end and is undone."""
    step = {"id": "one", "activity": "bench.step", "input": {"n": "{{ item }}"}, "compensation": UNDO}
    body: list[dict[str, Any]] = [
        {"id": "lines", "for_each": {"items": "input.items", "max_concurrency": at_once}, "steps": [step]}
    ]
    if undone:
        body.append({"id": "no", "fail": {"type": "Refused", "message": "no"}})
    return build({"sagadsl": 1, "name": "loop", "version": "1", "steps": body, "output": "done"})


def _cpu(work: Callable[[], object]) -> float:
    """Return the CPU that *work* takes, in µs, without the cyclic garbage collector."""
    gc.disable()
    try:
        began = time.process_time()
        work()
        return (time.process_time() - began) * 1e6
    finally:
        gc.enable()


def steps() -> list[dict[str, Any]]:
    """Print what a step costs in sagas of each size."""
    rows = []
    print("| steps, each undone | µs a step | µs a step replayed | snapshot bytes a step |\n|---|---|---|---|")
    for size in SIZES:
        model, runs, replays, state = saga(size), [], [], State()
        gc.collect()
        for _ in range(max(3, STEPS_A_SIZE // size)):
            world = Recording()
            runs.append(_cpu(partial(_play, world, model, {"v": 1})) / size)
            state = State()
            replays.append(_cpu(partial(_replay, model, state, world.facts)) / size)
        row = {
            "steps": size,
            "run": statistics.median(runs),
            "replay": statistics.median(replays),
            "snapshot": len(str(snapshot(state))) // size,
        }
        rows.append(row)
        print(f"| {size:,} | {row['run']:.0f} | {row['replay']:.0f} | {row['snapshot']} |", flush=True)
    return rows


def items() -> None:
    """Print what an item costs in loops of each size: one after the other and 50 at once, done and undone."""
    kinds = [(at_once, undone) for at_once in (1, 50) for undone in (False, True)]
    words = [f"{at_once} at once, {'undone' if undone else 'done'}" for at_once, undone in kinds]
    print(f"\n| µs an item; items | {' | '.join(words)} |\n|---|---|---|---|---|")
    for size in LOOPS:
        input_, cells = {"items": list(range(size))}, []
        for at_once, undone in kinds:
            gc.collect()
            model = loop(at_once, undone=undone)
            costs = [_cpu(partial(_play, World(), model, input_)) for _ in range(3)]
            cells.append(f"{min(costs) / size:.0f}")
        print(f"| {size:,} | {' | '.join(cells)} |", flush=True)


def shown() -> None:
    """Print what the status of a saga costs that has done 10,000 steps."""
    model, world, state = saga(SIZES[-1]), Recording(), State()
    _play(world, model, {"v": 1})
    _replay(model, state, world.facts[: SIZES[-1]])
    print("\n| status of 10,000 records | in the run, ms CPU | at the client, ms CPU | bytes |\n|---|---|---|---|")
    for what, part in (("all that it shows", None), ("100 steps behind the 9,000th", Part(100, "s8999"))):
        text = _answered(model, state, part)
        asked = _cpu(partial(_answered, model, state, part))
        read = _cpu(partial(_read, text))
        print(f"| {what} | {asked / 1e3:.0f} | {read / 1e3:.0f} | {len(text):,} |", flush=True)


def _answered(model: Saga, state: State, part: Part | None) -> str:
    return json.dumps(status(model, state, part))


def _read(text: str) -> list[str]:
    return list(page(json.loads(text), {}, datetime.now(UTC)))


def _play(world: World, model: Saga, input_: Any) -> None:
    world.start(model, input_)
    world.run()


def _replay(model: Saga, state: State, facts: list[Fact]) -> None:
    for fact in facts:
        decide(model, state, fact)


def main() -> list[dict[str, Any]]:
    rows = steps()
    items()
    shown()
    return rows
