"""The schedules of a definition: when Temporal starts the saga by itself. No run knows them.

A schedule starts the saga by its name, so it is no part of what a run is pinned to: ``without`` takes it out
of everything that is sent to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from sagadsl.diagnostics.findings import Route
from sagadsl.immutable import Derived, Immutable
from sagadsl.language.notation import durations
from sagadsl.language.notation.calendars import Calendar, read_calendar, read_cron

SCHEDULE = "schedule"
"""The key of a definition under which its schedules stand."""

Data = Mapping[str, Any]


class Overlap(Enum):
    """What happens when a time comes while the run before it is still open.

    Temporal's `terminate_other` is not among them: what is terminated is not undone (R31).
    """

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    BUFFER_ALL = "buffer_all"
    CANCEL_OTHER = "cancel_other"
    ALLOW_ALL = "allow_all"


class Interval(Immutable):
    """Every so often, counted from 1970; with an offset, later by so much."""

    every: timedelta
    offset: timedelta = timedelta()


class Schedule(Immutable):
    """One schedule.

    Attributes:
        id: Its id on the server; also the beginning of the ids of its runs.
        crons, calendars, intervals: Its times; a time of any of them counts.
        catch_up: How late a run may begin that was missed while the server was away; the default is Temporal's.
        paused: Whether it rests; ``None`` leaves that to the operators.
        route: Its place in the document.
    """

    id: str
    catch_up: timedelta
    crons: tuple[Calendar, ...] = ()
    calendars: tuple[Calendar, ...] = ()
    intervals: tuple[Interval, ...] = ()
    time_zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    jitter: timedelta = timedelta()
    input: Any = None
    paused: bool | None = None
    route: Derived[Route] = ()


def schedules_of(data: Data) -> tuple[Schedule, ...]:
    """Return the schedules of a definition that satisfies the schema; one without an id has the saga's name."""
    written = data.get(SCHEDULE, ())
    if isinstance(written, Mapping):
        return (_schedule(written, data["name"], (SCHEDULE,)),)
    return tuple(_schedule(each, data["name"], (SCHEDULE, index)) for index, each in enumerate(written))


def without(data: Data) -> Data:
    """Return a definition without its schedules: what a run gets to see, and what its digest is of."""
    return {key: value for key, value in data.items() if key != SCHEDULE} if SCHEDULE in data else data


def _schedule(data: Data, name: str, route: Route) -> Schedule:
    cron, calendar = data.get("cron", ()), data.get("calendar", ())
    return Schedule(
        id=data.get("id", name),
        crons=tuple(map(read_cron, [cron] if isinstance(cron, str) else cron)),
        calendars=tuple(map(read_calendar, [calendar] if isinstance(calendar, Mapping) else calendar)),
        intervals=(Interval(_length(data, "every"), _length(data, "offset")),) if "every" in data else (),
        time_zone=data.get("time_zone", "UTC"),
        overlap=Overlap(data.get("overlap", "skip")),
        jitter=_length(data, "jitter"),
        catch_up=_length(data, "catch_up", "365d"),
        input=data.get("input", {}),
        paused=data.get("paused"),
        route=route,
    )


def _length(data: Data, key: str, default: str = "0s") -> timedelta:
    return durations.parse(data.get(key, default))
