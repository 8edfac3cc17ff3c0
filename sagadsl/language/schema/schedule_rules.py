"""The rules for the form of schedules that JSON Schema cannot express, or not well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from sagadsl.diagnostics.findings import Finding, Route
from sagadsl.language.notation import durations
from sagadsl.language.notation.calendars import FIELDS, NotACalendar, read_calendar, read_cron
from sagadsl.language.schedules import SCHEDULE
from sagadsl.language.schema.literals import is_literal
from sagadsl.language.schema.step_rules import misplaced
from sagadsl.language.schema.wording import SchemaPart

_TIMES = ("cron", "every", "calendar")


def check(part: SchemaPart, data: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the mistakes in the schedules of a definition."""
    written = data.get(SCHEDULE)
    several = isinstance(written, list)
    seen: dict[str, Route] = {}
    for index, each in enumerate(written if isinstance(written, list) else [written]):
        if not isinstance(each, dict):
            continue  # missing, or reported already
        route: Route = (SCHEDULE, index) if several else (SCHEDULE,)
        yield from _schedule(part, each, route)
        id = each.get("id", data.get("name"))
        if isinstance(id, str) and (first := seen.setdefault(id, route)) != route:
            yield Finding(
                "SD120",
                f"two schedules have the id `{id}`",
                (*route, "id") if "id" in each else route,
                help="give each an `id` of its own; without one it has the saga's name",
                related=((first, "the first"),),
            )


def _schedule(part: SchemaPart, data: Mapping[str, Any], route: Route) -> Iterator[Finding]:
    if not any(key in data for key in _TIMES):
        help = 'add `cron: "30 4 * * *"`, `every: 6h` or `calendar: {hour: 4}`'
        yield Finding("SD102", f"{part.called(route)} does not say when", route, help=help, at_key=True)
    if "offset" in data and "every" not in data:
        yield misplaced(part, (*route, "offset"), "needs `every`", "cron and calendars name their times themselves")
    if isinstance(data.get("every"), str) and _length(data["every"]) < timedelta(seconds=1):
        help = "write at least `1s`"
        yield Finding("SD120", f"`{data['every']}` is too short for a schedule", (*route, "every"), help=help)
    for key in ("cron", "calendar"):
        yield from _unreadable(data.get(key), (*route, key))


def _length(text: str) -> timedelta:
    try:
        return durations.parse(text)
    except durations.NotADuration:
        return timedelta.max  # reported already


def _unreadable(written: Any, route: Route) -> Iterator[Finding]:
    """SD120: a value, or one of a list, that names no times; the schema reports values of another type."""
    for index, each in enumerate(written if isinstance(written, list) else [written]):
        try:
            if isinstance(each, str) and is_literal(each):
                read_cron(each)
            elif isinstance(each, dict):
                read_calendar({name: each[name] for name in FIELDS if isinstance(each.get(name), int | str)})
        except NotACalendar as error:
            place = (*route, index) if isinstance(written, list) else route
            yield Finding("SD120", error.reason, place, help=error.suggestion)
