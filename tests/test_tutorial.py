"""The tutorial, done as it says: its files, its commands, the output that it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tours import files, masked, said, sessions

TUTORIAL = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text(encoding="utf-8")


@pytest.mark.temporal
def test_the_tutorial_prints_what_it_shows(tmp_path: Path) -> None:
    found = files(TUTORIAL)
    assert set(found) == {"activities.py", "sagadsl.toml", "shop.saga.yaml", "shop.saga-test.yaml"}
    for name, content in found.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    commands = dict(sessions(TUTORIAL))

    assert len(commands) == 6
    for command, shown in commands.items():
        assert masked(said(command, tmp_path)) == masked(shown), command
