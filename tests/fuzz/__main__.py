"""``python -m tests.fuzz``: files by a seed that is printed, and may be given; exit code 1 when something broke."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from tests.fuzz.fuzzing import Fuzzed, again, fuzz

KEPT = Path("build") / "fuzz"


def main() -> int:
    """Run it as the environment says: ``SEED``, ``TIME`` in seconds, or ``CASE``, one case once more."""
    case = os.environ.get("CASE")
    seed = os.environ.get("SEED") or str(random.randrange(10**6))
    seconds = float(os.environ.get("TIME") or 60)
    print(f"CASE={case}" if case else f"SEED={seed} TIME={seconds:g}", flush=True)
    done = again(case) if case else fuzz(seed, seconds)
    show(done)
    return 1 if done.found else 0


def show(done: Fuzzed) -> None:
    """Print what came of it, and keep what broke something."""
    print(f"tried {', '.join(f'{number:,} {name}' for name, number in sorted(done.cases.items()))}")
    for found in done.found:
        KEPT.mkdir(parents=True, exist_ok=True)
        path = KEPT / f"{found.kind}-{found.case.replace('/', '-')}"
        path.write_bytes(found.data)
        print(f"FAULT in {found.kind}, CASE={found.case}, kept in {path}:\n  {found.why}")
    print(f"{len(done.found)} faults")


if __name__ == "__main__":
    sys.exit(main())
