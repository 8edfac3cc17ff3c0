"""Mistakes that people make in sagas, one a file: `validate` or `explore` has to catch each.

The header of a file says what is wrong with it and who catches it; `tests/seeded/README.md` lists them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagadsl.language.load import load
from sagadsl.language.loaded import Loaded
from sagadsl.trial.explore.run import Task, explore

FOLDER = Path(__file__).parent / "seeded"
FILES = sorted(FOLDER.glob("*.saga.yaml"))
HEADER = re.compile(r"# planted: (.+)\n# caught by: (.+)\n")


def _header(path: Path) -> tuple[str, list[str]]:
    found = HEADER.match(path.read_text("utf-8"))
    assert found is not None, path
    return found[1], found[2].split(", ")


def _caught(loaded: Loaded) -> set[str]:
    caught = {f"validate {finding.code}" for finding in loaded.findings}
    if loaded.saga is not None:
        explored = explore(Task(loaded.document.data))
        caught |= {f"explore {violation.kind}" for violation in explored.summary.violations.values()}
    return caught


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_a_planted_mistake_is_caught_by_whom_its_header_names(path: Path) -> None:
    """Nothing more is found in the file either: each has one mistake."""
    _, catchers = _header(path)

    assert _caught(load(path.read_bytes(), name=path.name)) == set(catchers)


def test_there_are_enough_of_them_for_both() -> None:
    """Some mistakes only a run shows."""
    catchers = [_header(path)[1] for path in FILES]

    assert len(FILES) >= 25
    assert sum(all(each.startswith("explore") for each in who) for who in catchers) >= 6


def test_the_list_is_that_of_the_files() -> None:
    """`tests/seeded/README.md` is written from the headers."""
    rows = [
        f"| `{path.name.partition('.')[0]}` | {_header(path)[0]} | {', '.join(_header(path)[1])} |" for path in FILES
    ]

    assert (FOLDER / "README.md").read_text("utf-8").splitlines()[-len(rows) :] == rows
