"""The schema judges values: ids, names, versions, durations, moments, attempts and retry policies."""

# ruff: noqa: E501 (tables read best with one case a line)

from __future__ import annotations

from typing import Any

import pytest

from tests.language.schema_findings import brief, check, only, step

# names


@pytest.mark.parametrize(
    ("written", "code", "fix"),
    [
        ("reserve-hotel", "SD303", "reserve_hotel"),
        ("Pay", "SD107", "pay"),
        ("payNow", "SD107", "pay_now"),
        ("pay now", "SD107", "pay_now"),
        ("1st", "SD107", "st"),
    ],
)
def test_an_id_that_expressions_could_not_name_gets_one_that_they_can(written: str, code: str, fix: str) -> None:
    finding = only(step(f"id: {written}\nsleep: 1s"))

    assert (finding.code, finding.fix, finding.help) == (code, fix, f"use `{fix}`")


def test_a_hyphen_is_explained() -> None:
    assert only(step("id: ship-order\nsleep: 1s")).message == (
        "step ids may not contain `-` because `{{ steps.ship-order.output }}` means `steps.ship` minus `order.output`"
    )


def test_the_name_of_a_saga_gets_a_proposal() -> None:
    finding = only(check("sagadsl: 1\nname: Transfer Money!\nsteps: [{id: a, sleep: 1s}]\n"))

    assert (finding.code, finding.help) == ("SD107", "use `transfer-money`")


def test_a_version_without_quotes_shows_what_would_be_lost() -> None:
    """1.10 and 1.1 are the same number."""
    finding = only(check("sagadsl: 1\nname: x\nversion: 1.10\nsteps: [{id: a, sleep: 1s}]\n"))

    assert finding.code == "SD108"
    assert finding.message == "`version` must be text, but `1.10` without quotes is a number and would be read as 1.1"
    assert (finding.help, finding.fix) == ('quote it: `version: "1.10"`', '"1.10"')


# durations


@pytest.mark.parametrize("value", ["30", '"30"'])
def test_a_duration_without_a_unit_is_refused_as_number_and_as_text(value: str) -> None:
    finding = only(step(f"id: a\nactivity: b\ntimeouts: {{start_to_close: {value}}}"))

    assert finding.message == "durations need a unit: 30 could be seconds or milliseconds"
    assert (finding.code, finding.help) == ("SD502", "write `30s` (or `PT30S`)")


@pytest.mark.parametrize(
    ("place", "body"),
    [
        (("timeouts", "heartbeat"), "activity: b\ntimeouts: {heartbeat: 1:30}"),
        (("retry", "initial_interval"), "activity: b\nretry: {initial_interval: 1:30}"),
        (("compensation", "timeouts", "start_to_close"), "activity: b\ncompensation: {activity: c, timeouts: {start_to_close: 1:30}}"),
        (("sleep",), "sleep: 1:30"),
        (("repeat", "every"), "repeat: {until: x, every: 1:30}\nsteps: [{id: b, sleep: 1s}]"),
        (("wait_for", "timeout"), "wait_for: {signal: x, timeout: 1:30}"),
    ],
)  # fmt: skip
def test_a_wrong_duration_is_found_wherever_one_stands(place: tuple[str, ...], body: str) -> None:
    """With the accepted spellings."""
    finding = only(step(f"id: a\n{body}"))

    assert (finding.code, finding.message, finding.route[2:]) == ("SD501", "`1:30` is not a duration", place)
    assert "`1h30m`" in finding.help


@pytest.mark.parametrize(("value", "code", "suggestion"), [("PT2W", "SD501", "P2W"), ("P2M", "SD503", "P60D"), ("P1Y", "SD503", "P365D")])  # fmt: skip
def test_iso_durations_that_are_none_get_a_suggestion(value: str, code: str, suggestion: str) -> None:
    finding = only(step(f"id: a\nsleep: {value}"))

    assert finding.code == code
    assert suggestion in finding.help


def test_an_expression_may_stand_for_a_duration() -> None:
    assert step('id: a\nactivity: b\ntimeouts: {start_to_close: "{{ input.sla }}"}') == []


@pytest.mark.parametrize("key", ["start_to_close", "schedule_to_close", "schedule_to_start", "heartbeat"])
def test_a_timeout_of_zero_is_refused(key: str) -> None:
    """Temporal takes it for none."""
    assert only(step(f"id: a\nactivity: b\ntimeouts: {{{key}: 0s}}")).code == "SD507"


def test_a_sleep_of_zero_is_fine() -> None:
    assert step("id: a\nsleep: 0s") == []


@pytest.mark.parametrize(
    "value", ["2026-01-31T09:00:00Z", "2026-01-31t09:00:00.5+01:00", "1769850000", "{{ input.at }}"]
)
def test_a_moment_may_be_text_or_a_number_or_computed(value: str) -> None:
    assert step(f"id: a\nsleep_until: {value if value.isdigit() else repr(value)}") == []


@pytest.mark.parametrize(
    ("value", "help"),
    [
        ("not a date", "write it like `2026-01-31T09:00:00Z`, or an expression in `{{ }}`"),
        ("2026-01-31", "give the time and its offset: `2026-01-31T00:00:00Z`"),
        ("2026-01-31T09:00:00", "give the offset: `2026-01-31T09:00:00Z` is UTC"),
        ("2026-02-31T09:00:00Z", "write it like `2026-01-31T09:00:00Z`, or an expression in `{{ }}`"),
        ("input.departure", 'an expression needs its braces here: `"{{ input.departure }}"`'),
    ],
)
def test_a_moment_that_is_none_is_refused(value: str, help: str) -> None:
    """`format` would check nothing."""
    finding = only(step(f"id: a\nsleep_until: {value}"))

    assert (finding.code, finding.help) == ("SD107", help)


# retries


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "true", '"3"', "99999999999", "null", "forever"])
def test_a_number_of_attempts_that_cannot_be_is_refused(value: str) -> None:
    """Temporal would take several of them."""
    finding = only(step(f"id: a\nactivity: b\nretry: {{maximum_attempts: {value}}}"))

    assert finding.code == "SD504"
    assert f"`{value}`" in finding.message


@pytest.mark.parametrize("value", ["99999999999", "1e20"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("activity: b\nretry: {{maximum_attempts: {}}}", "SD504"),
        ("for_each: {{items: input, max_concurrency: {}}}\nsteps: [{{id: c, sleep: 1s}}]", "SD107"),
    ],
)
def test_a_number_that_is_too_large_is_told_the_largest_one(body: str, code: str, value: str) -> None:
    finding = only(step(f"id: a\n{body.format(value)}"))

    assert finding.code == code
    assert f"must be at most 2,147,483,647, or `unlimited`, got the number `{value}`" in finding.message


def test_zero_attempts_get_the_word_for_no_limit() -> None:
    assert only(step("id: a\nactivity: b\nretry: {maximum_attempts: 0}")).help == "for no limit say `unlimited`"


@pytest.mark.parametrize("value", ["1", "3", "1e3", "unlimited", "2147483647"])
def test_a_number_of_attempts_that_can_be_is_accepted(value: str) -> None:
    assert step(f"id: a\nactivity: b\nretry: {{maximum_attempts: {value}}}") == []


def test_a_policy_that_temporal_would_refuse_when_it_is_used_is_refused_now() -> None:
    """A maximum below the first pause, a shrinking factor; a constant one is fine."""
    assert brief(step("id: a\nactivity: b\nretry: {initial_interval: 10s, maximum_interval: 5s}")) == [
        ("SD505", "`retry.maximum_interval` of step `a` is `5s`, shorter than `initial_interval`, `10s`")
    ]
    assert only(step("id: a\nactivity: b\nretry: {backoff_coefficient: 0.5}")).code == "SD506"
    assert step("id: a\nactivity: b\nretry: {backoff_coefficient: 1, initial_interval: 2s}") == []


def test_pauses_are_compared_in_every_policy() -> None:
    bad = "{initial_interval: 10s, maximum_interval: 5s}"
    top = f"defaults: {{retry: {bad}, compensation: {{retry: {bad}}}}}\n"
    body = f"id: a\nactivity: b\npivot: true\nprobe: {{activity: c, retry: {bad}}}\ncompensation: [{{activity: d, retry: {bad}}}]"

    assert [finding.code for finding in step(body, top)] == ["SD505"] * 4


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ('id: "a\\n"\nactivity: b', "the id of a step"),
        ('id: a\nactivity: "b\\n"', "`activity` of step `a`"),
        ('id: a\nactivity: b\ntask_queue: "q\\n"', "`task_queue` of step `a`"),
        ('id: a\nactivity: " b"', "`activity` of step `a`"),
        ('id: a\nsaga: "b\\n"', "`saga` of step `a`"),
        ('id: a\nwait_for: {signal: "go\\n", timeout: 1h}', "`wait_for.signal` of step `a`"),
        ('id: a\nfail: {type: "T\\n", message: m}', "`fail.type` of step `a`"),
        ('id: a\nactivity: b\nretry: {non_retryable_error_types: ["T\\n"]}', "`retry.non_retryable_error_types[0]` of step"),
        ('id: a\nfor_each: {items: x, as: "y\\n"}\nsteps: [{id: b, sleep: 1s}]', "`for_each.as` of step `a`"),
    ],
)  # fmt: skip
def test_a_name_that_ends_in_a_newline_is_refused(body: str, where: str) -> None:
    """N13: two of them would print alike."""
    finding = only(step(body))
    assert finding.code == "SD107"
    assert finding.message.startswith(where)


@pytest.mark.parametrize("key", ["name", "version", "task_queue"])
def test_a_name_of_the_file_that_ends_in_a_newline_is_refused(key: str) -> None:
    """N13."""
    keys = {"name": "a", key: "a\\n"}
    text = "".join(f'{name}: "{value}"\n' for name, value in keys.items())
    assert [each.code for each in check(f"sagadsl: 1\n{text}steps: [{{id: b, sleep: 1s}}]\n")] == ["SD107"]


@pytest.mark.parametrize("length", ["1000000000000h", "36501d", "P36501D"])
@pytest.mark.parametrize(
    ("body", "route"),
    [
        ("id: a\nsleep: {}", ("steps", 0, "sleep")),
        ("id: a\nactivity: b\ntimeouts: {{start_to_close: {}}}", ("steps", 0, "timeouts", "start_to_close")),
        ("id: a\nactivity: b\nretry: {{initial_interval: {}}}", ("steps", 0, "retry", "initial_interval")),
        ("id: a\nwait_for: {{signal: go, timeout: {}}}", ("steps", 0, "wait_for", "timeout")),
        ("id: a\nrepeat: {{until: x, every: {}}}\nsteps: [{{id: b, sleep: 1s}}]", ("steps", 0, "repeat", "every")),
    ],
)
def test_a_length_that_nobody_can_wait_for_is_found_at_its_place(
    body: str, route: tuple[Any, ...], length: str
) -> None:
    """N14: its form is right, and the parser does not take it."""
    finding = only(step(body.format(length)))
    assert (finding.code, finding.route) == ("SD501", route)
    assert finding.message == f"`{length}` is longer than 100 years"
