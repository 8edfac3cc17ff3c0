"""The options that say how much a worker does at once, how fast, and in which threads.

``[worker]`` of the project may say them, too.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import click

from sagadsl.cli.event_loop import Loop
from sagadsl.cli.options import with_options
from sagadsl.immutable import Immutable

R = TypeVar("R")

CACHED = 1_000
"""The most open sagas of a queue that stay in the memory of a process, if nobody says it."""

_MOST = 100
"""Activities at once, if nobody says it: the SDK's own number."""

_MOST_BY_RESOURCES = 500
_POLLERS_USUAL = 5
_KINDS = ("sagas", "activities", "local")
_RANGE = re.compile(r"auto(?::(\d{1,4})-(\d{1,4}))?")
_MEMORY, _CPU = 0.8, 0.9
_TUNER = "`fixed:sagas=N,activities=N,local=N`, or `resources:memory=0.8,cpu=0.9`"
_POLLERS = "a number from 2 to 1,000, `auto`, or `auto:MIN-MAX`"


class Slots(Immutable):
    """How many tasks of each kind a worker has in hand at most; ``None`` is the SDK's own number."""

    sagas: int | None = None
    activities: int | None = None
    local: int | None = None


class Targets(Immutable):
    """How much of the machine a worker may use: it takes tasks as long as less is in use."""

    memory: float = _MEMORY
    cpu: float = _CPU


class Pollers(Immutable):
    """How many requests for tasks of each kind are open at a time; with ``least`` the server says how many."""

    most: int
    least: int | None = None


class Tasks(StrEnum):
    """In which thread workflow tasks run: each in another one, or short ones in that of the event loop."""

    THREADS = "threads"
    EVENT_LOOP = "event-loop"


class Capacity(Immutable):
    """How much a worker does.

    Attributes:
        rate: Activities a second that each process begins.
        queue_rate: Activities a second that all workers of a queue begin together.
        cached: The most open sagas of each queue that stay in memory.
        loop: Whose event loop each process runs on.
        tasks: In which thread its workflow tasks run.
    """

    rate: float | None = None
    queue_rate: float | None = None
    tuner: Slots | Targets | None = None
    pollers: Pollers | None = None
    cached: int = CACHED
    loop: Loop = Loop.AUTO
    tasks: Tasks = Tasks.THREADS

    def options(self) -> dict[str, Any]:
        """Return what ``build_worker`` has to know of it."""
        return {
            "max_cached_workflows": self.cached,
            "near": self.tasks is Tasks.EVENT_LOOP,
            "max_activities_per_second": self.rate,
            "max_task_queue_activities_per_second": self.queue_rate,
            # those that come along with a saga's own task would not count
            "disable_eager_activity_execution": (self.rate or self.queue_rate) is not None,
            **_slots(self.tuner),
            **_polls(self.pollers, self.rate),
        }


def _slots(tuner: Slots | Targets | None) -> dict[str, Any]:
    from temporalio.worker import WorkerTuner

    match tuner:
        case Slots():
            fixed = WorkerTuner.create_fixed(
                workflow_slots=tuner.sagas, activity_slots=tuner.activities, local_activity_slots=tuner.local
            )
            return {"tuner": fixed, "threads": max(tuner.activities or _MOST, 1)}
        case Targets():
            by_use = WorkerTuner.create_resource_based(target_memory_usage=tuner.memory, target_cpu_usage=tuner.cpu)
            return {"tuner": by_use, "threads": _MOST_BY_RESOURCES}
        case None:
            return {}


def _polls(pollers: Pollers | None, rate: float | None) -> dict[str, Any]:
    """Return how many polls are open. One that is open has passed the *rate*: after a quiet time, so many activities
    begin at once. So a slow worker has few of them.
    """
    from temporalio.worker import PollerBehaviorAutoscaling, PollerBehaviorSimpleMaximum

    if pollers is None:
        few = min(_POLLERS_USUAL, max(1, int(min(rate or inf, 100) / 10)))
        return {"activity_task_poller_behavior": PollerBehaviorSimpleMaximum(few)}
    behavior: Any
    if pollers.least is None:
        behavior = PollerBehaviorSimpleMaximum(pollers.most)
    else:
        initial = min(max(_POLLERS_USUAL, pollers.least), pollers.most)
        behavior = PollerBehaviorAutoscaling(minimum=pollers.least, maximum=pollers.most, initial=initial)
    return {"workflow_task_poller_behavior": behavior, "activity_task_poller_behavior": behavior}


def with_capacity(command: Callable[..., R]) -> Callable[..., R]:
    """Add these options; the command gets them as ``capacity``."""

    @functools.wraps(command)
    def collected(**values: Any) -> R:
        given = {key: values.pop(key) for key in _READERS}
        return command(capacity=_capacity(given), **values)

    return with_options(collected, _OPTIONS)


def _capacity(given: Mapping[str, Any]) -> Capacity:
    """Join the options and ``[worker]`` of the project. Raises ``SettingsUnusable``, ``SettingsWrong``."""
    from sagadsl.plugins.settings import key_meant, table_of
    from sagadsl.temporal.link.shown import SettingsUnusable

    table, file = table_of(Path.cwd())
    stored = table.get("worker", {})
    origin = f"[worker] of {file}"
    if not isinstance(stored, dict):
        raise SettingsUnusable(f"{origin} is no table")
    if unknown := sorted(stored.keys() - _READERS.keys()):
        raise SettingsUnusable(f"{origin} has `{unknown[0]}`", key_meant(unknown[0], _READERS))
    found: dict[str, Any] = {}
    for name, (field, read, form) in _READERS.items():
        by_option = given[name] is not None
        value = given[name] if by_option else stored.get(name)
        if value is None:
            continue
        try:
            found[field] = read(value)
        except (ValueError, TypeError, AttributeError):
            where = f"--{name.replace('_', '-')}" if by_option else f"`{name}` in {origin}"
            raise SettingsUnusable(f"`{value}` cannot be used ({where})", f"write {form}") from None
    return Capacity(**found)


def _rate(value: Any) -> float:
    if isinstance(value, bool) or not 0.01 <= (number := float(value)) <= 1_000_000:
        raise ValueError
    return number


def _count(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and value != int(value)):
        raise ValueError
    if not least <= (number := int(value)) <= most:
        raise ValueError
    return number


def _tuner(value: Any) -> Slots | Targets:
    kind, _, rest = value.partition(":")
    pairs = [each.partition("=") for each in rest.split(",")] if rest else []
    named = {key.strip(): number.strip() for key, _, number in pairs}
    if len(named) != len(pairs):
        raise ValueError
    if kind == "fixed" and named and named.keys() <= set(_KINDS):
        # a saga in memory needs two tasks at a time, one of which may be a question
        return Slots(**{key: _count(number, 2 if key == "sagas" else 1, 10_000) for key, number in named.items()})
    if kind == "resources" and named.keys() <= {"memory", "cpu"}:
        return Targets(**{key: _share(number) for key, number in named.items()})
    raise ValueError


def _share(text: str) -> float:
    if not 0 < (number := float(text)) <= 1:
        raise ValueError
    return number


def _pollers(value: Any) -> Pollers:
    if isinstance(value, str) and (found := _RANGE.fullmatch(value)):
        least, most = (int(each or usual) for each, usual in zip(found.groups(), (2, 100), strict=True))
        if not 2 <= least <= most <= 1_000:
            raise ValueError
        return Pollers(most, least)
    return Pollers(_count(value, 2, 1_000))


_READERS: Mapping[str, tuple[str, Callable[[Any], Any], str]] = {
    "max_activities_per_second": ("rate", _rate, "a number from 0.01 on"),
    "max_task_queue_activities_per_second": ("queue_rate", _rate, "a number from 0.01 on"),
    "tuner": ("tuner", _tuner, _TUNER),
    "pollers": ("pollers", _pollers, _POLLERS),
    "cached": ("cached", lambda value: _count(value, 0, 10_000_000), "a number of sagas"),
    "event_loop": ("loop", Loop, "`auto`, `asyncio` or `uvloop`"),
    "workflow_tasks": ("tasks", Tasks, "`threads` or `event-loop`"),
}
"""What the options and the keys of ``[worker]`` are read to: the field, how, and the form for messages."""

_OPTIONS = (
    click.option(
        "--cached",
        metavar="SAGAS",
        help=f"How many open sagas of a queue stay in memory; others are replayed when something happens.  "
        f"[default: {CACHED}]",
    ),
    click.option(
        "--event-loop",
        metavar="NAME",
        help="On which event loop activities run: auto (uvloop where it is installed), asyncio, or uvloop.",
    ),
    click.option(
        "--workflow-tasks",
        metavar="WHERE",
        help="Where workers decide what sagas do next: threads, or event-loop for what is short (less CPU).  "
        "[default: threads]",
    ),
    click.option("--max-activities-per-second", metavar="RATE", help="Begin no more activities a second than this."),
    click.option(
        "--max-task-queue-activities-per-second",
        metavar="RATE",
        help="Let all workers of the queue together begin no more activities a second than this.",
    ),
    click.option(
        "--tuner",
        metavar="KIND:VALUES",
        help="How much at once: fixed:sagas=N,activities=N,local=N, or resources:memory=0.8,cpu=0.9 of the machine.",
    ),
    click.option(
        "--pollers",
        metavar="NUMBER",
        help="Requests for tasks of each kind that are open on a queue: a number, auto, or auto:MIN-MAX.  [default: 5]",
    ),
)
