"""The shipped definitions, through every pair of faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagadsl.language.document import parse
from sagadsl.trial.explore.run import Task, explore

FILES = sorted((Path(__file__).parents[2] / "definitions").glob("*.saga.yaml"))
KNOWN: dict[str, set[tuple[str, str]]] = {}
"""What cannot end well, by saga; nothing at present."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.partition(".")[0])
def test_every_way_of_a_shipped_definition_ends_well(path: Path) -> None:
    """R1, R2, R10, R12, R20, R43; and what cannot end well is known."""
    data = parse(path.read_bytes())[0].data
    children = {each["name"]: each for other in FILES for each in (parse(other.read_bytes())[0].data,)}
    explored = explore(Task(data, {name: child for name, child in children.items() if name != data["name"]}))

    assert set(explored.summary.violations) == KNOWN.get(data["name"], set())
    assert explored.unreached == ()
    assert explored.summary.left == 0
