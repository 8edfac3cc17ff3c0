"""How long ``sagadsl run FILE`` takes, with a server and a worker of its own, until a terminal shows the first step.

``python -m benchmarks starting`` measures this release, ``python -m benchmarks --against REV`` an older one beside it:
the processes take turns, as the machine runs at changing speeds.
"""

from __future__ import annotations

import os
import pty
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.older import HERE

RUNS = 9
FILE = HERE / "definitions" / "three_steps.saga.yaml"
_STEP = b" compose "
"""In the line of the first step; what is written before that line does not have it."""


class Shown(NamedTuple):
    """One run of the command: seconds until its first step and its end, and the CPU of all its processes."""

    first_step: float
    end: float
    cpu: float


def main(before: Path | None = None, runs: int = RUNS) -> list[dict[str, Any]]:
    """Measure this release, and the one in the folder *before*; print the medians and the least."""
    releases = {"now": HERE} | ({} if before is None else {"before": before})
    for sources in releases.values():  # the first run writes bytecode
        shown(sources)
    found: dict[str, list[Shown]] = {name: [] for name in releases}
    for _ in range(runs):
        for name, sources in releases.items():
            found[name].append(shown(sources))
    rows = []
    print("| `sagadsl run`, seconds | to the first step | at best | to the end | CPU of all |\n|---|---|---|---|---|")
    for name, each in found.items():
        row = {"what": name, **_medians(each), "best": min(one.first_step for one in each)}
        rows.append(row)
        print(f"| {name} | {row['first_step']:.2f} | {row['best']:.2f} | {row['end']:.2f} | {row['cpu']:.2f} |")
    return rows


def _medians(found: Sequence[Shown]) -> Mapping[str, float]:
    return {name: statistics.median(getattr(each, name) for each in found) for name in Shown._fields}


def shown(sources: Path) -> Shown:
    """Run the command with the sagadsl in *sources*, in a terminal of its own.

    Raises:
        SystemExit: It ended without showing the step.
    """
    # Whoever installs a package has its bytecode, whatever this shell says of writing it.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPATH": str(sources), "PYTHONSAFEPATH": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "sagadsl", "run", str(FILE), "--set", "name=ann"]
    spent, began = _spent(), time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command, environment)
    first_step, text = 0.0, b""
    while part := _read(terminal):
        text += part
        if not first_step and _STEP in text:
            first_step = time.perf_counter() - began
    os.waitpid(pid, 0)
    if not first_step:
        sys.exit(f"the command showed no step: {text.decode(errors='replace')}")
    return Shown(first_step, time.perf_counter() - began, _spent() - spent)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # what Linux says when the other end is closed
        os.close(terminal)
        return b""


def _spent() -> float:
    """Return the CPU seconds of all processes that this one has waited for, and of those that they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
