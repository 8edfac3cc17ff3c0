"""SD516, SD517: calls that run as local activities although they do not suit that. It looks at one call at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.build_calls import LOCAL_MOST
from sagadsl.language.calls import ActivityCall, most_of
from sagadsl.language.notation import durations

HELD_MOST = timedelta(minutes=1)
"""The most time that a call with its attempts should keep its run in one worker."""


def keys_that_a_local_call_does_not_use(analysis: Analysis) -> Iterator[Finding]:
    """SD516: a local call says something that only a task queue, or the server, could do."""
    for spot, call, route, _phase in analysis.activity_calls:
        if not call.local:
            continue
        said = {
            "task_queue": call.task_queue if call.own_queue else None,
            "priority": call.priority,
            "fairness_key": call.fairness_key,
            "fairness_weight": call.fairness_weight,
        }
        keys: list[Route] = [(key,) for key, value in said.items() if value is not None]
        keys += [("timeouts", "heartbeat")] if call.timeouts.heartbeat is not None else []
        for key in keys:
            step = spot[-1].step.id
            yield Finding(
                "SD516",
                f"a call of step `{step}` is local: it goes through no task queue, so `{key[-1]}` has no effect",
                (*route, *key),
                severity=Severity.WARNING,
                help="remove it, or remove `local`",
                step=step,
                at_key=True,
            )


def local_calls_that_may_take_long(analysis: Analysis) -> Iterator[Finding]:
    """SD517: a local call may keep its run in one worker for long, at three events every eight seconds."""
    for spot, call, route, _phase in analysis.activity_calls:
        if not call.local:
            continue
        attempt = _attempt(call)
        key = "schedule_to_close" if call.timeouts.start_to_close is None else "start_to_close"
        step = spot[-1].step.id
        message = ""
        if attempt is not None and attempt > LOCAL_MOST:
            message = f"an attempt of a local call of step `{step}` may take `{durations.spell(attempt)}`"
            help = f"bound it: `timeouts: {{start_to_close: {durations.spell(LOCAL_MOST)}}}`, or remove `local`"
        elif _in_one_go(call) > HELD_MOST:
            longest = durations.spell(HELD_MOST)
            message = f"a local call of step `{step}` may be attempted for more than `{longest}` in one worker"
            help = f"bound it: `timeouts: {{schedule_to_close: {longest}}}`, or remove `local`"
            key = "schedule_to_close"
        if message:
            yield Finding(
                "SD517",
                f"{message}; meanwhile the run costs events, and hears of nothing",
                (*route, "timeouts", key),
                severity=Severity.WARNING,
                help=help,
                step=step,
            )


def _attempt(call: ActivityCall) -> timedelta | None:
    """Return how long an attempt may take; ``None`` when nobody knows yet."""
    times = call.timeouts
    found = times.schedule_to_close if times.start_to_close is None else times.start_to_close
    return found if isinstance(found, timedelta) else None


def _in_one_go(call: ActivityCall) -> timedelta:
    """Return how long attempts may follow each other without a timer between them, or a time above ``HELD_MOST``.

    A pause that is longer than an attempt should be is a timer of the run (``scheduling``).
    """
    attempt, total, pause = _attempt(call), call.timeouts.schedule_to_close, call.retry.initial_interval
    longest, most = call.retry.maximum_interval, most_of(call.retry.maximum_attempts)
    if attempt is None or not isinstance(pause, timedelta) or not isinstance(longest, timedelta):
        return timedelta(0)  # nobody knows yet what the expression gives
    if total is not None and (not isinstance(total, timedelta) or total <= HELD_MOST):
        return timedelta(0)
    held, number = attempt, 1
    while (most is None or number < most) and pause <= LOCAL_MOST and held <= HELD_MOST:
        held, number = held + pause + attempt, number + 1
        pause = min(pause * call.retry.backoff_coefficient, longest)
    return held
