"""The page on expressions says what the tool does: its lists are complete, its examples are computed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sagadsl.language.expressions.filters import FILTERS
from sagadsl.language.expressions.predicates import TESTS
from sagadsl.language.expressions.values import ExpressionError, compile_value

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


ORDER = re.compile(r"^\| `((?:[^`|]|\\\|)+)` \| `((?:[^`|]|\\\|)+)` \| (`[^`]+`|an error) \|$", re.M)


def _gives(expression: str) -> str:
    value = compile_value(expression.replace("\\|", "|"), bare=True)
    try:
        return f"`{json.dumps(value.render({}))}`"
    except ExpressionError:
        return "an error"


@pytest.mark.parametrize(("written", "read", "result"), ORDER.findall(_section("Operators")))
def test_operators_bind_as_the_page_says(written: str, read: str, result: str) -> None:
    """N11: both spellings are computed."""
    assert (_gives(written), _gives(read)) == (result, result)


def test_the_surprises_are_on_the_page() -> None:
    """N11."""
    written = {row[0].replace('"', "'").replace("\\|", "|") for row in ORDER.findall(_section("Operators"))}
    assert {"2 ** 3 ** 2", "-2 ** 2", "'a' ~ 1 + 2", "10 - 2 | abs * 3"} <= written


def test_there_are_examples() -> None:
    """The table is found at all."""
    assert len(ROW.findall(_section("Examples"))) > 10
