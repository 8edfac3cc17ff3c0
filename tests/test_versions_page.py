"""docs/operations/versions.md: its commands run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.shell import inside

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations" / "versions.md").read_text("utf-8")
CALLS = re.findall(
    r"^\$ sagadsl ([^\n]*)\n((?:(?!\$ |```)[^\n]*\n)*)",
    "".join(re.findall(r"^```console\n(.*?)^```", PAGE, re.M | re.S)),
    re.M,
)


@pytest.mark.parametrize(("command", "shown"), CALLS, ids=[command for command, _ in CALLS])
def test_a_command_of_the_page_does_what_it_shows(command: str, shown: str) -> None:
    assert inside(*shlex.split(command), cwd=ROOT).out == shown
