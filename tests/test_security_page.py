"""docs/security.md: every guard names tests, and those exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def _guards() -> list[str]:
    rows = [line for line in PAGE.partition("## Definitions")[2].splitlines() if line.startswith("| ")]
    return [line for line in rows if not line.startswith("| danger |")]


@cache
def _tests_of(path: str) -> frozenset[str]:
    module = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(each.name for each in module.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_page_has_its_tables() -> None:
    assert len(_guards()) >= 25


@pytest.mark.parametrize("guard", _guards(), ids=lambda line: line.split("|")[1].strip())
def test_each_guard_names_tests_that_exist(guard: str) -> None:
    shown = guard.split("|")[3]
    found = NAMED.findall(shown)

    assert found, "a guard without a test"
    assert NAMED.sub("", shown).strip(" ,") == "", "something else than tests"
    for path, name in found:
        assert name in _tests_of(path), f"{path} has no {name}"


@pytest.mark.parametrize("link", re.findall(r"\]\(([\w./-]+\.md)[#)]", PAGE))
def test_its_links_lead_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).exists()
