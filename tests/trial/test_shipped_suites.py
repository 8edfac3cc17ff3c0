"""The suites beside the shipped definitions: all there, all pass, and they show most of what can become of a step."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from tests.cli.shell import Ran, inside

FOLDER = Path(__file__).parents[2] / "definitions"
DEFINITIONS = sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.saga.yaml"))


@cache
def _ran(name: str) -> Ran:
    return inside("test", f"{name}.saga-test.yaml", "--coverage", "--json", cwd=FOLDER)


def test_every_definition_has_a_suite_and_every_suite_a_definition() -> None:
    suites = sorted(path.name.partition(".")[0] for path in FOLDER.glob("*.saga-test.yaml"))

    assert suites == DEFINITIONS


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_shipped_definition_does_what_its_suite_says(name: str) -> None:
    ran = _ran(name)

    assert ran.code == 0, ran.out + ran.err
    assert ran.err == ""


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_suite_shows_four_fifths_of_what_can_become_of_its_definition(name: str) -> None:
    (saga,) = json.loads(_ran(name).out)["coverage"]

    assert saga["saga"] == name.replace("_", "-")
    assert saga["shown"] / saga["possible"] >= 0.8, saga


def test_one_command_plays_them_all_and_fails_below_a_bound(tmp_path: Path) -> None:
    """As a build server would."""
    junit = tmp_path / "results.xml"
    suites = sorted(FOLDER.glob("*.saga-test.yaml"))

    assert inside("test", *suites, "--fail-under", "80", "--junit", junit, cwd=FOLDER.parent).code == 0
    assert junit.read_text("utf-8").count("<testcase ") > 70
    low = inside("test", *suites, "--fail-under", "99", cwd=FOLDER.parent)
    assert low.code == 1
    assert "less than 99 % is shown of fulfil-order" in low.out
