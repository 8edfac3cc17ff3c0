"""SD7xx, third part: pauses that the saga never makes, whose limit does nothing, or of which nobody will be told."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.model import OnFailure, Then


def pauses_without_effect(analysis: Analysis) -> Iterator[Finding]:
    """SD712: a step of `on_failure` never pauses, and behind the pivot no pause ends by itself."""
    after = analysis.pivots.after
    for place in analysis.saga.places.values():
        step = place.step
        for number, handler in enumerate(step.on_error):
            if handler.then is not Then.PAUSE:
                continue
            shared = len(step.on_error) == 1 and handler.pause_timeout is None and not handler.types
            route = (*step.route, "on_error") if shared else (*step.route, "on_error", number)
            if place.is_on_failure:
                yield Finding(
                    "SD712",
                    f"step `{step.id}` runs when the saga has failed already, so it never waits for an operator",
                    route,
                    severity=Severity.WARNING,
                    help="remove the pause, or retry the step longer",
                    step=step.id,
                )
            elif handler.pause_timeout is not None and step.id in after and after[step.id][1]:
                pivot = after[step.id][0]
                yield Finding(
                    "SD712",
                    f"the pause of step `{step.id}` has no end: nothing is undone behind the pivot `{pivot.id}`",
                    (*route, "pause_timeout"),
                    severity=Severity.WARNING,
                    help="remove the limit",
                    step=step.id,
                    related=(((*pivot.route, "pivot"), "the point of no return"),),
                )


def nothing_to_tell_of(analysis: Analysis) -> Iterator[Finding]:
    """SD714: `on_pause` is written, and nothing in the saga ever waits for an operator. R64."""
    saga = analysis.saga
    steps = [place.step for place in saga.places.values()]
    undoing_pauses = saga.compensation_failure is OnFailure.PAUSE and any(step.compensation for step in steps)
    if saga.on_pause and not (saga.pauses or undoing_pauses or any(step.pivot for step in steps)):
        yield Finding(
            "SD714",
            "`on_pause` tells nobody: nothing in this saga waits for an operator",
            ("on_pause",),
            severity=Severity.WARNING,
            help="write `on_error: pause` where the saga shall wait, or use `on_failure` for a saga that has failed",
            at_key=True,
        )
