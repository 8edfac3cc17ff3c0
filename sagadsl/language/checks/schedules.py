"""SD7xx, fifth part: schedules that would start nothing, or not when they seem to."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.diagnostics.findings import Finding
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.notation.zones import zone, zone_names
from sagadsl.language.schema.conform import checker
from sagadsl.language.suggest import closest


def inputs_that_a_scheduled_saga_does_not_take(analysis: Analysis) -> Iterator[Finding]:
    """SD720: every run of the schedule would end before its first step."""
    saga = analysis.saga
    for schedule in saga.schedules:
        for problem in checker(saga.input_schema, "input", fill=True)(schedule.input):
            yield Finding(
                "SD720",
                f"the saga does not take what schedule `{schedule.id}` sends: {problem}",
                (*schedule.route, "input"),
                help="the input of a schedule is sent as it stands; it has to fit `input`",
            )


def zones_that_do_not_exist(analysis: Analysis) -> Iterator[Finding]:
    """SD721: the time zone of a schedule."""
    for schedule in analysis.saga.schedules:
        if zone(schedule.time_zone) is None:
            near = closest(schedule.time_zone, zone_names())
            yield Finding(
                "SD721",
                f"there is no time zone `{schedule.time_zone}`",
                (*schedule.route, "time_zone"),
                help=f"did you mean `{near}`?" if near else "write a name like `Europe/Berlin`",
            )


def crons_that_name_days_twice(analysis: Analysis) -> Iterator[Finding]:
    """SD722: cron takes its two fields of days for alternatives, Temporal asks for both."""
    for schedule in analysis.saga.schedules:
        for cron in schedule.crons:
            if cron.names_days_twice:
                yield Finding(
                    "SD722",
                    f"`{cron.text}` names days of the month and of the week, and only days that meet both count",
                    (*schedule.route, "cron"),
                    help="for days that meet one of them, write two crons; for days that meet both, write a `calendar`",
                )
