"""The README's five minutes, done as it says: its files, its commands, the output that it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagadsl.language.load import load
from tests.tours import masked, said, sessions

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
BLOCKS = [(kind, text) for kind, text in FENCE.findall(README)]
TOUR = README[README.index("## Five minutes") : README.index("## More")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    blocks = dict(FENCE.findall(TOUR))
    (tmp_path / "activities.py").write_text(blocks["python"], encoding="utf-8")
    (tmp_path / "book.saga.yaml").write_text(blocks["yaml"], encoding="utf-8")
    return tmp_path


@pytest.mark.temporal
def test_the_tour_prints_what_it_shows(folder: Path) -> None:
    for command, shown in sessions(TOUR):
        assert masked(said(command, folder)) == masked(shown), command


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"])
def test_every_definition_in_the_readme_is_right(text: str) -> None:
    loaded = load(text, name="README.md")

    assert not [finding for finding in loaded.findings if finding.severity.value == "error"]


def test_every_file_that_the_readme_links_to_is_there() -> None:
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (root / link).exists()] == []
