"""``make bench``: the figures of ``benchmarks/README.md``, measured again; ``python -m benchmarks runs``: one part;
``python -m benchmarks --against REV``: this release against an older one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from benchmarks import (
    against,
    checking,
    crowd,
    evicting,
    exploring,
    first_step,
    gateway,
    hiding,
    long,
    migrating,
    recovering,
    runs,
    scale,
    serving,
    sizing,
    threads,
    waiting,
)

PARTS: dict[str, Callable[[], object]] = {
    "runs": runs.main,
    "scale": scale.main,
    "checking": checking.main,
    "starting": first_step.main,
    "exploring": exploring.main,
    "serving": serving.main,
    "gateway": gateway.main,
    "migrating": migrating.main,
    "recovering": recovering.main,
    "hiding": hiding.main,
}
ALONE: dict[str, Callable[[], object]] = {
    "long": long.main,
    "items": long.items,
    "sizing": sizing.main,
    "threads": threads.main,
    "crowd": crowd.main,
    "waiting": waiting.main,
    "evicting": evicting.main,
}
"""Parts that take many minutes: measured only when they are named."""


def main() -> None:
    known = PARTS | ALONE
    match sys.argv[1:]:
        case ["-h" | "--help", *_]:
            print((__doc__ or "").strip())
            print(f"\nUsage: python -m benchmarks [PART …] | --against REVISION\n\nParts: {', '.join(PARTS)}")
            print(f"Only when they are named, as they take long: {', '.join(ALONE)}")
            return
        case ["--against", revision]:
            against.main(revision)
            _end()
        case ["--against", *_]:
            sys.exit("`--against` takes one revision of git, e.g. `python -m benchmarks --against v0.1.0`")
    if unknown := [name for name in sys.argv[1:] if name not in known]:
        sys.exit(f"no part is named `{unknown[0]}`; there are: {', '.join(known)}")
    for name in sys.argv[1:] or PARTS:
        print(f"\n{name}\n")
        known[name]()
    _end()


def _end() -> NoReturn:
    sys.stdout.flush()
    os._exit(0)  # sdk-python#300: the SDK may abort a process that ends


if __name__ == "__main__":
    main()
