"""The form of a definition: what each mistake is called, where, and what to type instead."""

# ruff: noqa: E501 (tables read best with one case a line)

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from sagadsl.language.document import parse
from sagadsl.language.schema import definition
from tests.language.schema_findings import brief, check, only, read, step

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


def test_keys_that_a_file_has_before_its_libraries_are_in_place_are_meant_too() -> None:
    finding = only(check("sagadsl: 1\nname: x\nimport: {pay: ./p.yaml}\nsteps: [{id: a, sleep: 1s}]\n"))
    assert (finding.message, finding.help) == ("unknown key `import` in the definition", "did you mean `imports`?")
    assert finding.notes[0].endswith(", imports, sagas; one that begins with `x-` may hold anchors")

    text = "sagadsl: 1\nsaga: {one: {steps: [{id: a, sleep: 1s}]}}\n"
    assert [(each.message, each.help) for each in check(text)] == [
        ("unknown key `saga` in the definition", "did you mean `sagas`?")  # and neither `name` nor `steps` is missed
    ]
    finding = only(step("id: a\nactivity: b\nretry: {usee: pay.patient}"))
    assert finding.help == "did you mean `use`?"


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
        ("id: a\nactivity: b\non_error: {-then: stop}", "write a blank behind each `-`: `- then: …`", None),
        ("id: a\nactivity: b\non_error: continu", "did you mean `continue`?", "continue"),
        ("id: a\nactivity: b\npriority: '{{ input.p }}'", "an expression is not possible here: write the value itself", None),
    ],
)  # fmt: skip
def test_the_help_is_what_to_type(body: str, help: str, fix: str | None) -> None:
    finding = only(step(body))

    assert (finding.help, finding.fix) == (help, fix)


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


@pytest.mark.parametrize("word", ["match", "catch", "errors", "error", "ErrorEquals"])
def test_a_handler_says_its_errors_by_types(word: str) -> None:
    """Other languages have other words for it."""
    finding = only(step(f"id: a\nactivity: b.c\ncompensation: none\non_error: [{{{word}: [Foo], then: continue}}]"))
    assert (finding.code, finding.help) == ("SD104", "did you mean `types`?")
