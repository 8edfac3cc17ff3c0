"""Which tests show the newer public cases: each has a number, and tests and cases of suites name it.

``python -m tests.test_newer_cases`` prints the table.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("tests", "examples")

# Two numbers are missing: how late heartbeats are seen is a sentence of the documentation, and what becomes of a late
# success after start_to_close is shown by tests/temporal/test_late_attempts.py (R96, R97).
ROWS: Mapping[str, str] = {
    "B1": "a child's id that is too long",
    "B3": "a rolling deploy in which one worker does not know an activity",
    "B4": "a child saga that waits for a person",
    "B5": "a pause reaches the children",
    "B6": "one approval counts once",
    "B7": "a signal that does not fit is refused",
    "B8": "a result above the limit has one status",
    "B9": "numbers above 2^53 arrive exactly",
    "B10": "a start with a bad input is listed",
    "B12": "a late answer is not the next wait's",
    "B13": "defaults of the schema hold however a saga is started",
    "B14": "an operator's pause against timeouts",
    "B15": "the next day at nine, by local time",
    "B16": "a cancel while held",
    "B17": "nested on_failure after a cancel",
    "B18": "a tolerated child",
    "B19": "three children fail in one moment",
    "B20": "retry budgets in loops",
    "B21": "retry after a time-out past the pivot",
    "B22": "leftover timers",
    "B23": "a definition edited under a paused run",
    "B24": "activity pause",
    "B25": "25 starts at once",
    "B26": "a key with a changed body",
    "B27": "joins over nothing",
    "B28": "large numbers in text",
    "B29": "typed templates",
    "B30": "a cancel in parallel and child",
    "N1": "a foreign worker stops during the last attempt",
    "N2": "money in decimals",
    "N3": "a long loop beside something that waits",
    "N4": "cancelled before its definition is read",
    "N5": "timeouts in `non_retryable_error_types`",
    "N6": "errors with a long stack while they are retried",
    "N7": "a pause before the run begins, or before a reset",
    "N8": "a drain that ends in time",
    "N9": "a signal that came too late in an outage",
    "N10": "one JSON document on stdout for a definition with mistakes",
    "N11": "the order of operators is documented",
    "N13": "names that end in a newline, and what a pattern means",
    "N14": "every duration is taken or a finding",
    "N15": "work of one task is bounded",
    "N16": "an output that reads skipped steps",
    "N17": "a broken plugin that nobody needs",
    "N18": "one JSON document although plugins print",
    "N19": "an exception that cannot pass a Future",
    "N20": "1e999 is refused",
    "N22": "messages about stray quotes",
}

_NUMBER = re.compile(r"\b[BN]\d{1,2}\b")


@cache
def shown() -> Mapping[str, tuple[str, ...]]:
    """Return the tests and cases that name each row."""
    found: dict[str, list[str]] = defaultdict(list)
    for where, text in (*_docstrings(), *_cases()):
        for number in dict.fromkeys(_NUMBER.findall(text)):
            found[number].append(where)
    return {row: tuple(nodes) for row, nodes in found.items()}


def _docstrings() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            if path != Path(__file__):
                for name, text in _of(path):
                    yield f"{path.relative_to(ROOT)}::{name}", text


@cache
def _of(path: Path) -> tuple[tuple[str, str], ...]:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text("utf-8"))
    return tuple((node.name, ast.get_docstring(node) or "") for node in ast.walk(tree) if isinstance(node, functions))


def _cases() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "conformance").glob("*.saga-test.yaml")):
        for name, rules in re.findall(
            r"^  - name: (.*)\n(?:    .*\n)*?    rules: (.*)$", path.read_text("utf-8"), re.M
        ):
            yield f"{path.relative_to(ROOT)}::{name}", f"{name} {rules}"


@pytest.mark.parametrize("row", list(ROWS))
def test_a_case_is_shown_by_a_test_that_names_it(row: str) -> None:
    nodes = shown().get(row, ())

    assert nodes
    for node in nodes:
        path, _, name = node.partition("::")
        assert path.endswith(".yaml") or name in dict(_of(ROOT / path)), node


def table() -> Iterator[str]:
    """Yield each row with what shows it."""
    for row, what in ROWS.items():
        nodes = shown().get(row, ())
        yield f"{row:4} {what}: {', '.join(nodes) or '(none)'}"


if __name__ == "__main__":
    print("\n".join(table()))
