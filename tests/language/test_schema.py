"""The form of a definition: what each mistake is called, where, and what to type instead."""

# ruff: noqa: E501 (tables read best with one case a line)

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from sagadsl.diagnostics.findings import Finding
from sagadsl.language import kinds
from sagadsl.language.document import Document, parse
from sagadsl.language.schema import definition

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads(definition.text())

EVERYTHING = """
sagadsl: 1
name: everything
version: "1.10"
description: Each kind of step, each key.
task_queue: payments
labels: {team: payments}
input: {type: object, required: [lines], properties: {lines: {type: array}}}
timeout: "{{ input.limit }}"
defaults:
  timeouts: {start_to_close: 1m}
  retry: {initial_interval: 1s, backoff_coefficient: 2, maximum_interval: 1m, maximum_attempts: 3}
  task_queue: payments
  compensation: {retry: {maximum_attempts: 20}, timeouts: {start_to_close: PT30S}}
compensation: {order: parallel, on_failure: continue}
x-shared: {patient: &patient {maximum_attempts: unlimited}}
steps:
  - id: check
    description: Look first.
    if: true
    activity: stock.check
    input: {items: "{{ input.lines }}"}
    task_queue: "{{ input.queue }}"
    timeouts: {start_to_close: 10s, schedule_to_close: 1h, schedule_to_start: 5m, heartbeat: "{{ input.beat }}"}
    retry: *patient
    local: false
    priority: 1
    failed_if: {if: output.status == 'NO', type: OutOfStock, message: "No {{ output.item }}"}
    compensation: none
    on_error:
      - types: [OutOfStock]
        if: error.message != ''
        output: {ok: false}
        steps: [{id: tell, activity: mail.send, compensation: none}]
        then: continue
      - then: stop
  - id: book
    saga: book-trip
    input: null
    failed_if: [{if: output.full}]
    compensation: auto
  - id: pay
    activity: bank.pay
    retry: none
    compensation:
      - {activity: bank.refund, input: {key: "{{ step.idempotency_key }}"}, already_undone: [NotFound], on: completed}
      - {saga: tell-customer, task_queue: mails}
  - id: offers
    parallel:
      - {id: first, set: {price: "{{ input.price * 2 }}"}}
      - {id: second, needs: [first], sleep: 500ms, on_error: continue}
    max_concurrency: 2
    on_branch_failure: wait
    complete_when: completed >= 1
    remaining: keep
  - id: each
    for_each: {items: input.lines, as: line, max_concurrency: unlimited}
    steps: [{id: ship, activity: stock.ship, compensation: {activity: stock.unship}}]
    on_branch_failure: cancel
    complete_when: "{{ failed > 3 }}"
    remaining: compensate
  - id: fixed
    for_each: {items: [small, large]}
    steps: [{id: pack, activity: stock.pack, compensation: none}]
  - id: wait
    repeat: {until: steps.poll.output.done, every: 10s, maximum_attempts: 30}
    steps: [{id: poll, activity: stock.poll, compensation: none}]
  - id: group
    steps: [{id: moment, sleep_until: "2026-01-31T09:00:00+01:00"}]
  - id: way
    switch:
      - {if: input.fast, steps: [{id: fly, activity: ship.fly, compensation: none}]}
      - else: [{id: give_up, fail: {type: TooSlow, message: "After {{ saga.started_at }}"}}]
  - id: approval
    wait_for: {signal: approved, timeout: 2d, payload: {type: object, required: [by]}}
  - id: send
    activity: ship.send
    pivot: true
    probe: {activity: ship.was_sent, input: {order: 1}, timeouts: {start_to_close: 5s}, retry: {maximum_attempts: 5}}
on_failure: [{id: alarm, activity: mail.alarm, compensation: none}]
output: "{{ steps.pay.output }}"
"""


def read(text: str) -> Document:
    document, findings = parse(text, "test.saga.yaml")

    assert findings == ()
    return document


def check(text: str) -> list[Finding]:
    return list(definition.check(read(text)))


def step(body: str, top: str = "") -> list[Finding]:
    """Check a definition of one step, given as the lines of its mapping."""
    lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    return check(f"sagadsl: 1\nname: test\n{top}steps:\n  -\n{lines}\n")


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def brief(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.message) for finding in findings]


# what is fine


def test_every_key_of_the_language_is_accepted() -> None:
    """Fragments below `x-`."""
    assert check(EVERYTHING) == []


def test_an_editor_accepts_it_too() -> None:
    """The shipped file alone, by the rules of draft 7."""
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(read(EVERYTHING).data)] == []


def test_an_editor_complains_about_the_misspelt_key_of_the_right_kind() -> None:
    """`if` and `then` by the key of the kind, never `oneOf`."""
    data = {
        "sagadsl": 1,
        "name": "x",
        "steps": [{"id": "a", "activity": "b", "timeuot": 1}, {"id": "b", "activty": "c"}],
    }
    errors = sorted((list(error.absolute_path), error.message) for error in Draft7Validator(SCHEMA).iter_errors(data))

    assert errors == [
        (["steps", 0], "Additional properties are not allowed ('timeuot' was unexpected)"),
        (["steps", 1], "'activity' is a required property"),
    ]


# the version of the language


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("name: x\nfoo: 1\n", "the version of the language is missing", "write `sagadsl: 1` on the first line"),
        (
            "sagadsl: 99\nfoo: 1\n",
            "version `99` of the language is not supported; this tool supports: 1",
            "write `sagadsl: 1`, or install a newer sagadsl",
        ),
        (
            "sagadsl: '1'\nfoo: 1\n",
            "the version of the language must be one of the numbers 1, got the text `'1'`",
            "write `sagadsl: 1`, or install a newer sagadsl",
        ),
    ],
)
def test_the_version_is_checked_first_and_then_nothing_else(text: str, message: str, help: str) -> None:
    finding = only(check(text))

    assert (finding.code, finding.message, finding.help) == ("SD101", message, help)


def test_a_definition_that_is_no_mapping_has_been_reported_already() -> None:
    assert definition.check(parse("- a\n")[0]) == ()


# unknown keys


@pytest.mark.parametrize(
    ("body", "where", "key", "meant"),
    [
        ("id: a\nactivity: b\ntimeuot: {start_to_close: 1s}", "step `a`", "timeuot", "timeouts"),
        ("id: a\nactivty: b", "step `a`", "activty", "activity"),
        ("id: a\nactivity: b\nretry: {maxAttempts: 3}", "`retry` of step `a`", "maxAttempts", "maximum_attempts"),
        ("id: a\nactivity: b\nretry: {max_attempts: 3}", "`retry` of step `a`", "max_attempts", "maximum_attempts"),
        (
            "id: a\nactivity: b\nretry: {initialInterval: 3s}",
            "`retry` of step `a`",
            "initialInterval",
            "initial_interval",
        ),
        ("id: a\nactivity: b\nCatch: []", "step `a`", "Catch", "on_error"),
        ("id: a\nactivity: b\ncompensate: {activity: c}", "step `a`", "compensate", "compensation"),
        ("id: a\nactivity: b\nundo: {activity: c}", "step `a`", "undo", "compensation"),
        ("id: a\nactivity: b\nwhen: input.x", "step `a`", "when", "if"),
        ("id: a\nforeach: {items: x}\nsteps: [{id: b, sleep: 1s}]", "step `a`", "foreach", "for_each"),
        ("id: a\nrepeat: {until: x}\nstpes: [{id: b, sleep: 1s}]", "step `a`", "stpes", "steps"),
        ("id: a\nactivity: b\ncompensation: {actvity: c}", "`compensation` of step `a`", "actvity", "activity"),
        ("id: a\nactivity: b\ncompensation: [{saga: c, inptu: 1}]", "`compensation[0]` of step `a`", "inptu", "input"),
        ("id: a\nactivity: b\non_error: [{type: [X]}]", "`on_error[0]` of step `a`", "type", "types"),
        ("id: a\nwait_for: {signl: x}", "`wait_for` of step `a`", "signl", "signal"),
        ("id: a\ndo: b", "step `a`", "do", "activity"),
    ],
)
def test_an_unknown_key_is_one_finding_with_the_key_that_was_meant(body: str, where: str, key: str, meant: str) -> None:
    """At every level; the missing key that it stands for is not reported as well."""
    finding = only(step(body))

    assert (finding.code, finding.message) == ("SD104", f"unknown key `{key}` in {where}")
    assert finding.help.startswith(f"did you mean `{meant}`?")
    assert meant in finding.notes[0]
    assert (finding.at_key, finding.route[-1], finding.step) == (True, key, "a")


def test_a_key_beside_the_mapping_that_it_belongs_into_says_so() -> None:
    """A wait has its `timeout` below `wait_for`, a loop its `max_concurrency` below `for_each`."""
    finding = only(step("id: a\nwait_for: {signal: go}\ntimeout: 1h"))
    assert (finding.code, finding.message) == ("SD104", "`timeout` of step `a` stands beside `wait_for`")
    assert finding.help == "it belongs inside of it: `wait_for: {…, timeout: …}`"
    findings = step("id: a\nfor_each: {items: input}\nmax_concurrency: 3\nsteps: [{id: b, activity: c}]")
    assert [each.help for each in findings] == ["it belongs inside of it: `for_each: {…, max_concurrency: …}`"]


def test_a_version_of_the_language_is_a_number_however_it_is_written() -> None:
    """JSON Schema takes 1.0 for 1, and so do editors."""
    text = "sagadsl: {}\nname: test\nversion: '1'\nsteps: [{{id: a, activity: b}}]\n"
    for version in ("1", "1.0"):
        assert check(text.format(version)) == []
        assert Draft7Validator(SCHEMA).is_valid(read(text.format(version)).data)
    assert [each.code for each in check(text.format("1.5"))] == ["SD101"]


def test_a_timeout_on_an_activity_gets_the_four_timeouts() -> None:
    """The plain word could be an attempt or the whole."""
    finding = only(step("id: a\nactivity: b\ntimeout: 30s"))

    assert finding.help == "did you mean `timeouts`? E.g. `timeouts: {start_to_close: 30s}`"
    assert finding.fix is None or finding.fix == "timeouts"


def test_unknown_keys_of_the_top_level_and_of_its_blocks() -> None:
    text = "sagadsl: 1\nname: x\nmaxTime: 1\ndefaults: {retries: 3}\ncompensation: {ordr: reverse}\nsteps: [{id: a, sleep: 1s}]\n"

    assert brief(check(text)) == [
        ("SD104", "unknown key `maxTime` in the definition"),
        ("SD104", "unknown key `retries` in `defaults`"),
        ("SD104", "unknown key `ordr` in `compensation`"),
    ]


def test_a_key_of_another_kind_is_told_from_an_unknown_one() -> None:
    finding = only(step("id: a\nsleep: 1s\ncompensation: none"))

    assert (finding.code, finding.message) == ("SD104", "`compensation` of step `a` does not go with `sleep`")
    assert finding.help == "it is for steps with `activity`, `nexus`, `saga` and `send`"


OPERATION = "nexus: {endpoint: payments, service: Payments, operation: charge}"


def test_an_operation_has_no_retries_of_its_own_and_the_help_says_what_to_do() -> None:
    finding = only(step(f"id: a\n{OPERATION}\nretry: none"))

    assert (finding.code, finding.message) == ("SD104", "`retry` of step `a` does not go with `nexus`")
    assert "the server tries an operation again by itself" in finding.help
    assert "`on_error: [{then: retry}]`" in finding.help


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"id: a\n{OPERATION}\ntimeouts: {{heartbeat: 1s}}", "SD104"),
        (f"id: a\n{OPERATION}\ntask_queue: q", "SD104"),
        ("id: a\nnexus: {endpoint: pay_ments, service: S, operation: o}", "SD107"),
        ("id: a\nnexus: {service: S, operation: o}", "SD102"),
        ("id: a\nnexus: payments", "SD103"),
        (f"id: a\n{OPERATION}\nactivity: b", "SD106"),
        (f"id: a\n{OPERATION}\ncompensation: auto", "SD107"),
    ],
)
def test_what_an_operation_does_not_have_is_refused(body: str, code: str) -> None:
    assert [finding.code for finding in step(body)] == [code]


def test_a_call_that_tells_of_a_pause_has_only_what_can_matter_for_it() -> None:
    """R64: nothing follows from it, so nothing handles its error or undoes it. Each mistake is said once."""
    text = (
        "sagadsl: 1\nname: x\nsteps: [{id: a, activity: b}]\non_pause:\n"
        "  - {id: t, activity: b, on_error: continue, inptu: 1, retry: {maximum_attempts: 0}}\n"
        "  - {id: u, sleep: 1s}\n  - mail.send\n"
    )

    found = check(text)

    assert brief(found)[:3] == [
        ("SD104", "`on_error` of step `t` does not go with `on_pause`, whose calls only tell somebody"),
        ("SD104", "unknown key `inptu` in step `t`"),
        (
            "SD504",
            "`retry.maximum_attempts` of step `t` must be a whole number of at least 1, or `unlimited`, got the number `0`",
        ),
    ]
    assert found[1].help == "did you mean `input`?"
    assert brief(found)[3:] == [
        ("SD102", "step `u` lacks `activity`"),
        ("SD104", "`sleep` of step `u` does not go with `on_pause`, whose calls only tell somebody"),
        ("SD103", "a step must be a mapping, got the text `mail.send`"),
    ]


def test_a_key_spelled_on_is_printed_as_on() -> None:
    assert only(step("id: a\nactivity: b\non: c")).message == "unknown key `on` in step `a`"


def test_the_value_of_a_misspelt_key_is_checked_as_what_it_was_meant_to_be() -> None:
    """Both mistakes in one run."""
    assert [finding.code for finding in step("id: a\nactivity: b\ntimeuots: {start_to_close: 30}")] == [
        "SD104",
        "SD502",
    ]


# kinds


def test_a_step_without_a_kind_names_the_kinds() -> None:
    finding = only(step("id: a\ninput: {b: 1}"))

    assert (finding.code, finding.message) == ("SD105", "step `a` does not say what it does")
    assert "activity, nexus, saga, parallel, for_each" in finding.notes[0]


def test_a_step_of_two_kinds_names_both() -> None:
    finding = only(step("id: a\nactivity: b\nsleep: 1s"))

    assert (finding.code, finding.message) == ("SD106", "step `a` is of 2 kinds at once: `activity` and `sleep`")
    assert finding.route[-1] == "sleep"
    assert [route[-1] for route, _ in finding.related] == ["activity"]


def test_steps_beside_a_loop_are_no_second_kind() -> None:
    assert step("id: a\nfor_each: {items: x}\nsteps: [{id: b, sleep: 1s}]") == []


def test_a_step_that_is_no_mapping() -> None:
    findings = check("sagadsl: 1\nname: x\nsteps: [a, 1, [b]]\n")

    assert [finding.message for finding in findings] == [
        "a step must be a mapping, got the text `a`",
        "a step must be a mapping, got the number `1`",
        "a step must be a mapping, got a list",
    ]


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ("activity: b", "SD102", "the step at `steps[0]` lacks `id`"),
        ("id: a\nfor_each: {items: x}", "SD102", "step `a` lacks `steps`"),
        ("id: a\nfail: {}", "SD102", "`fail` of step `a` lacks `type`"),
        ("id: a\nrepeat: {every: 1s}\nsteps: [{id: b, sleep: 1s}]", "SD102", "`repeat` of step `a` lacks `until`"),
        ("id: a\nswitch: [{if: x}]", "SD102", "`switch[0]` of step `a` lacks `steps`"),
        ("id: a\nactivity: b\nfailed_if: {type: X}", "SD102", "`failed_if` of step `a` lacks `if`"),
        ("id: a\nparallel: []", "SD107", "`parallel` of step `a` must have at least one entry"),
        ("id: a\nset: {}", "SD107", "`set` of step `a` must have at least one entry"),
        ("id: a\nactivity: ''", "SD107", "`activity` of step `a` must not be empty"),
        ("id: a\nactivity: b\npriority: 9", "SD107", "`priority` of step `a` must be at most 5, got the number `9`"),
        ("id: a\nactivity: b\ncompensation:", "SD103", "`compensation` of step `a` must be an action, a list of actions or `none`, got nothing"),
        ("id: a\nactivity: b\ncompensation: auto", "SD107", "`compensation` of step `a` must be an action, a list of actions or `none`, got the text `auto`"),
        ("id: a\nactivity: b\nprobe: {activity: c}", "SD104", "`probe` of step `a` needs `pivot: true`"),
        ("id: a\nactivity: b\nneeds: [c]", "SD104", "`needs` of step `a` is only for a branch of `parallel`"),
        ("id: a\nswitch: [{else: [{id: b, sleep: 1s}]}, {if: x, steps: [{id: c, sleep: 1s}]}]", "SD107", "`else` of step `a` must be the last arm: those after it are never taken"),
        ("id: a\nswitch: [{if: x, else: [{id: b, sleep: 1s}]}]", "SD106", "`switch[0]` of step `a` has `else` beside `if`"),
        ("id: a\nactivity: b\non_error: continu", "SD107", "`on_error` of step `a` must be `compensate`, `continue`, `pause` or a list of handlers, got the text `continu`"),
        ("id: a\nactivity: b\non_error: {then: stop}", "SD103", "`on_error` of step `a` must be `compensate`, `continue`, `pause` or a list of handlers, got a mapping"),
        ("id: a\nactivity: b\nlocal: yes", "SD103", "`local` of step `a` must be `true`, `false` or `auto`, got the text `yes`"),
        ("id: a\nactivity: 3", "SD103", "`activity` of step `a` must be the name of an activity, or a mapping with `name` and `one_of`, got the number `3`"),
        ("id: a\nfor_each: {items: x, as: Line}\nsteps: [{id: b, sleep: 1s}]", "SD107", "`for_each.as` of step `a` must be a lower case letter, then lower case letters, digits and `_`, got the text `Line`"),
    ],
)  # fmt: skip
def test_each_mistake_is_said_of_its_step(body: str, code: str, message: str) -> None:
    finding = only(step(body))

    assert (finding.code, finding.message) == (code, message)
    assert finding.help or finding.notes


@pytest.mark.parametrize(
    ("body", "help", "fix"),
    [
        ("id: a\nactivity: b\nlocal: atuo", "did you mean `auto`?", "auto"),
        ("id: a\nactivity: b\nlocal: yes", "write `true`: in YAML 1.2 only `true` and `false` are booleans", "true"),
        ('id: a\nactivity: b\nlocal: "false"', "write `false` without quotes", "false"),
        ("id: a\nactivity: b\ntask_queue: 12", 'quote it: `"12"`', '"12"'),
        ("id: a\nactivity: b\nretry: {non_retryable_error_types: X}", "write `[X]`", "[X]"),
        ("id: a\nactivity: b\non_error: {then: stop}", "write a list: begin the entry with `- `", None),
        ("id: a\nactivity: b\non_error: continu", "did you mean `continue`?", "continue"),
        ("id: a\nactivity: b\npriority: '{{ input.p }}'", "an expression is not possible here: write the value itself", None),
    ],
)  # fmt: skip
def test_the_help_is_what_to_type(body: str, help: str, fix: str | None) -> None:
    finding = only(step(body))

    assert (finding.help, finding.fix) == (help, fix)


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


# every mistake, at every depth


def test_mistakes_are_found_at_every_depth_in_the_order_of_the_file() -> None:
    findings = check(
        """
sagadsl: 1
name: x
steps:
  - id: outer
    parallel:
      - id: loop
        for_each: {items: x}
        steps:
          - id: way
            switch:
              - {if: x, steps: [{id: deep, sleep: 30}]}
              - else: [{id: deeper, actvity: y}]
      - id: other
        activity: z
        on_error: [{steps: [{id: deepest, set: 3}]}]
on_failure: [{id: last, fail: {typ: X}}]
"""
    )

    assert [(finding.code, finding.step) for finding in findings] == [
        ("SD502", "deep"),
        ("SD104", "deeper"),
        ("SD103", "deepest"),
        ("SD104", "last"),
    ]


def test_the_findings_of_a_hostile_file_have_an_end() -> None:
    """A thousand of them, none longer than a few lines."""
    findings = check("sagadsl: 1\nname: x\nsteps:\n" + "  - {id: a}\n" * 2000 + f"timeout: {'9' * 900}x\n")

    assert Counter(each.code for each in findings) == {"SD105": 999, "SD501": 1, "SD017": 1}
    assert max(len(finding.message) for finding in step(f"id: {'A' * 100_000}\nsleep: 1")) < 1000


# JSON Schemas inside a definition


def inside(text: str) -> list[tuple[str, str]]:
    return brief(check(f"sagadsl: 1\nname: x\ninput: {text}\nsteps: [{{id: a, sleep: 1s}}]\n"))


@pytest.mark.parametrize(
    "address", ["http://example.com/a.json", "file:///etc/passwd", "./other.json", "other#/$defs/a"]
)
def test_a_reference_to_elsewhere_is_refused_and_never_opened(address: str) -> None:
    assert inside(f'{{$ref: "{address}"}}') == [("SD110", f"`$ref: {address}` leads out of this schema")]


def test_references_inside_the_schema_are_fine() -> None:
    assert inside('{$defs: {a: {$anchor: b, type: object, properties: {next: {$ref: "#"}}}}, allOf: [{$ref: "#/$defs/a"}, {$ref: "#b"}]}') == []  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{type: int}", "`type` of a schema must be one or more of `array`, `boolean`, `integer`, `null`, `number`, `object`, `string`"),
        ("{properties: {a: 3}}", "a schema must be a mapping, `true` or `false`"),
        ("{required: a}", "`required` of a schema must be a list of different names"),
        ("{minimum: x}", "`minimum` of a schema must be a number"),
        ("{items: [{}, {}]}", "`items` of a schema must be one schema, not a list"),
        ('{pattern: "("}', "`(` is not a regular expression: missing ), unterminated subpattern at position 0"),
        ('{$ref: "#/$defs/gone"}', "`$ref: #/$defs/gone` leads to no schema"),
        ('{$defs: {a: {$ref: "#/$defs/b"}, b: {allOf: [{$ref: "#/$defs/a"}]}}}', "the references of this schema go round in a circle"),
        ('{$schema: "http://json-schema.org/draft-07/schema#"}', "`$schema` must be `https://json-schema.org/draft/2020-12/schema`"),
        ("{properties: {a: {$id: x}}}", "`$id` can stand only at the top of a schema"),
    ],
)  # fmt: skip
def test_what_is_no_json_schema_is_refused_where_it_stands(text: str, message: str) -> None:
    assert inside(text) == [("SD109", message)]


def test_a_keyword_that_checks_nothing_is_a_warning() -> None:
    """JSON Schema itself ignores it."""
    finding = only(check("sagadsl: 1\nname: x\ninput: {requried: [a]}\nsteps: [{id: a, sleep: 1s}]\n"))

    assert (finding.severity.value, finding.help) == ("warning", "did you mean `required`?")


def test_references_that_double_at_each_level_are_refused() -> None:
    """Bounded time. Thirty levels would be a thousand million schemas."""
    levels = [f'a{n}: {{allOf: [{{$ref: "#/$defs/a{n + 1}"}}, {{$ref: "#/$defs/a{n + 1}"}}]}}' for n in range(30)]

    assert inside(f"{{$defs: {{{', '.join(levels)}, a30: {{}}}}}}") == [
        ("SD109", "the references of this schema make more than 10,000 schemas for one value")
    ]


def test_the_payload_of_a_signal_is_checked_like_the_input() -> None:
    assert only(step("id: a\nwait_for: {signal: x, payload: {type: objct}}")).code == "SD109"


def test_a_data_value_that_looks_like_a_schema_is_none() -> None:
    assert inside('{const: {$ref: "http://x"}, enum: [{type: 3}], properties: {$ref: {type: string}}}') == []


_SCHEMAS = st.recursive(
    st.sampled_from(
        [True, {}, {"type": "string"}, {"type": "strin"}, {"enum": []}, {"minimum": 1}, {"minLength": -1}, 3]
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("ab"), inner),
            "items": inner,
            "allOf": st.lists(inner, max_size=2),
            "not": inner,
            "additionalProperties": inner,
            "required": st.lists(st.sampled_from("ab"), max_size=2),
            "type": st.lists(st.sampled_from(["object", "array"]), max_size=2),
        },
    ),
    max_leaves=8,
)


@given(_SCHEMAS.filter(lambda value: isinstance(value, dict)))
def test_our_verdict_on_schemas_is_that_of_the_standard(value: dict[str, Any]) -> None:
    """The meta-schema takes 7 ms for each; ours has to say the same."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(value)
        standard = True
    except SchemaError:
        standard = False
    ours = inside(json.dumps(value))

    assert (ours == []) == standard, ours


# the shipped file


def _target(reference: str) -> dict[str, Any]:
    found = SCHEMA
    for key in reference.removeprefix("#/").split("/"):
        found = found[key]
    return found


def _properties(at: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, value in at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ():
        if key in ("properties", "patternProperties") and isinstance(value, dict):
            for name, inner in value.items():
                yield f"{path}/{name}", _target(inner["$ref"]) if "$ref" in inner else inner
        if key not in ("examples", "default", "defaultSnippets"):
            yield from _properties(value, f"{path}/{key}")


def test_every_property_says_what_it_is_and_shows_an_example() -> None:
    """Hover and completion show nothing else."""
    silent = [path for path, each in _properties(SCHEMA) if not {"title", "description", "examples"} <= set(each)]

    assert silent == []


def test_every_example_and_default_satisfies_its_own_schema() -> None:
    wrong = [
        (path, example)
        for path, each in _properties(SCHEMA)
        for example in [*each["examples"], *([each["default"]] if each.get("default", "") != "" else [])]
        if not Draft7Validator(
            {
                "$ref": "#/definitions/this",  # beside it, draft 7 looks at nothing
                "definitions": {**SCHEMA["definitions"], "this": each},
                "properties": SCHEMA["properties"],
            }
        ).is_valid(example)
    ]

    assert wrong == []


def test_the_schema_is_draft_7_and_closed_at_every_level() -> None:
    """Editors know no later draft."""
    Draft7Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    later = ["oneOf", "anyOf", "unevaluatedProperties", '$defs"', "prefixItems", "dependentRequired"]
    opened = [
        name
        for name, each in {**SCHEMA["definitions"], "": SCHEMA}.items()
        if "properties" in each and name != "step" and each.get("additionalProperties") is not False
    ]

    assert [word for word in later if f'"{word}' in text] == []
    assert opened == []


def test_steps_of_every_kind_have_the_same_common_keys() -> None:
    for kind in kinds.KEYS:
        keys = list(SCHEMA["definitions"][f"{kind}_step"]["properties"])

        assert {"id", "description", "if", "on_error", "needs", kind} <= set(keys)
        assert set(keys) <= set(SCHEMA["definitions"]["step"]["properties"])


def test_the_wheel_brings_its_schema(tmp_path: Path) -> None:
    """In a wheel it lies inside the package, in an editable install beside it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )  # fmt: skip
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    code = "import sagadsl; from sagadsl.language.schema import definition; print(sagadsl.__file__); print(len(definition.text()))"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    printed = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout.split()

    assert printed[0].startswith(str(tmp_path))
    assert int(printed[1]) == len(definition.text())


def test_importing_the_checks_loads_neither_temporal_nor_the_schema_library() -> None:
    """Start-up."""
    code = "import sys, sagadsl.language.schema.definition; print([m for m in ('temporalio', 'jsonschema', 'jinja2') if m in sys.modules])"

    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
    )


# robustness


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["", "30", "{{ x }}", "none", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "activity", "steps", "retry", "compensation", "switch", "else", "on_error", "maxAttempts", "x"]), inner, max_size=4
    ),
    max_leaves=10,
)  # fmt: skip
_TOP = st.sampled_from(
    ["name", "steps", "input", "defaults", "compensation", "version", "timeout", "on_failure", "labels", "x-a"]
)


@given(st.dictionaries(_TOP, _VALUES, max_size=5), st.lists(st.dictionaries(st.sampled_from(sorted(SCHEMA["definitions"]["step"]["properties"])), _VALUES, max_size=5), max_size=3))  # fmt: skip
def test_any_data_gives_findings_that_stand_in_the_document_and_say_what_to_do(
    top: dict[str, Any], steps: list[Any]
) -> None:
    document, syntax = parse(json.dumps({"sagadsl": 1, "steps": steps, **top}))
    findings = definition.check(document)

    assert syntax or list(findings) == sorted(findings, key=document.position)
    for finding in findings:
        assert finding.help or finding.notes or finding.label, finding
        assert document.nearest(finding.route) == finding.route
        assert "\n" not in finding.message


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
