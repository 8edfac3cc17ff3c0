"""The page about `once` and the READMEs of the inn and the ferry: their blocks run, and print what is shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import environment
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "once.md").read_text("utf-8")
BLOCK = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```(?:\n\n```output\n(.*?)^```)?", re.M | re.S)
INN, FERRY = (ROOT / "examples" / name for name in ("inn", "ferry"))


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Both examples can be imported, and keep their books in the folder of the test."""
    path = os.pathsep.join(map(str, (tmp_path, INN, FERRY)))
    return environment(
        PYTHONPATH=path,
        DJANGO_SETTINGS_MODULE="sagadsl_ferry.settings",
        SAGADSL_FERRY_FILE=str(tmp_path / "ferry.db"),
        SAGADSL_INN_URL=f"sqlite:///{tmp_path}/inn.db",
    )


def _said(command: list[str], cwd: Path, env: dict[str, str]) -> str:
    ran = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return ran.stdout


def test_every_block_prints_what_the_page_shows(tmp_path: Path, env: dict[str, str]) -> None:
    _said([sys.executable, "-m", "sagadsl_ferry", "migrate"], tmp_path, env)
    blocks = BLOCK.findall(PAGE)

    assert len(blocks) == PAGE.count("```python") == 5
    for name, text, printed in blocks:
        django = "import django; django.setup()\n" if name == "booking.py" else ""
        (tmp_path / name).write_text(django + text, "utf-8")
        assert _said([sys.executable, name], tmp_path, env) == printed


VARIES = (
    (re.compile(r"\d+\.\ds\b"), "N.Ns"),
    (re.compile(r"(?<=id weekend-...)   http\S+"), ""),
    (re.compile(r"^ ▶ .*\n", re.M), ""),  # what is over soon is not always seen while it runs
    (re.compile(r"^ ↩ room   undoing .*\n", re.M), ""),
)


def _steady(text: str) -> str:
    for pattern, word in VARIES:
        text = pattern.sub(word, text)
    return text


def test_every_command_of_the_inn_prints_what_its_readme_shows(tmp_path: Path, env: dict[str, str]) -> None:
    """Both packages are installed there, and named as modules here; the server is the one that `run` begins."""
    text = (INN / "README.md").read_text("utf-8")
    (tmp_path / "weekend.saga.yaml").write_text((INN / "weekend.saga.yaml").read_text("utf-8"), "utf-8")
    (tmp_path / "sagadsl.toml").write_text('modules = ["sagadsl_inn.activities", "sagadsl_ferry.activities"]\n')
    commands = re.findall(r"^\$ (?:python|sagadsl) (.*)\n((?:(?!\$ |```).*\n)*)", text, re.M)

    assert len(commands) == text.count("$ ") == 7
    for command, shown in commands:
        words = command.split() if command.startswith("-m") else ["-m", "sagadsl", *command.split()]
        said = _said([sys.executable, *words], tmp_path, env)
        assert _steady(said) == _steady(shown), command
