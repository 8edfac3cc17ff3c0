"""docs/operations/secret-values.md: its example runs as it stands, and doctor says what it quotes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import environment
from tests.conftest import Server
from tests.patience import PATIENCE

pytestmark = pytest.mark.temporal

PAGE = (Path(__file__).parents[1] / "docs" / "operations" / "secret-values.md").read_text("utf-8")


def _block(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.M | re.S)
    return str(found)


def test_the_example_of_the_page_does_what_it_shows(tmp_path: Path, server: Server) -> None:
    (tmp_path / "pay.saga.yaml").write_text(_block("yaml"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(TEMPORAL_ADDRESS=server.address, PATH=path, XDG_CONFIG_HOME=str(tmp_path))

    def said(command: str) -> str:
        ran = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        return ran.stdout

    steps = re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", _block("console"), re.M)
    assert len(steps) == 3
    for command, shown in steps:
        assert said(command) == shown, command
    told = said("sagadsl doctor pay.saga.yaml").splitlines()
    for line in _block("text").splitlines():
        assert " ".join(line.split()) in [" ".join(each.split()) for each in told]
