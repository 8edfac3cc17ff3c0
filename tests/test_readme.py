"""The README's five minutes, done as it says: its files, its commands, the output that it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sagadsl.language.load import load

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
BLOCKS = [(kind, text) for kind, text in FENCE.findall(README)]
TOUR = README[README.index("## Five minutes") : README.index("## More")]
VARYING = (
    (re.compile(r"book-[0-9a-f-]{36}"), "book-ID"),
    (re.compile(r"http://127\.0\.0\.1:\d+/"), "http://HOST/"),
    (re.compile(r"\d+(\.\d+)?( ?m?s)\b"), r"N\2"),
    (re.compile(r"\d+ activities are installed"), "N activities are installed"),
)


def _masked(text: str) -> list[str]:
    """Return the lines of a screen without what differs between runs; that a step has begun may be missed."""
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return [line.rstrip() for line in text.splitlines() if not re.search(r" ▶ |undoing", line)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    blocks = dict(FENCE.findall(TOUR))
    (tmp_path / "activities.py").write_text(blocks["python"], encoding="utf-8")
    (tmp_path / "book.saga.yaml").write_text(blocks["yaml"], encoding="utf-8")
    return tmp_path


def _sessions() -> list[tuple[str, str]]:
    """Return each command of the tour with what it is shown to print."""
    found = []
    for kind, text in FENCE.findall(TOUR):
        if kind == "console":
            for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
                command, _, output = part.partition("\n")
                found.append((command, output))
    return found


@pytest.mark.temporal
def test_the_tour_prints_what_it_shows(folder: Path) -> None:
    binaries = str(Path(sys.executable).parent)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TEMPORAL_", "SAGADSL_"))}
    environment |= {"PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    for command, shown in _sessions():
        ran = subprocess.run(
            command, shell=True, cwd=folder, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

        assert _masked(ran.stdout) == _masked(shown), command


@pytest.mark.parametrize("text", [text for kind, text in BLOCKS if kind == "yaml"])
def test_every_definition_in_the_readme_is_right(text: str) -> None:
    loaded = load(text, name="README.md")

    assert not [finding for finding in loaded.findings if finding.severity.value == "error"]


def test_every_file_that_the_readme_links_to_is_there() -> None:
    root = Path(__file__).parents[1]
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (root / link).exists()] == []
