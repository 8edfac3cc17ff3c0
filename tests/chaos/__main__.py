"""``python -m tests.chaos``: a run whose seed is printed, and may be given; exit code 1 when something was untrue.

``CHAOS=cluster`` has a disk of its own, to fill and to slow down: it runs in a mount namespace, and so as root.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.chaos import disks
from tests.chaos.faults import FAULTS, ON_A_DISK
from tests.chaos.run import CLUSTER, LONG, SHORT, Outcome, run

_SIZES = {"": SHORT, "long": LONG, "cluster": CLUSTER}
_APART = "SAGADSL_CHAOS_APART"


def main() -> int:
    """Run it as the environment says: ``SEED``, ``CHAOS=long|cluster``, ``TRANSFERS`` for another
    number of sagas, and ``FAULTS`` to take some of them alone."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    word = os.environ.get("CHAOS", "")
    size = _SIZES[word]
    if transfers := os.environ.get("TRANSFERS"):
        size = size.of(int(transfers))
    if wanted := os.environ.get("FAULTS"):
        size = replace(size, faults=tuple(name for name in FAULTS if name in wanted.split(",")))
    if ON_A_DISK & set(size.faults) and _APART not in os.environ:
        os.environ |= {_APART: "1", "SEED": str(seed)}
        os.execvp("unshare", ["unshare", "-m", sys.executable, "-m", "tests.chaos"])
    print(f"SEED={seed}{f' CHAOS={word}' if word else ''} TRANSFERS={size.transfers}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="sagadsl-chaos-"))
    folder.chmod(0o755)
    begin = time.monotonic()

    def log(what: str) -> None:
        print(f"{time.monotonic() - begin:7.1f}  {what}", flush=True)

    outcome = asyncio.run(run(size, seed, folder / "run", log))
    show(outcome)
    if outcome.violations:
        print(f"what it wrote stays in {folder}")
        return 1
    disks.unmount(folder / "run" / "postgres")
    shutil.rmtree(folder)
    return 0


def show(outcome: Outcome) -> None:
    """Print what came of it."""
    print(f"on {outcome.kind}, in {outcome.seconds:.0f} s")
    for what, counts in (
        ("plans", outcome.plans),
        ("broke", outcome.broke),
        ("people", outcome.acts),
        ("ends", outcome.statuses),
        ("effects", outcome.effects),
    ):
        print(f"  {what}: {_counted(counts)}")
    for each in outcome.violations:
        print(f"VIOLATION {each.id}: {each.what}")
    print(f"{len(outcome.violations)} violations (SEED={outcome.seed})")


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
