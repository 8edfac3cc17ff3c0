"""The page about late attempts: its definition is valid, and its command prints what the page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cli.shell import inside

PAGE = (Path(__file__).parents[1] / "docs" / "late-attempts.md").read_text("utf-8")
DEFINITION = re.compile(r"^```yaml\n(.*?)^```", re.M | re.S)
COMMAND = re.compile(r"^```console\n\$ sagadsl ([^\n]*)\n(.*?)^```", re.M | re.S)


def test_the_page_shows_what_the_command_prints(tmp_path: Path) -> None:
    (definition,) = DEFINITION.findall(PAGE)
    ((command, shown),) = COMMAND.findall(PAGE)
    (tmp_path / "pay-late.saga.yaml").write_text(definition, "utf-8")

    ran = inside(*shlex.split(command), cwd=tmp_path)

    assert ran.out.rstrip() == shown.rstrip()
