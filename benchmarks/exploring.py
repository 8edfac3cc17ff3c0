"""Trials: steps a second in virtual time on one core, and how long it takes to explore what ships."""

from __future__ import annotations

import gc
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.scale import saga
from sagadsl.language.document import parse
from sagadsl.trial.case import Case
from sagadsl.trial.explore.run import Task, explore, usual_jobs
from sagadsl.trial.outputs import Outputs
from sagadsl.trial.play import play
from sagadsl.virtual.world import World

DEFINITIONS = Path(__file__).parents[1] / "definitions"
STEPS = 1_000
RUNS = 9


def _per_second(run: Any, steps: int) -> float:
    seconds = []
    for _ in range(RUNS):
        began = time.process_time()
        run()
        seconds.append(time.process_time() - began)
    return steps / statistics.median(seconds)


def main() -> list[dict[str, Any]]:
    gc.set_threshold(100_000)  # as the command line does
    model = saga(STEPS)
    outputs = Outputs((model,))

    def world() -> None:
        there = World()
        there.start(model, {"v": 1})
        there.run()

    # Each step is done and undone: two calls.
    rows: list[dict[str, Any]] = [
        {"what": "steps a second, the world alone", "value": round(_per_second(world, 2 * STEPS))},
        {
            "what": "steps a second, a case with its bookkeeping",
            "value": round(_per_second(lambda: play(model, Case(input={"v": 1}), outputs=outputs), 2 * STEPS)),
        },
    ]
    files = sorted(DEFINITIONS.glob("*.saga.yaml"))
    data = {each["name"]: each for each in (parse(path.read_bytes())[0].data for path in files)}
    order = Task(data["fulfil-order"], {"prepare-parcel": data["prepare-parcel"]})
    for jobs in dict.fromkeys((1, usual_jobs())):
        found = explore(order, jobs)
        what = f"explore fulfil_order, pairs of faults, {jobs} process{'es' if jobs > 1 else ''}: seconds"
        rows.append({"what": what, "value": round(found.elapsed, 1), "states": found.summary.states})
    print("| trial | |\n|---|---|")
    for row in rows:
        states = f" ({row['states']:,} states)" if "states" in row else ""
        print(f"| {row['what']}{states} | {row['value']:,} |", flush=True)
    return rows
