"""Whoever watches a run sees which test has failed while the others still run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import environment
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]
SUITE = """
import os
import pytest


@pytest.fixture
def broken():
    raise ValueError("no house")


def test_sums(): assert 1 + 1 == 3, "sums"


def test_house(broken): ...


def test_end(pytestconfig):
    if hasattr(pytestconfig, "workerinput"):
        os._exit(1)


def test_right(): ...
"""


@pytest.mark.parametrize("processes", ["0", "1"], ids=["in this process", "in another"])
def test_a_failure_is_named_before_the_stories_of_all(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.failing", "-p", "no:cacheprovider", "-n", processes]
    env = environment(PYTHONPATH=str(ROOT))
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert ran.returncode == 1, ran.stderr
    early = ran.stdout.partition("= FAILURES =")[0].partition("= ERRORS =")[0].splitlines()
    said = [line for line in early if line.startswith("failed now: ")]
    crashed = [
        "failed now: test_suite.py::test_end (???): worker 'gw0' crashed while running 'test_suite.py::test_end'"
    ]
    assert said == [
        "failed now: test_suite.py::test_sums: AssertionError: sums",
        "failed now: test_suite.py::test_house (setup): ValueError: no house",
        *(crashed if processes == "1" else []),
    ]
