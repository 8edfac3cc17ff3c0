"""Whatever the code and the tests cite can be followed: it stands in this repository."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.test_newer_cases import ROWS
from tests.trial.conformance_table import RULES

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "sagadsl",
    "tests",
    "examples",
    "benchmarks",
    "deploy",
    "tools",
    "docs",
    "conformance",
    "definitions",
    "findings",
)
ENDINGS = ("*.py", "*.md", "*.yaml", "*.sh")
RULE = re.compile(r"\bR\d{1,2}\b")
CODE = re.compile(r"\b[A-QS-VX-Z]\d{1,2}\b(?!-)")  # W1 to W17 are the definitions in tests/shapes
PAPERS = re.compile(r"\b(?:DESIGN|RULES|INFRA|ECOSYSTEM|STYLE|SEED|REAL)(?:\.md|,? ?§| \d)")


def _files() -> Iterator[Path]:
    yield from (ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml"))
    for folder in FOLDERS:
        for ending in ENDINGS:
            yield from sorted((ROOT / folder).rglob(ending))


@cache
def _prose(path: Path) -> tuple[tuple[int, str], ...]:
    """Return comments and docstrings with their lines; a page of text is prose as a whole."""
    text = path.read_text(encoding="utf-8")
    return tuple(enumerate(text.splitlines(), 1) if path.suffix != ".py" else _in_python(text))


def _in_python(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and token.string.startswith('"""')):
            yield from enumerate(token.string.splitlines(), token.start[0])


def test_every_rule_that_is_cited_stands_on_the_page_of_rules() -> None:
    cited = [
        (f"{path.relative_to(ROOT)}:{line}", rule)
        for path in _files()
        for line, text in _prose(path)
        for rule in RULE.findall(text)
    ]

    assert len({rule for _, rule in cited}) > 50
    assert [(where, rule) for where, rule in cited if rule not in RULES] == []


def test_a_docstring_has_no_mark_that_nobody_can_look_up() -> None:
    """An `M` once said that something had been measured; where, nobody could find."""
    mark = re.compile(r"\bM: |\(M\)|, M\b[:,).]")
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip()}"
        for path in _files()
        if path.suffix == ".py" and path != Path(__file__)
        for line, text in _prose(path)
        if mark.search(text)
    ]

    assert found == []


def test_no_paper_is_cited_that_is_not_here() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip()}"
        for path in _files()
        if path != Path(__file__)
        for line, text in _prose(path)
        if PAPERS.search(text)
    ]

    assert found == []


def test_every_number_of_a_case_is_in_the_list_of_cases() -> None:
    """A code that nobody can look up says nothing to a stranger: a sentence does."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {code}"
        for path in _files()
        if path.suffix == ".py"
        for line, text in _prose(path)
        for code in CODE.findall(text)
        if code not in ROWS
    ]

    assert found == []
