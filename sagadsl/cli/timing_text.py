"""How long sagas can take, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sagadsl.columns import table
from sagadsl.language.analysis.timing import Bound, SagaTime, timing
from sagadsl.language.calls import ActivityCall, Count, Duration
from sagadsl.language.loaded import Loaded
from sagadsl.language.notation.durations import spell


def times_of(files: Sequence[Loaded]) -> list[tuple[str, SagaTime]]:
    """Return the usable sagas among *files*, each with its times."""
    return [
        (f"{each.saga.name} {each.saga.version}".rstrip(), timing(each.saga)) for each in files if each.saga is not None
    ]


def as_text(times: Sequence[tuple[str, SagaTime]], width: int | None = None) -> str:
    """Return a table for each saga; *width* is that of the screen."""
    return "\n\n".join("\n".join(_table(name, found, width)) for name, found in times)


def as_data(times: Sequence[tuple[str, SagaTime]]) -> list[dict[str, Any]]:
    """Return the same as JSON data."""
    return [
        {
            "saga": name,
            **_bounds(found.once, found.retried, found.undo),
            "timeout": found.limit,
            "steps": [
                {
                    "step": each.id,
                    "depth": each.depth,
                    **_bounds(each.once, each.retried, each.undo),
                    "call": None if each.call is None else _policy(each.call),
                    "undoing": [_policy(call) for call in each.undoing],
                }
                for each in found.steps
            ],
        }
        for name, found in times
    ]


def _bounds(once: Bound, retried: Bound, undo: Bound) -> dict[str, Any]:
    return {
        "once": once.seconds,
        "retried": retried.seconds,
        "undo": undo.seconds,
        "why": list(dict.fromkeys(each.why for each in (once, retried, undo) if each.why)),
    }


def _policy(call: ActivityCall) -> dict[str, Any]:
    """Return the timeouts and retries that count for a call, after all defaults."""
    times, retry = call.timeouts, call.retry
    lengths = {name: getattr(times, name) for name in _TIMEOUTS}
    return {
        "activity": call.activity,
        "timeouts": {name: _length(length) for name, length in lengths.items() if length is not None},
        "retry": None
        if call.operation is not None  # the server tries it again by itself
        else {
            "maximum_attempts": _count(retry.maximum_attempts),
            "initial_interval": _length(retry.initial_interval),
            "backoff_coefficient": retry.backoff_coefficient,
            "maximum_interval": _length(retry.maximum_interval),
            "non_retryable_error_types": list(retry.non_retryable_error_types),
        },
    }


_SHOWN = 12
"""The most steps in one line."""

_TIMEOUTS = ("start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat", "settle")
_WORDS = {
    "start_to_close": "{} each",
    "schedule_to_close": "{} in all",
    "schedule_to_start": "{} in the queue",
    "heartbeat": "heartbeat {}",
    "settle": "settle {}",
}


def _said(call: ActivityCall) -> str:
    """Return the timeouts and retries of a call in words."""
    policy = _policy(call)
    times = [_WORDS[name].format(length) for name, length in policy["timeouts"].items()]
    retry = policy["retry"]
    if retry is None:
        return ", ".join(["tried again by the server", *times])
    number = retry["maximum_attempts"]
    said = [f"{number} attempt{'' if number == 1 else 's'}", *times]
    if number != 1:
        pauses = f"pauses {retry['initial_interval']}"
        factor = retry["backoff_coefficient"]
        said.append(pauses if factor == 1 else f"{pauses}, times {factor:g}, up to {retry['maximum_interval']}")
    if retry["non_retryable_error_types"] and number != 1:
        said.append(f"not after {', '.join(retry['non_retryable_error_types'])}")
    return ", ".join(said)


def _length(length: Duration) -> str:
    return spell(length) if isinstance(length, timedelta) else "computed"


def _count(count: Count | None) -> int | str:
    return "unlimited" if count is None else count if isinstance(count, int) else f"up to {count.most}"


def _policies(found: SagaTime) -> Iterator[str]:
    """Yield a line for each set of timeouts and retries, with the steps that have it."""
    groups: dict[str, dict[str, None]] = {}
    for each in found.steps:
        if each.call is not None:
            groups.setdefault(_said(each.call), {})[f"`{each.id}`"] = None
        for call in each.undoing:
            groups.setdefault(f"undo: {_said(call)}", {})[f"`{each.id}`"] = None
    for said, steps in groups.items():
        more = f" and {len(steps) - _SHOWN} more" if len(steps) > _SHOWN else ""
        yield f"   {said}: {', '.join(list(steps)[:_SHOWN])}{more}"


def _table(name: str, found: SagaTime, width: int | None) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [
        (" " + "  " * each.depth + each.id, *map(_short, (each.once, each.retried, each.undo))) for each in found.steps
    ]
    rows.append((" in all", *map(_short, (found.once, found.retried, found.undo))))
    limit = "" if found.limit is None else f"   timeout {spell(timedelta(seconds=found.limit))}"
    yield f"{name}: how long it can take{limit}"
    yield from table(rows, width, (" ", "one attempt", "all retries", "undoing"))
    shown = [bound for each in found.steps for bound in (each.once, each.retried, each.undo)]
    shown += [found.once, found.retried, found.undo]
    yield from _policies(found)
    for why in dict.fromkeys(bound.why for bound in shown if bound.why):
        yield f"   ∞ {why}"


def _short(bound: Bound) -> str:
    return "∞" if bound.seconds is None else spell(timedelta(seconds=bound.seconds))
