"""``python -m tests.chaos``: a run whose seed is printed, and may be given; exit code 1 when something was untrue."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.run import LONG, SHORT, Outcome, run


def main() -> int:
    """Run it as the environment says: ``SEED`` and ``CHAOS=long``."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    long = os.environ.get("CHAOS") == "long"
    print(f"SEED={seed}{' CHAOS=long' if long else ''}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="sagadsl-chaos-"))
    folder.chmod(0o755)
    begin = time.monotonic()

    def log(what: str) -> None:
        print(f"{time.monotonic() - begin:7.1f}  {what}", flush=True)

    outcome = asyncio.run(run(LONG if long else SHORT, seed, folder / "run", log))
    show(outcome)
    if outcome.violations:
        print(f"what it wrote stays in {folder}")
        return 1
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
