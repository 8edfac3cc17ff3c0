"""Trials: steps a second in virtual time on one core, and how long it takes to explore what ships."""

from __future__ import annotations

import gc
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.scale import saga
from sagadsl.language.document import parse
from sagadsl.processes import usual_jobs
from sagadsl.trial.case import Case
from sagadsl.trial.explore.run import Task, explore
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
    rows += [_exploring(most, jobs) for most, jobs in dict.fromkeys(((2, 1), (2, usual_jobs()), (3, usual_jobs())))]
    print("| trial | |\n|---|---|")
    for row in rows:
        print(f"| {row['what']} | {row['value']:,} |{row.get('more', '')}", flush=True)
    return rows


def _exploring(most: int, jobs: int) -> dict[str, Any]:
    """Explore in a process of its own, so that its memory is that of the search."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        states, seconds, cpu, grown = pool.submit(_explored, most, jobs).result()
    what = f"explore `fulfil_order`, up to {most} faults, {jobs} process{'es' if jobs > 1 else ''}: seconds"
    more = f" {states:,} states, {states / cpu:,.0f} a second of CPU"
    if grown is not None and jobs == 1:
        more += f", {grown / states:,.0f} bytes of memory a state"
    return {"what": what, "value": round(seconds, 1), "more": f"{more} |"}


def _explored(most: int, jobs: int) -> tuple[int, float, float, int | None]:
    """Return states, seconds, seconds of CPU, and by how many bytes this process has grown at most."""
    gc.set_threshold(100_000)
    files = sorted(DEFINITIONS.glob("*.saga.yaml"))
    data = {each["name"]: each for each in (parse(path.read_bytes())[0].data for path in files)}
    order = Task(data["fulfil-order"], {"prepare-parcel": data["prepare-parcel"]}, most=most)
    small, began = _memory("VmRSS"), _cpu()
    found = explore(order, jobs)
    peak = _memory("VmHWM")
    grown = None if small is None or peak is None else peak - small
    return found.summary.states, found.elapsed, _cpu() - began, grown


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _memory(what: str) -> int | None:
    """Return the memory of this process in bytes, now (``VmRSS``) or at most (``VmHWM``); Linux alone tells it."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:")), None)
