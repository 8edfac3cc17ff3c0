"""SD7xx, third part: waits that share a signal."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.kinds import Lane, complete_when, is_loop
from sagadsl.language.model import Handler, Step, Then, WaitFor
from sagadsl.language.own_errors import SIGNAL_TIMEOUT
from sagadsl.language.walk import Level, Spot


def answers_that_come_too_late(analysis: Analysis) -> Iterator[Finding]:
    """SD711: an answer that comes too late is kept, and the next wait for this signal takes it as its own answer."""
    waits = [(spot, spot[-1].step.body) for spot in analysis.structure.spots if isinstance(spot[-1].step.body, WaitFor)]
    unanswered: dict[str, list[Spot]] = {}
    for spot, body in waits:
        if _ends_without_an_answer(spot):
            for signal in body.signals:
                unanswered.setdefault(signal, []).append(spot)
    for spot, body in waits:
        for signal in () if body.since_now else body.signals:
            given_up = next((each for each in unanswered.get(signal, ()) if _is_followed(each, spot)), None)
            if given_up is not None:
                yield _finding(spot[-1].step, signal, given_up[-1].step)
                break


def _finding(step: Step, signal: str, given_up: Step) -> Finding:
    meant = "the round before" if given_up is step else f"step `{given_up.id}`"
    return Finding(
        "SD711",
        f"step `{step.id}` may take a late signal `{signal}`, meant for {meant}",
        (*step.route, "wait_for"),
        severity=Severity.WARNING,
        help="add `since: now` to the wait, or use two signals",
        step=step.id,
        at_key=True,
        related=() if given_up is step else (((*given_up.route, "wait_for"), "may end without an answer"),),
    )


def _ends_without_an_answer(spot: Spot) -> bool:
    """Whether a wait may end before its signal has come. Whether the saga then goes on is another question."""
    body = spot[-1].step.body
    assert isinstance(body, WaitFor)
    return body.timeout is not None or any(complete_when(level.step) is not None for level in spot[:-1])


def _is_followed(first: Spot, second: Spot) -> bool:
    """Whether *second* may begin after *first* has ended without an answer."""
    shared = 0
    while shared < min(len(first), len(second)) and first[shared].step is second[shared].step:
        if _is_repeated(first[shared].step, first[shared + 1 :], second[shared + 1 :]):
            return True
        shared += 1
    if shared == len(second):
        return False
    theirs, ours = first[shared:], second[shared]
    if ours.lane is Lane.HANDLER and not (theirs and theirs[0].lane is Lane.HANDLER):
        return _takes(second[shared - 1].step.on_error[ours.way])  # the error of the first wait starts it
    return bool(theirs) and _comes_later(theirs[0], ours) and _is_given_up(theirs)


def _is_repeated(block: Step, first: Spot, second: Spot) -> bool:
    """Whether *block* is a loop, so that *second* in a later round comes after *first*, wherever they stand in it."""
    if not is_loop(block) or not first or not second:
        return False
    return first[0].lane is second[0].lane is Lane.STEPS and _is_given_up(first)


def _comes_later(first: Level, second: Level) -> bool:
    if first.lane is Lane.BRANCH:
        return first.step.id in second.step.needs
    return first.lane is second.lane and first.way == second.way and first.index < second.index


def _is_given_up(levels: Spot) -> bool:
    """Whether the wait may end without an answer, but the saga goes on after the outermost of these steps."""
    if any(complete_when(level.step) is not None for level in levels[:-1]):
        return True
    body = levels[-1].step.body
    if not isinstance(body, WaitFor) or body.timeout is None:
        return False
    return any(handler.then is Then.CONTINUE and _takes(handler) for level in levels for handler in level.step.on_error)


def _takes(handler: Handler) -> bool:
    return not handler.types or SIGNAL_TIMEOUT in handler.types
