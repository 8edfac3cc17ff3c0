"""``make bench``: the figures of ``benchmarks/README.md``, measured again; ``python -m benchmarks runs``: one part."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from benchmarks import checking, exploring, runs, scale, serving

PARTS: dict[str, Callable[[], object]] = {
    "runs": runs.main,
    "scale": scale.main,
    "checking": checking.main,
    "exploring": exploring.main,
    "serving": serving.main,
}


def main() -> None:
    if unknown := [name for name in sys.argv[1:] if name not in PARTS]:
        sys.exit(f"no part is named `{unknown[0]}`; there are: {', '.join(PARTS)}")
    for name in sys.argv[1:] or PARTS:
        print(f"\n{name}\n")
        PARTS[name]()
    sys.stdout.flush()
    os._exit(0)  # sdk-python#300: the SDK may abort a process that ends


if __name__ == "__main__":
    main()
