"""Moments and lengths of time in expressions: what they give, and what is refused. R56: no other error ever."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagadsl.language.expressions.time_filters import TIME_FILTERS
from sagadsl.language.expressions.values import ExpressionError, compile_value
from sagadsl.language.load import load
from sagadsl.language.notation.zones import zone, zone_names

A_TIME = "`at` needs a time such as `09:00` or `17:30:15`"
NO_ZONE = "there is no time zone `Europe/Berln`"
DAYS = 'the days of `at` must be a whole number from -3700000 to 3700000, found text `"x"`'
A_MOMENT = "a moment with its offset, e.g. `2026-01-31T09:00:00Z`"


def _gives(expression: str, **names: Any) -> Any:
    return compile_value(expression, bare=True).render(names)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'2024-02-28T23:00:00Z' | plus('1d')", "2024-02-29T23:00:00.000Z"),
        ("'2026-01-01T00:00:00+02:00' | minus('PT30S')", "2025-12-31T21:59:30.000Z"),
        ("'2026-01-01T00:00:00.1239Z' | plus('1ms')", "2026-01-01T00:00:00.124Z"),
        ("'2026-01-02T00:00:00Z' | until('2026-01-01T00:00:00Z')", "0s"),
        ("'2026-01-01T00:00:00Z' | until('2026-01-03T04:00:00.500Z')", "2d4h500ms"),
        ("'1970-01-01T00:00:01.500Z' | seconds", 1.5),
        ("'1969-12-31T23:59:59Z' | seconds", -1),
        ("'2h' | seconds > '90m' | seconds", True),
        ("'2026-10-25T00:30:00Z' | in_zone('Europe/Berlin')", "2026-10-25T02:30:00.000+02:00"),
        ("'2026-10-25T01:30:00Z' | in_zone('Europe/Berlin')", "2026-10-25T02:30:00.000+01:00"),
        ("'2026-10-25T01:30:00Z' | in_zone('Asia/Kolkata') | plus('0s')", "2026-10-25T01:30:00.000Z"),
        ("'2026-01-01T00:05:00Z' | format_time('%I:%M %p %a %b %j')", "12:05 AM Thu Jan 001"),
        ("'2026-01-01T00:05:00Z' | format_time('%G-W%V-%u %f %z %%')", "2026-W01-4 000000 +0000 %"),
        ("'0005-01-01T13:00:00Z' | format_time('%Y %I%p')", "0005 01PM"),
        ("'2026-03-27T12:00:00Z' | at('09:00', 'Europe/Berlin')", "2026-03-27T08:00:00.000Z"),
        ("'2026-03-27T23:30:00Z' | at('09:00', 'Europe/Berlin')", "2026-03-28T08:00:00.000Z"),  # the day of the zone
        ("'2026-03-27T23:30:00Z' | at('09:00', 'Europe/Berlin', 1)", "2026-03-29T07:00:00.000Z"),  # summer time began
        ("'2026-10-24T22:15:00Z' | at('09:00', 'Europe/Berlin', days=1)", "2026-10-26T08:00:00.000Z"),  # of 25 hours
        ("'2026-10-24T12:00:00Z' | at('09:00', 'Europe/Berlin', 1)", "2026-10-25T08:00:00.000Z"),
        ("'2026-03-29T12:00:00Z' | at('02:30', 'Europe/Berlin')", "2026-03-29T01:30:00.000Z"),  # no clock shows it
        ("'2026-10-25T12:00:00Z' | at('02:30:15', 'Europe/Berlin')", "2026-10-25T00:30:15.000Z"),  # shown twice
        ("'2026-03-01T12:00:00Z' | at('00:00', 'Asia/Kolkata', -1)", "2026-02-27T18:30:00.000Z"),
        ("['2026-01-01T00:00:00Z'] | map('plus', '1h') | first", "2026-01-01T01:00:00.000Z"),
    ],
)  # fmt: skip
def test_time_is_computed(expression: str, value: Any) -> None:
    assert _gives(expression) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("5 | plus('1h')", "`plus` needs text, found a number `5`"),
        ("'2026-01-01' | plus('1h')", "`plus` needs a moment with its offset, e.g. `2026-01-31T09:00:00Z`"),
        ("'2026-01-01T00:00:00' | plus('1h')", "`plus` needs a moment with its offset"),
        ("'2026-02-30T00:00:00Z' | plus('1h')", "`plus` needs a moment with its offset"),
        ("'2026-01-01T00:00:00Z' | plus(5)", "`plus` needs a length of time: durations need a unit"),
        ("'2026-01-01T00:00:00Z' | minus('soon')", "`minus` needs a length of time: `soon` is not a duration"),
        ("'9999-12-31T00:00:00Z' | plus('2d')", "before the year 1 or after the year 9999"),
        ("'0001-01-01T00:00:00+10:00' | plus('0s')", "before the year 1 or after the year 9999"),
        ("'0001-01-01T00:00:00Z' | in_zone('America/New_York')", "before the year 1 or after the year 9999"),
        ("'1700-01-01T00:00:00Z' | in_zone('Europe/Berlin')", "had an offset with seconds then"),
        ("'2026-01-01T00:00:00Z' | in_zone('Europe/Berlim')", "`Europe/Berlim`; did you mean `Europe/Berlin`?"),
        ("'2026-01-01T00:00:00Z' | in_zone('europe/berlin')", "no time zone `europe/berlin`"),
        ("'2026-01-01T00:00:00Z' | in_zone('../zones')", "no time zone `../zones`"),
        ("'2026-01-01T00:00:00Z' | in_zone('Europe')", "no time zone `Europe`"),
        ("'2026-01-01T00:00:00Z' | format_time('%Q')", "`format_time` does not know `%Q`; it knows %%"),
        ("'2026-01-01T00:00:00Z' | format_time('%')", "`format_time` does not know `%`"),
        ("saga | in_zone('x' * 101)", "`in_zone` needs the name of a time zone, found text"),
        ("saga | plus('9' * 101)", "`plus` needs a length of time, found text"),
        ("saga | format_time('%A' * 500000)", "the text gets longer than"),
        ("saga | at('9:00', 'Europe/Berlin')", "`at` needs a time such as `09:00` or `17:30:15`, found text"),
        ("saga | at('24:00', 'Europe/Berlin')", "`at` needs a time such as"),
        ("saga | at(9, 'Europe/Berlin')", "the time of `at` needs text, found a number `9`"),
        ("saga | at('09:00', 'Europe/Berlim')", "`Europe/Berlim`; did you mean `Europe/Berlin`?"),
        ("saga | at('09:00', 'x' * 101)", "`at` needs the name of a time zone, found text"),
        ("saga | at('09:00', 'Europe/Berlin', 1.5)", "the days of `at` must be a whole number from"),
        ("saga | at('09:00', 'Europe/Berlin', 3600000)", "before the year 1 or after the year 9999"),
        ("saga | at('09:00')", "filter `at` takes `clock`, `zone`, `days`"),
        ("'soon' | seconds", "`seconds` needs a length of time: `soon` is not a duration"),
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        _gives(expression, saga="2026-01-01T00:00:00Z")

    assert message in str(refused.value)


@given(
    st.sampled_from(sorted(TIME_FILTERS)), st.text() | st.datetimes().map(lambda at: f"{at.isoformat()}Z"), st.text()
)
def test_no_text_gives_another_error(name: str, value: str, argument: str) -> None:
    """R56."""
    try:
        arguments = {"seconds": "", "at": "(b, b)"}.get(name, "(b)")
        _gives(f"a | {name}{arguments}", a=value, b=argument)
    except ExpressionError as error:
        failed = str(error)
    else:
        failed = ""

    assert "cannot be computed" not in failed


@pytest.mark.parametrize(
    ("expression", "message", "help"),
    [
        ("saga.now | plus('3 days')", "`plus` needs a length of time: `3 days` is not a duration", "write `3d`"),
        ("saga.now | in_zone('Berlim')", "there is no time zone `Berlim`", None),
        ("saga.now | until('2026')", f"`until` needs {A_MOMENT}, found text `\"2026\"`", ""),
        ("saga.now | format_time('%q')", "`format_time` does not know `%q`", None),
        ("saga.now | at('9am', 'UTC')", f"{A_TIME}, found text `\"9am\"`", None),
        ("saga.now | at('09:00', 'Europe/Berln')", NO_ZONE, "did you mean `Europe/Berlin`?"),
        ("saga.now | at('09:00', zone='Berln')", "there is no time zone `Berln`", None),
        ("saga.now | at(clock='9', zone='UTC')", f"{A_TIME}, found text `\"9\"`", ""),
        ("saga.now | at('09:00', 'UTC', 'x')", DAYS, ""),
        ("saga.now | at('09:00', 'UTC', days='x')", DAYS, ""),
        ("input.n | plus('3d')", "`plus` needs text, but `input.n` is a number", None),
        ("saga.now | pluss('3d')", "there is no filter `pluss`", "did you mean `plus`?"),
        ("saga.noww", "`saga` has no field `noww`", "did you mean `now`?"),
        ("now()", "`now()` is a call, and expressions have none", None),
    ],
)  # fmt: skip
def test_validate_finds_what_is_written_out(expression: str, message: str, help: str | None) -> None:
    schema = "{type: object, required: [n], properties: {n: {type: number}}}"
    text = f'sagadsl: 1\nname: x\ninput: {schema}\nsteps:\n  - {{id: a, set: {{x: "{{{{ {expression} }}}}"}}}}\n'
    (finding,) = load(text).findings

    assert finding.message == message
    assert help is None or finding.help == help


def test_validate_finds_each_argument_that_is_wrong() -> None:
    expression = "saga.now | at('9am', 'Berln', 'x')"
    text = f'sagadsl: 1\nname: x\nsteps:\n  - {{id: a, set: {{x: "{{{{ {expression} }}}}"}}}}\n'

    assert {each.message.split("`")[-2] for each in load(text).findings} == {'"9am"', "Berln", '"x"'}


def test_zones_come_from_the_package_and_not_from_the_machine() -> None:
    """Two machines with other files, or none, give the same offsets."""
    code = (
        "import zoneinfo; zoneinfo.reset_tzpath(('/nowhere',)); from sagadsl.language.expressions.values import *;"
        "print(compile_value(\"'2026-07-01T00:00:00Z' | in_zone('Europe/Berlin')\", bare=True).render({}))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONTZPATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.strip() == "2026-07-01T02:00:00.000+02:00"
    assert all(zone(name) is not None for name in zone_names())
