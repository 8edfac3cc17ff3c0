"""SD5xx: retries and timeouts that cannot work together. It looks at one call, and at the saga's own timeout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta

from sagadsl.diagnostics.findings import Finding, Route, Severity
from sagadsl.immutable import Immutable, replace
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.analysis.order import is_endless
from sagadsl.language.calls import ActivityCall, Duration, Retry, Timeouts
from sagadsl.language.model import Step
from sagadsl.language.notation import durations

LONG_ATTEMPT = timedelta(minutes=10)
"""An attempt that may take longer than this should heartbeat: otherwise a cancel cannot reach it. R37."""


class _Call(Immutable):
    """One activity call of a definition, and its place."""

    call: ActivityCall
    step: Step
    route: Route
    forward: bool = False


def totals_that_end_the_first_attempt(analysis: Analysis) -> Iterator[Finding]:
    """SD511: all attempts together have less time than a single one, so that no retry can ever begin."""
    for each in _said(analysis, _timeouts):
        attempt, total = each.call.timeouts.start_to_close, each.call.timeouts.schedule_to_close
        if _shorter(total, attempt):
            yield Finding(
                "SD511",
                f"all attempts of step `{each.step.id}` together get {_spelt(total)}, but one attempt may take "
                f"{_spelt(attempt)}",
                (*each.route, "timeouts", "schedule_to_close"),
                help="make `schedule_to_close` longer than `start_to_close`, or shorten `start_to_close`",
                step=each.step.id,
                related=(((*each.route, "timeouts", "start_to_close"), "one attempt"),),
            )


def heartbeats_slower_than_the_attempt(analysis: Analysis) -> Iterator[Finding]:
    """SD512: the attempt ends before the heartbeat timeout could notice its silence."""
    for each in _said(analysis, _timeouts):
        timeouts = each.call.timeouts
        _, attempt = _one_attempt(timeouts)
        if _shorter(attempt, timeouts.heartbeat):
            yield Finding(
                "SD512",
                f"step `{each.step.id}` may be silent for {_spelt(timeouts.heartbeat)}, but an attempt may take only "
                f"{_spelt(attempt)}",
                (*each.route, "timeouts", "heartbeat"),
                help="a heartbeat timeout is a fraction of `start_to_close`, e.g. `10s` of `5m`",
                step=each.step.id,
            )


def attempts_without_end(analysis: Analysis) -> Iterator[Finding]:
    """SD513: nothing bounds the attempts of a step that could still be undone."""
    if analysis.saga.timeout is not None:
        return
    pivots = analysis.pivots
    patient = {*pivots.after, *(step.id for step, _ in pivots.beside)}  # to give up there would be worse
    for each in _said(analysis, _retry):
        if is_endless(each.call) and each.forward and each.step.id not in patient:
            yield Finding(
                "SD513",
                f"step `{each.step.id}` is retried for ever when it keeps failing, so the saga never compensates",
                (*each.route, "retry", "maximum_attempts"),
                severity=Severity.WARNING,
                help="bound it: `timeouts: {start_to_close: 1m, schedule_to_close: 1h}`, or `timeout: 1d` for the saga",
                step=each.step.id,
            )


def long_attempts_without_a_heartbeat(analysis: Analysis) -> Iterator[Finding]:
    """SD514: a long attempt has no heartbeat: no cancel can reach it, and nobody sees that its worker has died."""
    for each in _said(analysis, _timeouts):
        timeouts = each.call.timeouts
        key, attempt = _one_attempt(timeouts)
        if each.forward and not each.call.local and timeouts.heartbeat is None and _shorter(LONG_ATTEMPT, attempt):
            yield Finding(
                "SD514",
                f"an attempt of step `{each.step.id}` may take {_spelt(attempt)} and has no heartbeat: a cancel or a "
                "dead worker is noticed only after that",
                (*each.route, "timeouts", key),
                severity=Severity.WARNING,
                help="let the activity heartbeat and say `timeouts: {heartbeat: 30s}`, or bound it: `start_to_close`",
                step=each.step.id,
            )


def waits_for_late_attempts_in_vain(analysis: Analysis) -> Iterator[Finding]:
    """SD515: `settle` stands where no undo waits for an attempt that its `start_to_close` has ended."""
    for each in _calls(analysis):
        settle, route = each.call.timeouts.settle, (*each.route, "timeouts", "settle")
        if settle is None:
            continue
        why, help = "", ""
        if not each.forward:
            why = "is for the step itself: nothing waits for a late attempt of this call"
            help = "move it to `timeouts` of the step"
        elif each.step.compensation is None:
            why = "is how long its undo waits, and nothing undoes it"
            help = "give the step a `compensation`, or leave `settle` out"
        elif each.call.timeouts.start_to_close is None:
            why = "waits for an attempt that `start_to_close` has ended, and it has none"
            help = "bound one attempt: `timeouts: {start_to_close: 30s, settle: 30s}`"
        if why:
            yield Finding("SD515", f"`settle` of step `{each.step.id}` {why}", route, help=help, step=each.step.id)


def pauses_that_the_defaults_make_impossible(analysis: Analysis) -> Iterator[Finding]:
    """SD505: merged with ``defaults``, the longest pause is shorter than the first one."""
    for each in _said(analysis, _retry):
        retry = each.call.retry
        if _shorter(retry.maximum_interval, retry.initial_interval):
            yield Finding(
                "SD505",
                f"with the defaults, step `{each.step.id}` pauses at most {_spelt(retry.maximum_interval)}, "
                f"but at first {_spelt(retry.initial_interval)}",
                (*each.route, "retry", "maximum_interval"),
                help="give `initial_interval` and `maximum_interval` together",
                step=each.step.id,
            )


def _timeouts(call: ActivityCall) -> Timeouts:
    return call.timeouts


def _retry(call: ActivityCall) -> Retry:
    return call.retry


def _said(analysis: Analysis, part: Callable[[ActivityCall], Timeouts | Retry]) -> Iterator[_Call]:
    """Yield each call with its own *part*; a part of ``defaults`` only once, with its place in ``defaults``."""
    calls = tuple(_calls(analysis))
    users = Counter(id(part(each.call)) for each in calls)
    seen: set[int] = set()
    for each in calls:
        shared = users[id(part(each.call))] > 1
        if not shared:
            yield each
        elif id(part(each.call)) not in seen:
            seen.add(id(part(each.call)))
            yield replace(each, route=("defaults",))


def _calls(analysis: Analysis) -> Iterator[_Call]:
    for spot, call, route, _phase in analysis.activity_calls:
        step = spot[-1].step
        yield _Call(call, step, route, forward=call is step.body)


def _one_attempt(timeouts: Timeouts) -> tuple[str, Duration | None]:
    """Return how long one attempt may take, and the key that says so."""
    if timeouts.start_to_close:
        return "start_to_close", timeouts.start_to_close
    return "schedule_to_close", timeouts.schedule_to_close


def _shorter(one: Duration | None, other: Duration | None) -> bool:
    """Whether *one* is certainly shorter than *other*; nobody knows yet how long the result of an expression is."""
    return isinstance(one, timedelta) and isinstance(other, timedelta) and one < other


def _spelt(length: Duration | None) -> str:
    return f"`{durations.spell(length)}`" if isinstance(length, timedelta) else "?"
