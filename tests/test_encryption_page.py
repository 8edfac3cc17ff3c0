"""docs/operations/encryption.md: its example runs as it stands."""

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

PAGE = (Path(__file__).parents[1] / "docs" / "operations" / "encryption.md").read_text("utf-8")


def _block(kind: str, section: str = "Turn it on") -> str:
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", text, re.M | re.S)
    return str(found)


def test_the_example_of_the_page_does_what_it_shows(tmp_path: Path, server: Server) -> None:
    (tmp_path / "sagadsl.toml").write_text(_block("toml"))
    (tmp_path / "greet.saga.yaml").write_text(_block("yaml"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(TEMPORAL_ADDRESS=server.address, PATH=path, XDG_CONFIG_HOME=str(tmp_path))

    steps = re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", _block("console"), re.M)
    assert len(steps) >= 4
    for command, shown in steps:
        ran = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert ran.stdout == shown, (command, ran.stderr)
