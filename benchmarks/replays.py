"""What an older release and this one need to replay the same sagas: a part of ``python -m benchmarks --against REV``.

The sagas are such as an older release knows. Each is played in virtual time, and its facts are decided again as a
replay does. Where Valgrind is installed it counts the instructions of that replay, which do not depend on what else
the machine does; otherwise processes of both releases take turns, and their CPU is compared.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.older import HERE, command

PAIRS = int(os.environ.get("PAIRS", "15"))
RUNS = 11
"""Replays of a process; one that makes a single replay tells what the rest costs."""


def main(before: Path) -> list[dict[str, Any]]:
    """Measure both releases, and print what this one takes compared with the one whose sources *before* has."""
    counts = shutil.which("valgrind") is not None
    unit = "instructions" if counts else "CPU ms"
    rows = []
    print(f"| saga | {unit} of a replay | before | ratio | the same events |\n|---|---|---|---|---|")
    for name in sagas():
        pairs = [(_cost(HERE, name, counts=counts), _cost(before, name, counts=counts))]
        if not counts:
            pairs += [(_cost(HERE, name, counts=False), _cost(before, name, counts=False)) for _ in range(PAIRS - 1)]
        row = {
            "saga": name,
            "now": statistics.median(now[0] for now, _ in pairs),
            "before": statistics.median(old[0] for _, old in pairs),
            "ratio": statistics.median(now[0] / old[0] for now, old in pairs),
            "same": all(now[1] == old[1] for now, old in pairs),
        }
        rows.append(row)
        same = "yes" if row["same"] else "NO"
        print(f"| {name} | {row['now']:,.1f} | {row['before']:,.1f} | {row['ratio']:.3f} | {same} |", flush=True)
    return rows


def _cost(folder: Path, name: str, *, counts: bool) -> tuple[float, str]:
    """Return what one replay costs under the release in *folder*, and the digest of the saga's events."""
    if not counts:
        spent, digest = json.loads(_printed(command(folder, "benchmarks.replays", name, str(RUNS)), os.environ))
        return min(spent), digest
    once, digest = _counted(folder, name, 1)
    several, _ = _counted(folder, name, RUNS)
    return (several - once) / (RUNS - 1), digest


def _counted(folder: Path, name: str, runs: int) -> tuple[int, str]:
    spent, printed = counted(command(folder, "benchmarks.replays", name, str(runs)), os.environ)
    return spent, json.loads(printed)[1]


def counted(measured: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """Return how many instructions a process takes, as Valgrind counts them, and what it prints."""
    with tempfile.NamedTemporaryFile("r") as log:
        counting = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log.name}"]
        printed = _printed([*counting, *measured], environment)
        found = re.search(r"Collected : (\d+)", log.read())
        assert found is not None
        return int(found[1]), printed


def _printed(measured: list[str], environment: Mapping[str, str]) -> str:
    plain = {**environment, "PYTHONHASHSEED": "0"}
    return subprocess.run(measured, check=True, capture_output=True, text=True, env=plain).stdout


def measure(name: str, runs: int) -> tuple[list[float], str]:
    """Return the CPU of each of several replays in ms, and a digest of the events of the saga when it was played."""
    from sagadsl.engine.decide import decide  # noqa: PLC0415 # the release that the process measures
    from sagadsl.engine.journal import State  # noqa: PLC0415
    from sagadsl.language.build import build  # noqa: PLC0415
    from sagadsl.virtual.world import World  # noqa: PLC0415

    facts: list[Any] = []

    class Recording(World):
        def tell(self, saga_id: str, fact: Any) -> None:
            facts.append(fact)
            super().tell(saga_id, fact)

    model, world = build(sagas()[name]), Recording()
    world.start(model, {"v": 1, "items": list(range(60))})
    world.run()
    happened = [[each.at, each.what, each.call, each.attempt, each.detail, each.error] for each in world.events]
    gc.disable()
    spent = []
    for _ in range(runs):
        state, began = State(), time.process_time()
        for fact in facts:
            decide(model, state, fact)
        spent.append((time.process_time() - began) * 1e3)
    return spent, hashlib.sha256(json.dumps(happened).encode()).hexdigest()


def sagas() -> dict[str, dict[str, Any]]:
    """Return the sagas that are measured, by what they show."""
    undo = {"activity": "bench.undo", "input": {"key": "{{ step.idempotency_key }}"}}
    no = {"id": "no", "fail": {"type": "Refused", "message": "no"}}

    def call(id_: str, **more: Any) -> dict[str, Any]:
        return {"id": id_, "activity": "bench.step", "input": {"v": "{{ input.v }}"}, "compensation": undo, **more}

    def saga(*steps: dict[str, Any]) -> dict[str, Any]:
        return {"sagadsl": 1, "name": "measured", "version": "1", "steps": list(steps)}

    chosen = {"id": "chosen", "switch": [{"if": "input.v == 1", "steps": [call("yes")]}, {"else": [call("other")]}]}
    loop = {
        "id": "each",
        "for_each": {"items": "{{ input.items }}", "max_concurrency": 5},
        "steps": [call("x"), call("y")],
    }
    branches = {"id": "both", "parallel": [call(f"p{number}") for number in range(40)]}
    return {
        "300 steps in a row, undone": saga(*[call(f"s{number}") for number in range(300)], no),
        "300 steps in a row, done": saga(*[call(f"s{number}") for number in range(300)]),
        "loop, branches and a choice, undone": saga(chosen, branches, loop, no),
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
