"""Suites and the fixture ``saga`` in other people's pytest runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sagadsl.testing import Unplayable, load
from tests.cli.shell import environment
from tests.patience import PATIENCE

DEFINITIONS = Path(__file__).parents[1] / "definitions"
TRANSFER = DEFINITIONS / "transfer_money.saga.yaml"
INPUT = {"from_account": "alice", "to_account": "bob", "amount": 5}
SUITE = f"""
sagadsl_test: 1
saga: {TRANSFER}
defaults: {{input: {{from_account: alice, to_account: bob, amount: 5}}}}
cases:
  - name: a closed account gives the money back
    rules: [R1]
    given: {{mocks: {{deposit: {{error: AccountClosed}}}}}}
    then: {{status: compensated, compensated: [withdraw]}}
  - name: it goes wrong
    given: {{mocks: {{deposit: {{error: AccountClosed}}}}}}
    then: {{status: completed}}
"""
TEST = f"""
def test_a_cancel_gives_the_money_back(saga):
    played = saga("{TRANSFER}").given(input={INPUT!r}).when("deposit", cancel=True).play()
    assert played.status == "cancelled"
    assert list(played.report["undone"]) == ["deposit", "withdraw"]
"""


def _pytest(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_cases_are_items_that_fail_with_what_was_missed_and_what_happened(tmp_path: Path) -> None:
    """Without a traceback: nobody's Python has failed."""
    (tmp_path / "transfer.saga-test.yaml").write_text(SUITE)
    code, out = _pytest(tmp_path)

    assert code == 1
    assert "1 failed, 1 passed" in out
    assert "status: expected completed\n        got      compensated (AccountClosed in `deposit`" in out
    assert "✓ withdraw.compensation  undone" in out
    assert "Traceback" not in out
    assert "pytest_plugin.py" not in out


def test_cases_are_chosen_by_name_and_by_rule(tmp_path: Path) -> None:
    """``-k`` as for every test."""
    (tmp_path / "transfer.saga-test.yaml").write_text(SUITE)

    assert "1 passed, 1 deselected" in _pytest(tmp_path, "-k", "R1")[1]
    assert "1 failed, 1 deselected" in _pytest(tmp_path, "-k", "wrong")[1]


def test_a_suite_with_mistakes_is_shown_as_the_command_shows_it(tmp_path: Path) -> None:
    """With the place and what to write."""
    (tmp_path / "transfer.saga-test.yaml").write_text(SUITE.replace("deposit: ", "depsit: "))
    code, out = _pytest(tmp_path)

    assert code == 2
    assert "error[SD802]: no call or activity is named `depsit`" in out
    assert "did you mean `deposit`?" in out


def test_the_fixture_plays_a_definition(tmp_path: Path) -> None:
    """For what a suite cannot say."""
    (tmp_path / "test_transfer.py").write_text(TEST)

    assert "1 passed" in _pytest(tmp_path)[1]


def test_collecting_can_be_switched_off(tmp_path: Path) -> None:
    """``sagadsl_suites = false``."""
    (tmp_path / "transfer.saga-test.yaml").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nsagadsl_suites = false\n")

    assert "no tests ran" in _pytest(tmp_path)[1]


def test_a_run_without_suites_pays_nothing(tmp_path: Path) -> None:
    """The plugin is loaded in every run of everybody who has sagadsl installed."""
    (tmp_path / "test_nothing.py").write_text(
        "import sys\ndef test_it(): assert not {'jinja2', 'jsonschema', 'temporalio', 'yaml'} & set(sys.modules)\n"
    )

    assert "1 passed" in _pytest(tmp_path, "-p", "no:anyio", "-p", "no:hypothesispytest")[1]


def test_a_scene_is_built_step_by_step_and_never_changed() -> None:
    """One scene is the base of many tests."""
    base = load(TRANSFER).given(input=INPUT)
    failing = base.given(mocks={"deposit": {"error": "AccountClosed"}})

    assert failing.play().status == "compensated"
    assert base.play().status == "completed"
    assert base.when("5s", cancel=True).play().missed == ()
    assert failing.given(mocks={"deposit": {}}).play().status == "completed"


def test_the_status_document_can_also_be_read_by_its_former_name() -> None:
    """Tests that users wrote with `standing` go on."""
    played = load(TRANSFER).given(input=INPUT).play()

    assert played.status_document["status"] == "completed"
    assert played.standing == played.status_document


@pytest.mark.parametrize(
    ("mocks", "message"),
    [
        ({"depsit": {}}, "SD802: no call or activity is named `depsit`"),
        ({"deposit": {"errr": "X"}}, "SD104: unknown key `errr`"),
    ],
)
def test_a_scene_with_mistakes_says_what_a_suite_would_say(mocks: dict[str, object], message: str) -> None:
    """One exception, with code and words of `sagadsl test`."""
    with pytest.raises(Unplayable, match=message):
        load(TRANSFER).given(input=INPUT, mocks=mocks).play()


def test_a_misspelt_error_type_of_a_scene_is_a_warning(tmp_path: Path) -> None:
    """SD809, as `sagadsl test` warns: it may be meant, so it is played."""
    (tmp_path / "pay.saga.yaml").write_text(
        "sagadsl: 1\nname: pay\n"
        "steps: [{id: pay, activity: x.a, retry: {non_retryable_error_types: [CardDeclined]}, compensation: none}]\n"
    )
    with pytest.warns(UserWarning, match=r"SD809: .* `CardDeclind` of `pay`; did you mean `CardDeclined`\?"):
        played = load(tmp_path / "pay.saga.yaml").given(mocks={"pay": {"error": "CardDeclind"}}).play()

    assert played.status == "compensated"


def test_a_definition_that_cannot_be_used_is_refused_at_once(tmp_path: Path) -> None:
    """Not only when it is played."""
    (tmp_path / "broken.saga.yaml").write_text("sagadsl: 1\nname: broken\n")

    with pytest.raises(Unplayable, match="SD801"):
        load(tmp_path / "broken.saga.yaml")
