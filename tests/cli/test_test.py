"""``sagadsl test``: its screens, whole, and what it does with suites that have mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.shell import Ran, inside

SAGA = """\
sagadsl: 1
name: pay
input: {type: object, properties: {amount: {type: integer}}}
steps:
  - {id: hold, activity: card.hold, compensation: {activity: card.release}}
  - {id: pay, activity: card.pay, retry: {maximum_attempts: 2}, compensation: none}
output: {receipt: "{{ steps.pay.output }}"}
"""
SUITE = """\
sagadsl_test: 1
saga: pay.saga.yaml
defaults:
  input: {amount: 1}
  mocks:
    pay:
      output: {number: 7, shop: north, note: thanks, lines: [{sku: chair, count: 1}, {sku: lamp, count: 2}]}
cases:
"""
GOOD = "  - {name: it is paid, then: {status: completed, calls: [hold, pay]}}\n"
UNDONE = """\
  - name: a declined card holds nothing
    given: {mocks: {pay: {error: Declined}}}
    then: {compensated: [hold], attempts: {pay: 1}}
"""
BAD = "  - {name: it is paid twice, then: {status: completed, calls: [hold, pay, pay]}}\n"
LONG = """\
  - name: the receipt is whole
    then:
      output:
        receipt: {number: 8, shop: north, note: thanks, lines: [{sku: chair, count: 1}, {sku: lamp, count: 3}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pay.saga.yaml").write_text(SAGA)
    return tmp_path


def _played(folder: Path, cases: str, *options: str) -> Ran:
    (folder / "pay.saga-test.yaml").write_text(SUITE + cases)
    ran = inside("test", "--no-plugins", *options, cwd=folder)
    return Ran(ran.code, re.sub(r"\d+ ms", "N ms", ran.out), ran.err)


def test_cases_that_pass_are_told_in_a_line_each(folder: Path) -> None:
    assert _played(folder, GOOD + UNDONE) == Ran(
        0,
        "pay.saga-test.yaml\n"
        "  ✓ it is paid\n"
        "  ✓ a declined card holds nothing\n"
        "\n"
        "pay: 4 of 8 outcomes shown (50 %)\n"
        "✓ 2 cases passed (N ms)\n",
        "",
    )


def test_a_case_that_fails_says_what_came_instead_and_what_happened(folder: Path) -> None:
    assert _played(folder, GOOD + BAD) == Ran(
        1,
        "pay.saga-test.yaml\n"
        "  ✓ it is paid\n"
        "  ✗ it is paid twice\n"
        "      calls: expected [hold, pay, pay]\n"
        "             got      [hold, pay]\n"
        "      what happened:\n"
        "          +0s  ▸ hold  card.hold\n"
        "        +0.1s  ✓ hold  succeeded\n"
        "        +0.1s  ▸ pay   card.pay\n"
        "        +0.2s  ✓ pay   succeeded\n"
        "\n"
        "pay: 2 of 8 outcomes shown (25 %)\n"
        "✗ 1 case passed, 1 failed (N ms)\n",
        "",
    )


def test_of_two_long_values_only_the_difference_is_shown(folder: Path) -> None:
    ran = _played(folder, LONG)

    assert ran.code == 1
    assert (
        "  ✗ the receipt is whole\n"
        "      output: (- expected, + got)\n"
        '        - "number": 8,\n'
        '        + "number": 7,\n'
        '        - "count": 3}\n'
        '        + "count": 2}\n'
        "      what happened:\n"
    ) in ran.out


def test_a_suite_with_mistakes_keeps_no_other_one_from_being_played(folder: Path) -> None:
    (folder / "wrong.saga-test.yaml").write_text(SUITE + "  - {name: x, then: {statsu: completed}}\n")
    ran = _played(folder, GOOD)

    assert ran.code == 1
    assert ran.out.endswith("✗ 1 case passed, 1 suite with mistakes (N ms)\n")
    assert "wrong.saga-test.yaml:9" in ran.err
    assert _played(folder, GOOD, "-k", "nothing").code == 2


def test_the_first_case_that_fails_ends_it_where_that_is_wanted(folder: Path) -> None:
    ran = _played(folder, BAD + GOOD, "-x")

    assert (ran.code, "it is paid\n" in ran.out) == (1, False)
    assert "✗ 0 cases passed, 1 failed" in ran.out


def test_only_what_is_asked_for_is_played_and_the_slowest_are_named(folder: Path) -> None:
    ran = _played(folder, GOOD + UNDONE, "-k", "declined", "--durations", "1")

    assert ran.code == 0
    assert "it is paid" not in ran.out
    assert re.search(r"\d\.\d ms  pay.saga-test.yaml: a declined card holds nothing", ran.out.replace("N ms", "0.0 ms"))


def test_quietly_only_what_fails_is_told(folder: Path) -> None:
    assert _played(folder, GOOD + UNDONE, "-q").out == "✓ 2 cases passed (N ms)\n"


def test_less_coverage_than_is_wanted_fails_and_names_what_is_missing(folder: Path) -> None:
    ran = _played(folder, GOOD, "--fail-under", "90")

    assert ran.code == 1
    assert "  hold: " in ran.out
    assert "✗ less than 90 % is shown of pay\n" in ran.out
