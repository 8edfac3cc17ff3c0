"""What is missing on a machine is named at the end of a run, and never claimed to be tested."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import environment
from tests.needs import NEEDS
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]
SUITE = """
import pytest

from tests.needs import NEEDS, Need, missing, need

NEEDS["chromium"] = Need("Chromium", "install it", lambda: None)
NEEDS["go"] = Need("Go", "install it, too", lambda: ("/bin/go", "-v"))


@pytest.fixture(scope="session")
def browser():
    return need("chromium")


@pytest.mark.parametrize("page", "abc")
def test_page(browser, page): ...


def test_browser_that_cannot_start():
    missing("chromium", "no libnss3")


def test_go():
    assert need("go") == ("/bin/go", "-v")


@pytest.mark.skip(reason="another thing")
def test_other(): ...
"""
SUMMARY = (
    "not run here: 1 test, since this is missing: Chromium (no libnss3); "
    "3 tests, since this is missing: Chromium (install it)"
)


def _run(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    (folder / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-p", "tests.needs", "-p", "no:cacheprovider", *arguments]
    env = environment(PYTHONPATH=str(ROOT), **variables)
    ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("arguments", [("-q",), ("-q", "-n", "2")], ids=["one process", "two processes"])
def test_one_line_at_the_end_says_what_was_not_run_and_why(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, out = _run(tmp_path, *arguments, CI="")

    assert code == 0
    assert out.splitlines()[-2] == SUMMARY
    assert "1 passed, 5 skipped" in out.splitlines()[-1]


def test_where_all_has_to_be_tested_it_fails(tmp_path: Path) -> None:
    code, out = _run(tmp_path, CI="true")

    assert code == 1
    assert "Failed: missing here: Chromium (install it); CI is set, so that everything has to be tested" in out
    assert "1 failed, 1 passed, 1 skipped, 3 errors" in out
    assert "not run here" not in out


def test_nothing_is_told_where_nothing_is_missing(tmp_path: Path) -> None:
    code, out = _run(tmp_path, "-k", "go or other", CI="")

    assert (code, "not run here" in out) == (0, False)


def test_every_need_says_how_to_have_it() -> None:
    assert all(each.name and each.remedy for each in NEEDS.values())


def test_no_test_is_skipped_in_another_way() -> None:
    """Whatever is left out elsewhere is in no line at the end, and is no failure under CI."""
    quiet = re.compile(r"\bpytest\.skip\(|mark\.skip|importorskip|mark\.xfail|pytest\.xfail\(|SkipTest")
    allowed = {Path(__file__), ROOT / "tests" / "needs.py"}
    files = [path for folder in ("tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")]

    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted({*files, ROOT / "conftest.py"} - allowed)
        if "node_modules" not in path.parts
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if quiet.search(line)
    ]

    assert found == []
