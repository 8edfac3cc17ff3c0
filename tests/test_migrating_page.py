"""The page for those who come from elsewhere: its definitions validate, and its commands print what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cli.shell import inside
from tests.tours import files, masked, sessions

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "migrating.md").read_text("utf-8")


def test_the_definitions_that_others_become_do_what_the_page_shows(tmp_path: Path) -> None:
    written = files(PAGE)
    assert set(written) == {"book-trip.saga.yaml", "order.saga.yaml", "transfer.saga.yaml"}
    for name, content in written.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    commands = list(sessions(PAGE))
    assert len(commands) == 6
    for command, shown in commands:
        program, *words = shlex.split(command)
        assert program == "sagadsl"
        assert masked(inside(*words, cwd=tmp_path).out.rstrip()) == masked(shown.rstrip()), command


def test_what_people_want_to_do_leads_to_a_page() -> None:
    rows = re.findall(r"^\| ([^|]+) \| \[[^]]+\]\(([^)#]+)", (DOCS / "how-to.md").read_text("utf-8"), re.M)
    assert len(rows) > 20
    assert [target for _, target in rows if not (DOCS / target).is_file()] == []
