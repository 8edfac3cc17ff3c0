"""SD7xx, sixth part: early answers of which only the first counts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.kinds import Lane, is_loop
from sagadsl.language.model import Answer, Step
from sagadsl.language.walk import Spot

_AFTER_AN_ERROR = (Lane.HANDLER, Lane.ON_FAILURE)


def answers_that_nobody_hears(analysis: Analysis) -> Iterator[Finding]:
    """SD716: a saga answers early once; a second answer on the same path reaches nobody. R103."""
    spots = [spot for spot in analysis.structure.spots if isinstance(spot[-1].step.body, Answer)]
    late: dict[str, Finding] = {}
    for spot in spots:
        loop = next((level.step for level in spot[:-1] if is_loop(level.step)), None)
        if loop is not None:
            step = spot[-1].step
            why = f"step `{step.id}` answers in each round of `{loop.id}`, and only the first answer counts"
            late[step.id] = _finding(step, why, "answer before or after the loop")
    for first, second in combinations(spots, 2):
        step, other = second[-1].step, first[-1].step
        if step.id not in late and _both_may_run(first, second):
            why = f"step `{step.id}` may answer after `{other.id}`, and only the first answer counts"
            late[step.id] = _finding(step, why, "answer once, or in different arms of a `switch`", other)
    yield from late.values()


def _both_may_run(first: Spot, second: Spot) -> bool:
    """Whether both may run, as far as the blocks tell. What answers for an error is meant for when nothing has yet."""
    for ours, theirs in zip(first, second, strict=False):
        if ours.step is theirs.step:
            continue
        if ours.lane is theirs.lane:
            return ours.way == theirs.way
        return not (ours.lane in _AFTER_AN_ERROR or theirs.lane in _AFTER_AN_ERROR)
    return False  # one of them stands in a handler of the other


def _finding(step: Step, why: str, help: str, other: Step | None = None) -> Finding:
    return Finding(
        "SD716",
        why,
        (*step.route, "answer"),
        severity=Severity.WARNING,
        help=help,
        step=step.id,
        at_key=True,
        related=() if other is None else (((*other.route, "answer"), "the first answer"),),
    )
