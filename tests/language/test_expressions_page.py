"""The page on expressions says what the tool does: its lists are complete, its examples are computed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sagadsl.language.expressions import compile_value
from sagadsl.language.filters import FILTERS
from sagadsl.language.predicates import TESTS

PAGE = (Path(__file__).parents[2] / "docs" / "expressions.md").read_text("utf-8")
ROW = re.compile(r"^\| `((?:[^`|]|\\\|)+)` \| `([^`]+)` \|$", re.M)


def _section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_filter_and_every_test_is_listed_and_nothing_else() -> None:
    """A filter without a line on the page does not exist for its user."""
    table = "".join(line for line in _section("Filters").splitlines() if line.startswith("|"))

    assert sorted(set(re.findall(r"`([a-z_0-9]+)`", table))) == sorted(FILTERS)
    assert sorted(re.findall(r"`(\S+)`", _section("Tests").partition("rejectattr`:\n")[2])) == sorted(TESTS)


@pytest.mark.parametrize(("expression", "result"), ROW.findall(_section("Examples")))
def test_an_example_gives_what_the_page_says(expression: str, result: str) -> None:
    """Examples are executed, so that they cannot drift."""
    found = re.search(r"With the input `(.*)`:", PAGE)
    assert found is not None
    value = compile_value(expression.replace("\\|", "|"), bare=True)

    assert value.render({"input": json.loads(found[1])}) == json.loads(result)


def test_there_are_examples() -> None:
    """The table is found at all."""
    assert len(ROW.findall(_section("Examples"))) > 10
