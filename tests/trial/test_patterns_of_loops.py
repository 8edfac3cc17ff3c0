"""The page of loops that are often wanted: its definitions have no findings, and its suites pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagadsl.language.load import load
from tests.cli.shell import inside

PAGE = (Path(__file__).parents[2] / "docs" / "patterns" / "loops.md").read_text("utf-8")
PARTS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def _blocks(part: str) -> tuple[str, str]:
    definition, suite = re.findall(r"^```yaml\n(.*?)^```", PARTS[part], re.M | re.S)
    return definition, suite


@pytest.mark.parametrize("part", PARTS)
def test_a_pattern_has_no_findings_and_does_what_its_suite_says(part: str, tmp_path: Path) -> None:
    definition, suite = _blocks(part)
    loaded = load(definition)
    assert loaded.saga is not None
    assert [(each.code, each.message) for each in loaded.findings] == []

    (tmp_path / f"{loaded.saga.name}.saga.yaml").write_text(definition, "utf-8")
    (tmp_path / "loop.saga-test.yaml").write_text(suite, "utf-8")
    played = inside("test", "loop.saga-test.yaml", "--no-plugins", cwd=tmp_path)

    assert played.code == 0, played.out + played.err
    assert "no call" not in played.out + played.err


@pytest.mark.parametrize("part", PARTS)
def test_a_pattern_comes_to_its_end_with_drawn_outputs(part: str, tmp_path: Path) -> None:
    """So it can be simulated and explored without a mock."""
    definition, _ = _blocks(part)
    (tmp_path / "loop.saga.yaml").write_text(definition, "utf-8")

    played = inside("simulate", "loop.saga.yaml", "--no-plugins", cwd=tmp_path)

    assert played.code == 0, played.out + played.err
    assert "completed after" in played.out


def test_the_page_lists_its_patterns() -> None:
    assert re.findall(r"\| \[(.+?)\]\(#", PAGE) == list(PARTS)
