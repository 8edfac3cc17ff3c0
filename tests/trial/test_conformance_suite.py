"""The conformance suite in virtual time: every case passes, every rule has its proof, and a broken rule is noticed."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sagadsl.engine.facts import Outcome
from sagadsl.trial.play import play
from sagadsl.trial.runner import Result, run_one, virtual
from sagadsl.trial.suite import Playable, Suite
from sagadsl.virtual.world import World
from tests.cli.shell import inside
from tests.engine import invariants
from tests.trial import conformance_table
from tests.trial.conformance_list import EVERY_BUILD, Listed, listed, loaded, marked
from tests.trial.conformance_table import ELSEWHERE, PAGE, RULES, RULES_PAGE, suites

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("named", listed(), ids=lambda named: named.case)
BOUND_TO_A_MOMENT = {
    "each time that an operator has it repeated is a call of its own": "the run that follows is paused when it begins",
    "a block that ends early leaves its child alone, and the saga completes": "a drain waits until the child has ended",
    "the steps of a losing branch are undone newest first": "while a run drains, that branch does not begin its second",
}
"""Cases that continue-as-new after every fact changes, each with the reason."""


def _watched(monkeypatch: pytest.MonkeyPatch, **options: bool) -> list[World]:
    """Return the worlds in which cases are played from now on; *options* are given to each."""
    made: list[World] = []

    def world(*args: Any, **own: Any) -> World:
        made.append(World(*args, **own, **options))
        return made[-1]

    monkeypatch.setattr("sagadsl.trial.play.World", world)
    return made


def _check(world: World) -> None:
    for saga_id, each in world.runs.items():
        invariants.check(world.events, saga_id, each)


def _play(suite: Suite, playable: Playable) -> Result:
    return run_one(suite, playable, virtual(None))


def test_every_suite_can_be_read_without_a_finding() -> None:
    assert {suite.document.name: suite.findings for suite in suites() if suite.findings} == {}


@EACH
def test_virtual_time_keeps_every_rule(named: Listed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rules are named in the case; those of every saga are kept, too."""
    worlds = _watched(monkeypatch)
    result = _play(*loaded(named))

    assert result.misses == ()
    assert result.played is not None
    assert result.played.output is None or result.played.status in ("completed", "rejected")
    for world in worlds:
        _check(world)


@pytest.mark.parametrize(
    "named", [each for each in listed() if each.case not in BOUND_TO_A_MOMENT], ids=lambda named: named.case
)
def test_continue_as_new_after_every_fact_changes_nothing_that_a_case_expects(
    named: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R50, but for the moment: what is under way ends before anything else begins."""
    worlds = _watched(monkeypatch, drain=True)
    result = run_one(*loaded(named), virtual(None), timed=False)

    assert result.misses == ()
    for world in worlds:
        _check(world)


@EACH
def test_a_worker_that_takes_over_after_every_fact_changes_nothing(named: Listed) -> None:
    """R34, R53: the state is written down and restored each time; everything happens again, event by event."""
    _, playable = loaded(named)
    case, target = playable.case, playable.target
    once, handed_on = (play(target.saga, case, sagas=target.sagas, replay=replay) for replay in (False, True))

    assert handed_on.events == once.events
    assert handed_on == once


@EACH
def test_every_case_says_which_rules_it_shows_and_more_than_how_it_ended(named: Listed) -> None:
    case = loaded(named)[1].case

    assert case.rules
    assert set(case.rules) <= {*RULES, "a peer's suite", EVERY_BUILD}
    assert len(case.then) > 1, "a status alone would bear nearly any mistake"
    assert "status" in case.then


def test_the_suites_need_no_option() -> None:
    """Their sagas stand in them and call nothing that is installed, or that need be; other tests play all cases."""
    ran = inside("test", "conformance", "definitions", "-q", "-k", "undoes nothing", cwd=ROOT)

    assert (ran.code, ran.err) == (0, "")


def test_no_two_cases_have_one_name() -> None:
    """So that results of two hosts can be put side by side; and each that is loaded is listed."""
    names = [each.case for each in listed()]

    assert sorted(names) == sorted(set(names))
    assert [(each.case.name, each.case.rules) for suite in suites() for each in suite.cases] == [
        (each.case, each.rules) for each in listed()
    ]


def test_every_build_shows_each_rule_on_a_real_server() -> None:
    """By a case that is marked, or by the tests that stand beside the cases."""
    shown = {rule for each in marked() for rule in each.rules}

    assert [rule for rule in RULES if rule not in shown and rule not in ELSEWHERE] == []


def test_every_rule_is_shown_by_a_case_or_by_tests_that_exist() -> None:
    shown = {rule for each in listed() for rule in each.rules}

    assert [rule for rule in RULES if rule not in shown and rule not in ELSEWHERE] == []
    for tests in ELSEWHERE.values():
        for node in tests:
            path, _, name = node.partition("::")
            assert name in _functions(ROOT / path), node


@cache
def _functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_pages_are_up_to_date() -> None:
    """They are written by `python -m tests.trial.conformance_table`."""
    assert PAGE.read_text("utf-8") == conformance_table.page(), "run `python -m tests.trial.conformance_table`"
    assert RULES_PAGE.read_text("utf-8") == conformance_table.rules_page(), "the same"


@pytest.mark.parametrize(
    ("where", "broken", "rule"),
    [
        ("sagadsl.engine.undo.is_due", lambda *_: True, "R3"),
        ("sagadsl.engine.undo._is_next", lambda *_: True, "R10"),
        ("sagadsl.engine.ends.pass_pivot", lambda *_: None, "R43"),
        ("sagadsl.virtual.calls.Calls._known", lambda *_: Outcome.FAILED, "R5"),
        ("sagadsl.virtual.calls.Calls.cancel", lambda *_: None, "R37"),
        ("sagadsl.virtual.calls.Calls.crash", lambda *_: None, "R53"),
        ("sagadsl.engine.operator.refusal", lambda *_, **more: "no", "R22"),
    ],
)
def test_a_broken_rule_is_noticed_by_a_case_that_names_it(
    where: str, broken: Callable[..., Any], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, each of them passes, as ``test_virtual_time_keeps_every_rule`` shows."""
    monkeypatch.setattr(where, broken)
    naming = [loaded(each) for each in listed() if rule in each.rules]

    assert not all(_play(*each).passed for each in naming)
