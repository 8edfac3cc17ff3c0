"""A saga migrates, or goes back to a step, at every moment of every way: no law is broken. R70 to R75, R80, R81."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from sagadsl.engine import migration, returning
from sagadsl.language import raw_steps
from sagadsl.language.document import parse
from sagadsl.trial.explore.report import examples
from sagadsl.trial.explore.run import Explored, Task, explore
from tests.cli.shell import inside
from tests.engine.scenes import act, plain, saga
from tests.engine.test_behind import TREE

FOLDER = Path(__file__).parents[3] / "definitions"
WAIT = {"id": "ask", "wait_for": {"signal": "go", "timeout": "1h"}}
ONE = saga(act("a"), WAIT, act("b"), version="1")
TWO = saga(act("a", compensation={"activity": "undo.better"}), WAIT, act("new"), act("b"), version="2")


def _migrating(one: dict[str, Any], two: dict[str, Any], most: int = 2) -> Explored:
    return explore(Task(one, most=most, later=two, later_name="two.saga.yaml"))


def _kinds(found: Explored) -> set[str]:
    return {f"{each.kind} {each.rule}" for each in found.summary.violations.values()}


def _newer(definition: dict[str, Any]) -> dict[str, Any]:
    newer = copy.deepcopy(definition)
    newer["version"] = "next"
    for step in raw_steps.everywhere(newer):
        if isinstance(step.get("compensation"), dict) and "activity" in step["compensation"]:
            step["compensation"]["activity"] += "_next"
    newer["steps"].append({"id": "one_more", "activity": "newer.step", "compensation": "none"})
    return newer


def test_a_saga_migrates_at_every_moment_and_keeps_what_it_has_promised() -> None:
    found = _migrating(ONE, TWO)
    assert _kinds(found) == set()
    assert set(found.summary.faults["the saga goes on with scene 2"]) == {"completed"}


@pytest.mark.parametrize("name", ["transfer_money", "trip_and_report", "call_http"])
def test_a_shipped_definition_migrates_to_a_later_version_at_every_moment(name: str) -> None:
    paths = [path for path in FOLDER.glob("*.saga.yaml") if path.name.startswith(name)]
    for path in paths:
        data = parse(path.read_bytes())[0].data
        assert _kinds(_migrating(data, _newer(data), most=1)) == set()


def test_a_promise_that_is_not_kept_is_found_with_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """R72: by an interpreter that undoes as the new definition says."""
    monkeypatch.setattr(migration, "undone_otherwise", lambda *_: False)
    found = _migrating(ONE, TWO)
    assert "promise-broken R72" in _kinds(found)
    (shown,) = [each for each in examples(found) if each.violation.kind == "promise-broken"]
    assert {"migrate": "two.saga.yaml"}.items() <= next(
        each for each in shown.case["when"] if "migrate" in each
    ).items()


@pytest.mark.parametrize(
    ("definition", "most"), [(saga(act("a"), act("b"), WAIT, plain("c")), 2), (saga(*TREE["steps"][1:4], WAIT), 1)]
)
def test_a_saga_goes_back_to_every_step_at_every_moment(definition: dict[str, Any], most: int) -> None:
    found = explore(Task(definition, most=most, resets=True))
    assert _kinds(found) == set()
    assert any("resets the saga" in each for each in found.summary.faults)


def test_a_saga_that_goes_back_and_forgets_to_undo_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """R80: by an interpreter that goes on at once."""
    monkeypatch.setattr(returning.undo, "begin", lambda run, key, paths: False)
    assert "left-behind R80" in _kinds(explore(Task(saga(act("a"), WAIT), most=1, resets=True)))


def test_what_was_undone_on_the_way_back_is_not_told_as_undone_after_a_new_run_has_begun() -> None:
    """R1, R80: rows of packed rounds are forgotten when the rounds are gone back over."""
    loop = {"id": "each", "for_each": {"items": "[1, 2]"}, "steps": [act("a")]}
    assert _kinds(explore(Task(saga(loop, WAIT), most=2, resets=True))) == set()


def test_the_command_takes_both(tmp_path: Path) -> None:
    docs = Path(__file__).parents[3] / "docs" / "examples"
    one, two = docs / "order.v1.saga.yaml", docs / "order.v2.saga.yaml"
    ran = inside("explore", str(one), "--migrate-to", str(two), "--resets", "--faults", "1", "--no-plugins")
    assert ran.code == 0, ran.out
    assert "the saga goes on with order 2" in ran.out
    assert "an operator resets the saga to `reserve`" in ran.out
    other = tmp_path / "other.saga.yaml"
    other.write_text(two.read_text().replace("name: order", "name: other"))
    ran = inside("explore", str(one), "--migrate-to", str(other), "--no-plugins")
    assert ran.code == 2
    assert "cannot go on with" in ran.err
