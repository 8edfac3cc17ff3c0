"""What whole commands of an older release and of this one cost: a part of ``python -m benchmarks --against REV``.

Valgrind counts the instructions of each process, which do not depend on what else the machine does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.older import HERE
from benchmarks.replays import counted

STEPS = 1_000
_PLAY = f"""
import gc, sys
gc.set_threshold(100_000)
from sagadsl.language.build import build
from sagadsl.virtual.world import World
undo = {{"activity": "u", "input": {{"key": "{{{{ step.idempotency_key }}}}"}}}}
steps = [
    {{"id": f"s{{i}}", "activity": "s", "input": {{"n": i, "v": "{{{{ input.v }}}}"}}, "compensation": undo}}
    for i in range({STEPS})
]
no = {{"id": "no", "fail": {{"type": "Refused", "message": "no"}}}}
model = build({{"sagadsl": 1, "name": "long", "version": "1", "steps": [*steps, no]}})
for _ in range(int(sys.argv[1])):
    world = World()
    world.start(model, {{"v": 1}})
    world.run()
"""


def main(before: Path) -> list[dict[str, Any]]:
    """Count this release and the one in the folder *before*, and print what the new one takes compared with the old."""
    if shutil.which("valgrind") is None:
        print("left out: Valgrind counts instructions, and is not here")
        return []
    rows: list[dict[str, Any]] = []
    print("| | instructions, in millions | before | ratio |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        now, old = (_Release(sources, Path(folder)) for sources in (HERE, before))
        for what in ("validate, just edited", "validate, not changed", "validate --help", "a step in virtual time"):
            spent, earlier = now.cost(what), old.cost(what)
            rows.append({"what": what, "now": spent, "before": earlier})
            print(f"| {what} | {spent:,.3f} | {earlier:,.3f} | {spent / earlier:.3f} |", flush=True)
    return rows


class _Release:
    """The sources of one release, and a definition in a folder of its own."""

    def __init__(self, sources: Path, folder: Path) -> None:
        # Whoever installs a package has its bytecode, whatever this shell says of writing it.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment = kept | {"PYTHONPATH": str(sources), "PYTHONSAFEPATH": "1", "XDG_CACHE_HOME": str(folder)}
        self.file = folder / "transfer.saga.yaml"
        self.file.write_bytes((HERE / "definitions" / "transfer_money.saga.yaml").read_bytes())

    def cost(self, what: str) -> float:
        """Return how many millions of instructions it takes."""
        if what == "a step in virtual time":  # each is done and undone
            several, once = (self._counted("-c", _PLAY, runs) for runs in ("6", "1"))
            return (several - once) / 5 / (2 * STEPS) / 1e6
        command = ["-m", "sagadsl", "--quiet", "validate"]
        if what == "validate --help":
            return self._counted(*command, "--help") / 1e6
        command.append(str(self.file))
        for _ in range(2):  # the first time keeps the types of the activities
            subprocess.run([sys.executable, *command], check=True, capture_output=True, env=self.environment)
        if what == "validate, just edited":
            with self.file.open("a") as file:
                file.write("# edited\n")
        return self._counted(*command) / 1e6

    def _counted(self, *arguments: str) -> int:
        return counted([sys.executable, *arguments], self.environment)[0]
