"""What an older release and this one cost, both in one run: ``python -m benchmarks --against REV``.

``REV`` is a commit, a tag or a branch; its sources are unpacked into a folder that is removed again. The processes of
both releases share the installed packages, and take turns.
"""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

from benchmarks import first_step, replays, starting
from benchmarks.older import unpacked
from benchmarks.runs import Entrant, Figures, measure, ratio

VARIANTS = ("saga-inline", "saga-local")


def main(revision: str, sagas: int = 60, rounds: int = 7) -> None:
    """Print what this release costs compared with *revision*: its workers on a server, replays, commands."""
    with unpacked(revision) as before:
        print(f"sagas on a real server, against {revision}\n")
        entrants = [Entrant(variant, folder) for variant in VARIANTS for folder in (None, before)]
        print("\n".join(table(asyncio.run(measure(entrants, sagas, rounds)), before)), flush=True)
        print(f"\nreplays, against {revision}\n")
        replays.main(before)
        print(f"\nwhole commands, against {revision}\n")
        starting.main(before)
        print(f"\nto the first step, against {revision}\n")
        first_step.main(before)


def table(figures: dict[str, Figures], before: Path) -> list[str]:
    """Return the figures of both releases as a Markdown table, with their ratios."""
    lines = [
        "| saga | worker CPU ms | before | ratio | latency ms | before | ratio | a second, 50 at once | before "
        "| events | before |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for variant in VARIANTS:
        for outcome in ("completing", "failing"):
            now, old = (figures[f"{Entrant(variant, folder).name}/{outcome}"] for folder in (None, before))
            cells = [
                f"{variant}, {outcome}",
                *(f"{statistics.median(each.cpu):.1f}" for each in (now, old)),
                ratio(now.cpu, old.cpu),
                *(f"{statistics.median(each.latency):.0f}" for each in (now, old)),
                ratio(now.latency, old.latency),
                *(f"{statistics.median(each.rate):.0f}" for each in (now, old)),
                *(str(each.events) for each in (now, old)),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines
