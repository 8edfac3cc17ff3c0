"""What the README shows is what happens."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagadsl_bank.cli import main

README = Path(__file__).parents[1] / "README.md"
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")


def _blocks() -> Iterator[tuple[str, str]]:
    yield from re.findall(r"^```(console|python|output)\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)


def test_every_command_and_call_of_the_readme_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run in order, in an empty folder; only the times differ."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAGADSL_BANK_URL", f"sqlite:///{tmp_path}/bank.db")
    kinds = []
    for kind, text in _blocks():
        kinds.append(kind)
        if kind == "python":
            exec(compile(text, str(README), "exec"), {})
        elif kind == "output":
            assert capsys.readouterr().out == text
        else:
            commands = re.findall(r"^\$ bank (.*)\n((?:[^$].*\n)*)", text, re.MULTILINE)
            assert len(commands) == text.count("$ ")
            for command, screen in commands:
                main(shlex.split(command))
                assert TIME.sub("TIME", capsys.readouterr().out) == TIME.sub("TIME", screen), command
    assert kinds == ["console", "python", "output", "console"]
