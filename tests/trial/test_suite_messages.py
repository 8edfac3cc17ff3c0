"""Mistakes that people make in suites, and what they are told: each with its place and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.known import Signature
from sagadsl.trial.suite import read_suite
from tests.cli.shell import inside

SAGA = """\
sagadsl: 1
name: pay
input: {type: object, properties: {amount: {type: integer}}}
steps:
  - {id: hold, activity: card.hold, compensation: {activity: card.release}}
  - id: both
    parallel:
      - {id: pay, activity: card.pay, compensation: [{activity: card.refund}, {activity: audit.note}]}
      - {id: ask, wait_for: {signal: approve, timeout: 1h}}
  - {id: tax, activity: rules.tax, local: true, compensation: none}
  - {id: lines, for_each: {items: [1]}, steps: [{id: pack, activity: card.pack, compensation: none}]}
"""
HEAD = "sagadsl_test: 1\nsaga: pay.saga.yaml\n"
GOOD = f"{HEAD}cases: [{{name: x, given: {{input: {{amount: 1}}}}, then: {{status: compensated}}}}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pay.saga.yaml").write_text(SAGA, encoding="utf-8")
    return tmp_path


def _findings(folder: Path, text: str) -> tuple[Finding, ...]:
    return read_suite(text, folder / "pay.saga-test.yaml").findings


@pytest.mark.parametrize(
    ("case", "code", "message", "help"),
    [
        (
            "given: {mock: {hold: {error: X}}}\n    then: {status: failed}",
            "SD104",
            "unknown key `mock` in `cases[0].given`",
            "did you mean `mocks`?",
        ),
        (
            "given: {mocks: {hold: {eror: X}}}\n    then: {status: failed}",
            "SD104",
            "unknown key `eror` in `cases[0].given.mocks.hold`",
            "did you mean `error`?",
        ),
        (
            "given: {mocks: {hold: Busy}}\n    then: {status: failed}",
            "SD103",
            "`cases[0].given.mocks.hold` must be a mapping, got the text `Busy`",
            'e.g. `{"error": "Busy"}`',
        ),
        (
            "given: {mocks: {hold: {delay: 5}}}\n    then: {status: failed}",
            "SD502",
            "durations need a unit: 5 could be seconds or milliseconds",
            "write `5s` (or `PT5S`)",
        ),
        (
            "when: [{at: hold, cancel: true, mocks: {hold: {}}}]\n    then: {status: failed}",
            "SD804",
            "nobody takes the saga up here",
            "`mocks` stand in `given`, or beside `recover` or `redrive`",
        ),
        (
            "when: [{at: {status: failed}, redrive: {from: hodl}}]\n    then: {status: failed}",
            "SD802",
            "no step is named `hodl`",
            "did you mean `hold`?",
        ),
        (
            "given: {mocks: {hold: {error: X, output: 1}}}\n    then: {status: failed}",
            "SD806",
            "an attempt of `hold` has `error`, `output`",
            "keep one; a list has one entry for each attempt",
        ),
        (
            "given: {mocks: {hold: [{error: X}, {timeout: heartbeat, crash: true}]}}\n    then: {status: failed}",
            "SD806",
            "an attempt of `hold` has `crash`, `timeout`",
            "keep one; a list has one entry for each attempt",
        ),
        (
            "given: {mocks: {hold: {late: {after: 1s}}}}\n    then: {status: failed}",
            "SD806",
            "an attempt of `hold` has `late`, and no timeout ends it before",
            "add `timeout: start_to_close`",
        ),
        (
            "given: {mocks: {hold: {timeout: heartbeat, late: {after: 1s, output: 1, error: X}}}}\n"
            "    then: {status: failed}",
            "SD806",
            "the late end of an attempt of `hold` has `output` and `error`",
            "keep one",
        ),
        (
            "given: {mocks: {tax: [{crash: true}, {output: 1}]}}\n    then: {status: failed}",
            "SD807",
            "`tax` is a local activity: another worker begins its first attempt again, and dies of it too",
            "let the workers die once: `when: [{at: tax, crash: true}]` in a case, `--crash-at tax` in a simulation",
        ),
        (
            "given: {mocks: {rules.tax: {timeout: schedule_to_start}}}\n    then: {status: failed}",
            "SD807",
            "`rules.tax` is a local activity, which waits in no queue",
            "let it take too long: `timeout: start_to_close`",
        ),
        ("given: {}", "SD102", "`cases[0]` lacks `then`", "add `then:`"),
        (
            "then: {status: complete}",
            "SD107",
            "`cases[0].then.status` must be `completed`, `rejected`, `compensated`, `cancelled`, `failed`, `paused`, "
            "`running`, `compensating` or `terminated`, got the text `complete`",
            "did you mean `completed`?",
        ),
        (
            "then: {calls: hold}",
            "SD103",
            "`cases[0].then.calls` must be a list, got the text `hold`",
            "write `[hold]`",
        ),
        (
            "then: {takes: 5}",
            "SD103",
            "`cases[0].then.takes` must be a length of time, or a mapping, got the number `5`",
            "durations need a unit: write `5s`",
        ),
        (
            "when: [{at: 5, cancel: true}]\n    then: {status: failed}",
            "SD103",
            "`cases[0].when[0].at` must be a time since the start, the name of a call, or a mapping, "
            "got the number `5`",
            "durations need a unit: write `5s`",
        ),
        (
            "when: [{at: hold, cancel: yes}]\n    then: {status: failed}",
            "SD107",
            "`cases[0].when[0].cancel` must be `true`, got the text `yes`",
            "write `true`, or leave it out: in YAML 1.2 only `true` and `false` are booleans",
        ),
        (
            "when: [{at: hold, cancel: [yes]}]\n    then: {status: failed}",
            "SD107",
            "`cases[0].when[0].cancel` must be `true`, got a list",
            "e.g. `cancel: true`",
        ),
        (
            "when: {at: hold, cancel: true}\n    then: {status: failed}",
            "SD103",
            "`cases[0].when` must be a list, got a mapping",
            "write a list: begin the entry with `- `",
        ),
        (
            "then: {attempts: {pack: 1}}",
            "SD802",
            "no call or activity is named `pack`",
            "say which round: `lines[0]/pack` is the first",
        ),
        (
            "then: {calls: [hold, both/pay.compensation]}",
            "SD802",
            "no call or activity is named `both/pay.compensation`",
            "did you mean `both/pay.compensation[0]`?",
        ),
        (
            'given: {mocks: {"lines[1]/pack": {error: X}}}\n    then: {status: failed}',
            "SD802",
            "no call or activity is named `lines[1]/pack`",
            "`lines` has at most 1 round, counted from 0",
        ),
        (
            'when: [{at: "lines[*]/pack", cancel: true}]\n    then: {status: failed}',
            "SD802",
            "no call or step is named `lines[*]/pack`",
            "say which round: `lines[0]/pack` is the first",
        ),
        (
            "then: {attention: [hold.compensatoin]}",
            "SD802",
            "no step or compensation is named `hold.compensatoin`",
            "did you mean `hold.compensation`?",
        ),
        (
            "when: [{at: {status: paused}, skip: holt}]\n    then: {status: failed}",
            "SD802",
            "no step or compensation is named `holt`",
            "did you mean `hold`?",
        ),
        (
            "when: [{at: {waiting: aprove}, cancel: true}]\n    then: {status: failed}",
            "SD802",
            "the saga does not wait for a signal `aprove`",
            "did you mean `approve`?",
        ),
        (
            "when: [{at: 5s, signal: refuse}]\n    then: {status: failed}",
            "SD802",
            "the saga does not wait for a signal `refuse`",
            "it waits for `approve`",
        ),
    ],
)
def test_a_mistake_in_a_case_is_told_with_what_to_write(
    folder: Path, case: str, code: str, message: str, help: str
) -> None:
    (finding,) = _findings(folder, f"{HEAD}cases:\n  - name: x\n    {case}\n")

    assert (finding.code, finding.message, finding.help) == (code, message, help)


@pytest.mark.parametrize(
    ("text", "code", "message", "help"),
    [
        (
            "",
            "SD012",
            "the file is empty: a suite must be a mapping",
            "begin with `sagadsl_test: 1`, `saga:` and `cases:`",
        ),
        (
            "- a\n",
            "SD012",
            "a suite must be a mapping, got a list",
            "begin with `sagadsl_test: 1`, `saga:` and `cases:`",
        ),
        (
            SAGA,
            "SD012",
            "this is a definition, not a suite of cases",
            "`sagadsl validate` checks it; its cases stand in a suite of their own, named `*.saga-test.yaml`",
        ),
        (
            "saga_test: 1\ncases: []\n",
            "SD101",
            "the version of the format is missing",
            "did you mean `sagadsl_test` for `saga_test`? write `sagadsl_test: 1` on the first line",
        ),
        (
            "sagadsl_test: 2\ncases: []\n",
            "SD101",
            "the version of the format must be 1, got the number `2`",
            "write `sagadsl_test: 1` on the first line",
        ),
        (
            "sagadsl_test: 1\ncases:\n",
            "SD103",
            "`cases` must be a list, got nothing",
            'e.g. `[{"name": "all goes well", "then": {"status": "completed"}}]`',
        ),
        (
            "sagadsl_test: 1\nsaga: play.saga.yaml\ncases: [{name: x, then: {status: completed}}]\n",
            "SD801",
            "cannot read the saga `play.saga.yaml`: no such file or directory",
            "did you mean `pay.saga.yaml`?",
        ),
        (
            "sagadsl_test: 1\nsaga: order.saga.yaml\ncases: [{name: x, then: {status: completed}}]\n",
            "SD801",
            "cannot read the saga `order.saga.yaml`: no such file or directory",
            "files are named as seen from the suite's folder, which has: `pay.saga.yaml`",
        ),
    ],
)
def test_a_mistake_of_a_whole_file_is_told_with_what_to_write(
    folder: Path, text: str, code: str, message: str, help: str
) -> None:
    (finding,) = _findings(folder, text)

    assert (finding.code, finding.message, finding.help) == (code, message, help)


def test_a_mistake_inside_a_misspelt_key_is_told_too(folder: Path) -> None:
    """So that one run is enough to mend the file."""
    text = f"{HEAD}cases:\n  - name: x\n    given: {{mock: {{hold: {{eror: X}}}}}}\n    then: {{status: failed}}\n"

    assert [finding.message for finding in _findings(folder, text)] == [
        "unknown key `mock` in `cases[0].given`",
        "unknown key `eror` in `cases[0].given.mock.hold`",
    ]


ERRORS = """\
sagadsl: 1
name: errors
steps:
  - id: hold
    activity: card.hold
    retry: {non_retryable_error_types: [acme.errors.CardDeclined]}
    failed_if: {if: "output.no == true", type: Refused}
    compensation: {activity: card.release, already_undone: [NothingHeld]}
  - id: lines
    on_error: [{types: [OutOfStock], then: continue}]
    for_each: {items: [1]}
    steps: [{id: pack, activity: card.pack, compensation: none}]
"""


@pytest.mark.parametrize(
    ("mock", "near"),
    [
        ("hold: {error: CardDeclind}", "CardDeclined"),
        ("card.hold: [{error: Busy}, {error: card_declined}]", "CardDeclined"),
        ("hold: {timeout: start_to_close, late: {after: 1s, error: CardDelcined}}", "CardDeclined"),
        ("hold: {error: Refusd}", "Refused"),
        ("hold.compensation: {error: NothingHold}", "NothingHeld"),
        ("pack: {error: OutOfStok}", "OutOfStock"),
        ("hold: {error: AccountCloesd}", "AccountClosed"),
    ],
)
def test_a_misspelt_error_type_of_a_mock_is_told_with_the_type_that_was_meant(
    tmp_path: Path, mock: str, near: str
) -> None:
    """SD809, a warning: the retries, the handlers around the step, what undoes it, and its activity name types."""
    (tmp_path / "errors.saga.yaml").write_text(ERRORS, encoding="utf-8")
    activities = {
        name: Signature(name, "acme", errors=("AccountClosed",) if name == "card.hold" else ())
        for name in ("card.hold", "card.release", "card.pack")
    }
    head = "sagadsl_test: 1\nsaga: errors.saga.yaml\ncases:\n  - name: x\n    then: {status: failed}\n"

    for more in (
        f"    given: {{mocks: {{{mock}}}}}\n",
        f"    when: [{{at: hold, recover: undo, mocks: {{{mock}}}}}]\n",
    ):
        (finding,) = read_suite(head + more, tmp_path / "errors.saga-test.yaml", activities).findings
        assert (finding.code, finding.severity, finding.help) == ("SD809", Severity.WARNING, f"did you mean `{near}`?")
        assert finding.route[-1] == "error"


@pytest.mark.parametrize("error", ["CardDeclined", "pkg.CardDeclined", "CardStolen", "Busy", "timeout", "Refused"])
def test_an_error_type_that_is_known_or_far_from_every_known_one_is_not_told(tmp_path: Path, error: str) -> None:
    """A case may well show what becomes of an error that nobody handles."""
    (tmp_path / "errors.saga.yaml").write_text(ERRORS, encoding="utf-8")
    text = (
        "sagadsl_test: 1\nsaga: errors.saga.yaml\ncases:\n"
        f"  - {{name: x, given: {{mocks: {{hold: {{error: {error}}}}}}}, then: {{status: failed}}}}\n"
    )

    assert read_suite(text, tmp_path / "errors.saga-test.yaml").findings == ()


PAID = {
    "type": "object",
    "required": ["id", "lines"],
    "properties": {
        "id": {"type": "string"},
        "no": {"type": "boolean"},
        "lines": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Line"}]}},
    },
    "$defs": {"Line": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}},
}


@pytest.mark.parametrize(
    ("mock", "problem"),
    [
        (
            "hold: {output: {id: 7}}",
            "`hold`: `card.hold` does not give such an output: `output.id`: must be text, got `7`",
        ),
        (
            "card.hold: [{error: X}, {output: []}]",
            "`card.hold` does not give such an output: `output`: must be an object",
        ),
        (
            "hold: {timeout: start_to_close, late: {after: 1s, output: {id: true}}}",
            "`output.id`: must be text, got `true`",
        ),
        ("hold: {output: {lines: [{sku: 1}]}}", "`output.lines[0]`"),
        ("hold: {output: {lines: [{}, null]}}", ""),
        ("hold: {output: {id: a, more: 1}}", ""),
        ("hold.compensation: {output: 7}", ""),
    ],
)
def test_an_output_that_the_activity_does_not_give_is_told_at_the_mock(tmp_path: Path, mock: str, problem: str) -> None:
    """SD811: what is there is compared; a mock gives only what its saga reads."""
    (tmp_path / "errors.saga.yaml").write_text(ERRORS, encoding="utf-8")
    signatures = (Signature("card.hold", "acme", output_schema=PAID), Signature("card.release", "acme"))
    activities = {each.name: each for each in (*signatures, Signature("card.pack", "acme"))}
    text = (
        "sagadsl_test: 1\nsaga: errors.saga.yaml\ncases:\n"
        f"  - {{name: x, given: {{mocks: {{{mock}}}}}, then: {{status: failed}}}}\n"
    )
    findings = read_suite(text, tmp_path / "errors.saga-test.yaml", activities).findings

    assert [(each.code, each.severity, each.route[-1]) for each in findings] == [
        ("SD811", Severity.WARNING, "output") for _ in filter(None, [problem])
    ]
    assert all(problem in each.message for each in findings)


@pytest.mark.parametrize(
    "chooses",
    [
        {"oneOf": [{"required": ["iban"]}, {"required": ["card"]}]},
        {"not": {"required": ["error"]}},
        {"if": {"required": ["iban"]}, "then": {"required": ["bic"]}, "else": {"required": ["card"]}},
    ],
)
def test_an_output_that_a_type_takes_is_never_warned_of(tmp_path: Path, chooses: dict[str, Any]) -> None:
    """SD811: left-out fields are fine, and words that choose by what is there choose nothing then."""
    (tmp_path / "errors.saga.yaml").write_text(ERRORS, encoding="utf-8")
    paid = Signature("card.hold", "acme", output_schema={"type": "object", **chooses})
    activities = {each.name: each for each in (paid, Signature("card.release", "acme"), Signature("card.pack", "acme"))}
    text = (
        "sagadsl_test: 1\nsaga: errors.saga.yaml\ncases:\n"
        "  - {name: x, given: {mocks: {hold: {output: {card: '4711'}}}}, then: {status: failed}}\n"
    )

    assert [each.code for each in read_suite(text, tmp_path / "errors.saga-test.yaml", activities).findings] == []


def test_a_step_in_two_blocks_has_to_be_named_with_its_block(tmp_path: Path) -> None:
    child = {"sagadsl": 1, "name": "child", "steps": [{"id": "pay", "activity": "do", "compensation": "none"}]}
    steps = [
        {"id": "one", "saga": "child", "compensation": "auto"},
        {"id": "two", "saga": "child", "compensation": "auto"},
    ]
    text = (
        f"sagadsl_test: 1\nsaga: {{sagadsl: 1, name: x, steps: {steps}}}\nsagas: [{child}]\n"
        "cases: [{name: x, then: {calls: [pay]}}]\n"
    )
    (finding,) = read_suite(text, tmp_path / "x.saga-test.yaml").findings

    assert finding.help == "say which: `one/pay`, `two/pay`"


@pytest.mark.parametrize(
    ("mocks", "message"),
    [
        ("{pya: {error: X}}", "no call or activity is named `pya`"),
        ("{rules.tax: {crash: true}}", "`rules.tax` is a local activity"),
        ("{rules.tax: {crash: false}, hold: {crash: true}, only.here: {error: X}}", ""),
    ],
)
def test_a_mock_for_all_cases_has_to_mean_something_for_some_saga_and_be_right_for_all(
    folder: Path, mocks: str, message: str
) -> None:
    """One of the suite's sagas calls `rules.tax` as a local activity, the other one does not."""
    other = "{sagadsl: 1, name: x, steps: [{id: a, activity: rules.tax, compensation: none}, "
    other += "{id: b, activity: only.here, compensation: none}]}"
    cases = f"cases:\n  - {{name: one, saga: {other}, then: {{status: completed}}}}\n"
    cases += "  - {name: two, then: {status: completed}}\n"

    findings = _findings(folder, f"{HEAD}defaults: {{mocks: {mocks}}}\n{cases}")

    assert [each.message.partition(":")[0] for each in findings] == ([message] if message else [])


def test_mistakes_of_a_saga_that_stands_in_the_suite_are_shown_where_they_stand(tmp_path: Path) -> None:
    text = (
        "sagadsl_test: 1\nsaga:\n  sagadsl: 1\n  name: x\n  steps:\n"
        "    - {id: a, activity: do.a, compensation: none}\n"
        "    - {id: a, activty: do.b, compensation: none}\n"
        "cases: [{name: x, then: {status: completed}}]\n"
    )
    suite = read_suite(text, tmp_path / "x.saga-test.yaml")

    assert {finding.code: suite.document.spans[finding.route].line for finding in suite.findings} == {
        "SD104": 7,
        "SD201": 7,
    }
    assert [suite.document.spans[route].line for each in suite.findings for route, _ in each.related] == [6]


def test_activities_that_are_not_installed_need_not_be(folder: Path) -> None:
    """A saga can be tested before its activities are written."""
    (folder / "pay.saga-test.yaml").write_text(GOOD)
    asked = inside("test", "pay.saga-test.yaml", cwd=folder)

    assert asked.code == 1
    assert (
        "= help: install the package that offers it, or name its module with `-m`; or play the cases without knowing "
        "any activity: `sagadsl test --no-plugins`\n"
    ) in asked.err
    assert inside("test", "pay.saga-test.yaml", "--no-plugins", cwd=folder).code == 0


def test_a_saga_that_stands_in_its_suite_may_call_what_nobody_has_installed(tmp_path: Path) -> None:
    """It exists for its cases alone. What is installed is still checked."""
    text = "sagadsl_test: 1\nsaga: {{sagadsl: 1, name: x, steps: [{{id: a, activity: {}, compensation: none}}]}}\n"
    text += "cases: [{{name: x, then: {{status: completed}}}}]\n"
    (tmp_path / "x.saga-test.yaml").write_text(text.format("do.a"))
    (tmp_path / "wrong.saga-test.yaml").write_text(text.format("bank.withdraw"))

    assert inside("test", "x.saga-test.yaml", cwd=tmp_path).code == 0
    assert "`bank.withdraw` needs `account`" in inside("test", "wrong.saga-test.yaml", cwd=tmp_path).err


@pytest.mark.parametrize(
    ("sagas", "message"),
    [
        ("{sagadsl: 1, name: child, steps: []}", "`steps` must have at least one entry"),
        ("child.saga.yaml", "cannot read the saga `child.saga.yaml`: no such file or directory"),
    ],
)
def test_a_child_saga_that_cannot_be_used_is_told(folder: Path, sagas: str, message: str) -> None:
    """Otherwise the cases would fail for a reason that nobody sees."""
    (finding,) = _findings(folder, f"{GOOD}sagas: [{sagas}]\n")

    assert finding.message == message
    assert finding.route[:2] == ("sagas", 0)


def test_a_suite_given_to_validate_is_told_apart(folder: Path) -> None:
    (folder / "pay.saga-test.yaml").write_text(f"{HEAD}cases: [{{name: x, then: {{status: completed}}}}]\n")
    ran = inside("validate", "pay.saga-test.yaml", cwd=folder)

    assert ran.code == 1
    assert "this is a suite of cases, not a definition" in ran.out
    assert "`sagadsl test` plays its cases" in ran.out


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "the saga wants an input: write `given: {input: …}` in the case, or `input` in `defaults`"),
        (
            "given: {input: {amount: x}}, ",
            'the input does not fit the saga: `input.amount`: must be a whole number, got `"x"`',
        ),
    ],
)
def test_an_input_that_is_left_out_or_does_not_fit_is_named(folder: Path, given: str, why: str) -> None:
    (folder / "pay.saga-test.yaml").write_text(f"{HEAD}cases: [{{name: x, {given}then: {{status: completed}}}}]\n")
    ran = inside("test", "--no-plugins", cwd=folder)

    assert ran.code == 1
    assert f"failed (InvalidInput: {why})" in ran.out


def test_a_report_that_cannot_be_written_is_a_mistake_of_the_command(folder: Path) -> None:
    (folder / "pay.saga-test.yaml").write_text(GOOD)
    ran = inside("test", "--no-plugins", "--junit", "nowhere/x.xml", cwd=folder)

    assert ran.code == 2
    assert "`nowhere/x.xml` cannot be written: there is no folder `nowhere` (--junit)" in ran.err
    assert ran.out == ""  # nothing was played


@pytest.mark.parametrize(
    "written",
    [
        "given: {mocks: {pay: {delay: 36501d}}}, then: {status: completed}",
        "given: {mocks: {pay: {retry_after: 36501d}}}, then: {status: completed}",
        "when: [{at: 36501d, cancel: true}], then: {status: completed}",
        "when: [{at: 1s, after: 36501d, cancel: true}], then: {status: completed}",
        "then: {takes: 36501d}",
        "then: {takes: {at_most: 36501d}}",
    ],
)
def test_a_length_that_nobody_can_wait_for_is_told_of(folder: Path, written: str) -> None:
    """The form of suites took it and its reader did not, which was an internal error."""
    (folder / "pay.saga-test.yaml").write_text(f"{HEAD}cases: [{{name: x, {written}}}]\n")
    ran = inside("test", "--no-plugins", "pay.saga-test.yaml", cwd=folder)

    assert ran.code == 1
    assert "error[SD501]: `36501d` is longer than 100 years" in ran.err + ran.out


def test_whole_numbers_and_times_may_be_written_as_json_does(folder: Path) -> None:
    """`1.0` is a whole number of JSON, and `PT5S` a length of time as good as `5s`; an emoji is a text."""
    inline = '{sagadsl: 1, name: "a", description: "\\U0001f600 \\x7f", steps: [{id: pay, activity: card.pay}]}'
    given = "{mocks: {pay: {draw: 1.0, delay: 9s}}}"
    when = "[{at: {begin: pay, attempt: 1.0}, crash: true}, {at: PT5S, cancel: true}]"
    then = "{status: cancelled, attempts: {pay: 1.0}, refused: 0.0}"
    case = f"{{name: x, saga: {inline}, given: {given}, when: {when}, then: {then}}}"
    (folder / "pay.saga-test.yaml").write_text(f"sagadsl_test: 1\ncases: [{case}]\n", encoding="utf-8")
    ran = inside("test", "--no-plugins", "pay.saga-test.yaml", cwd=folder)

    assert ran.code == 0, ran.out + ran.err


def test_a_saga_migrates_to_a_version_of_its_own(folder: Path) -> None:
    (folder / "other.saga.yaml").write_text(SAGA.replace("name: pay", "name: other"), encoding="utf-8")
    case = "cases: [{name: x, when: [{at: 1s, migrate: FILE}], then: {status: completed}}]\n"
    for file, message, help in (
        (
            "other.saga.yaml",
            "a saga migrates to a definition of its own name: this is of `other`",
            "name a later version of `pay`",
        ),
        (
            "pays.saga.yaml",
            "cannot read the saga `pays.saga.yaml`: no such file or directory",
            "did you mean `pay.saga.yaml`?",
        ),
    ):
        (found,) = _findings(folder, HEAD + case.replace("FILE", file))
        assert (found.code, found.message, found.help) == ("SD801", message, help)
        assert found.route == ("cases", 0, "when", 0, "migrate")


def test_what_only_the_new_version_has_may_be_named(folder: Path) -> None:
    newer = SAGA.replace("card.pay", "card.charge").replace("signal: approve", "signal: allow")
    (folder / "new.saga.yaml").write_text(newer, encoding="utf-8")
    case = (
        "{name: x, given: {mocks: {card.charge: {error: X}}}, "
        "when: [{at: 1s, migrate: new.saga.yaml}, {at: 2s, signal: allow}], then: {never_called: [card.charge]}}"
    )
    assert _findings(folder, f"{HEAD}cases: [{case}]\n") == ()
    without = case.replace("{at: 1s, migrate: new.saga.yaml}, ", "")
    assert {each.code for each in _findings(folder, f"{HEAD}cases: [{without}]\n")} == {"SD802"}
