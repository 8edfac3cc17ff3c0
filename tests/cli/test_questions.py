"""What a command asks a person before it does something, and what becomes of a no."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

import sagadsl.cli
from tests.cli.shell import environment
from tests.cli.terminal import at_terminal
from tests.cli.test_live import read_terminal
from tests.patience import PATIENCE

CTRL_C = b"\x03"


def answered(folder: Path, *words: str, answer: bytes) -> tuple[int, str]:
    """Run a command in a terminal and answer its question; return its exit code, and what the terminal shows."""
    with at_terminal(words, folder, environment()) as (process, terminal):
        shown = read_terminal(terminal, lambda text: "[y/N]: " in text)
        os.write(terminal, answer)
        if answer == CTRL_C:  # one that comes just before Python begins to read is noticed with the next key alone
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE / 6)
            if process.poll() is None:
                os.write(terminal, answer)
        shown += read_terminal(terminal, lambda _: False)
        code = process.wait(PATIENCE)
    return code, shown.replace("\r\n", "\n")


@pytest.mark.parametrize("answer", [b"n\n", b"\n"], ids=["n", "enter"])
def test_after_a_no_nothing_was_done(tmp_path: Path, answer: bytes) -> None:
    """The server that is named is not there: it is not even asked."""
    words = ("schedule", "delete", "nightly", "--address", "127.0.0.1:1")
    code, shown = answered(tmp_path, *words, answer=answer)

    assert code == 1
    assert shown.endswith("\nnothing was done\n")
    assert "interrupted" not in shown


def test_ctrl_c_at_a_question_is_still_ctrl_c(tmp_path: Path) -> None:
    code, shown = answered(tmp_path, "schedule", "delete", "nightly", "--address", "127.0.0.1:1", answer=CTRL_C)

    assert code == 130
    assert shown.endswith("interrupted\n")


def test_all_questions_are_asked_by_one_function() -> None:
    """So that no command takes a no for Ctrl-C."""
    folder = Path(*sagadsl.cli.__path__)
    asking = [each.name for each in sorted(folder.glob("*.py")) if "click.confirm(" in each.read_text()]

    assert asking == ["screen.py"]
