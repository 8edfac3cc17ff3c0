"""Pages with commands that need no server: what they show is what the commands print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import inside

ROOT = Path(__file__).parents[1]
PAGES = ("simulate", "explore", "changing-definitions", "children", "graph")
BLOCK = re.compile(r"^```console\n\$ sagadsl ((?:[^\n]*\\\n)*[^\n]*)\n(.*?)^```", re.M | re.S)
TAKEN = re.compile(r"in \d+\.\d s|\(\d+ ms\)")


def _blocks() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        for command, shown in BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text("utf-8")):
            yield page, command, shown


@pytest.mark.parametrize(("page", "command", "shown"), list(_blocks()))
def test_a_page_shows_what_the_command_prints(page: str, command: str, shown: str) -> None:
    """Pasted once, true for ever; only how long it took may differ."""
    ran = inside(*shlex.split(command.replace("\\\n", " ")), cwd=ROOT)

    assert TAKEN.sub("in no time", ran.out).rstrip() == TAKEN.sub("in no time", shown).rstrip()


def test_every_page_shows_something() -> None:
    """A page without an example would pass the test above."""
    assert {page for page, _, _ in _blocks()} == set(PAGES)
