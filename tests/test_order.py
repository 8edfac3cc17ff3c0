"""The long files of tests begin first."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.order import LONGEST, pytest_collection_modifyitems

ROOT = Path(__file__).parents[1]


def test_each_file_that_begins_first_exists_and_is_named_once() -> None:
    assert [file for file in LONGEST if not (ROOT / file).is_file()] == []
    assert len(LONGEST) == len(set(LONGEST))


def test_the_long_ones_begin_and_all_else_keeps_its_order() -> None:
    ids = ["tests/a.py::b", "tests/a.py::a", f"{LONGEST[1]}::y", f"{LONGEST[1]}::x", f"{LONGEST[0]}::z"]
    items: list[Any] = [SimpleNamespace(nodeid=each) for each in ids]
    pytest_collection_modifyitems(items)

    assert [each.nodeid for each in items] == [ids[4], ids[2], ids[3], ids[0], ids[1]]
