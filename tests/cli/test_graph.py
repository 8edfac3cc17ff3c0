"""``sagadsl graph``: drawings of definitions and runs, and drawings in pages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import inside
from tests.cli.shop import lay_out
from tests.cli.test_operate import Shop, serving_shop
from tests.conftest import Server

DEFINITION = "sagadsl: 1\nname: greet\nsteps: [{id: a, set: {x: 1}}]\n"
BEGIN, END = "<!-- sagadsl graph greet.saga.yaml -->", "<!-- /sagadsl graph -->"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "greet.saga.yaml").write_text(DEFINITION)
    return tmp_path


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    yield from serving_shop(server, tmp_path_factory.mktemp("shop"))


def test_a_definition_is_drawn_without_a_server_and_without_its_activities(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    (folder / "activities.py").unlink(missing_ok=True)

    short, whole = (
        inside("graph", "order.saga.yaml", cwd=folder),
        inside("graph", "show", "order.saga.yaml", cwd=folder),
    )

    assert (short.code, short.out) == (0, whole.out)
    assert '["charge<br/>charge"]' in short.out
    assert inside("graph", "order.saga.yaml", "-f", "dot", cwd=folder).out.startswith('digraph "order" {')
    assert inside("graph", "-f", "json", "order.saga.yaml", cwd=folder).out.startswith('{"schema_version": 1')


def test_a_wrong_definition_is_not_drawn(folder: Path) -> None:
    (folder / "greet.saga.yaml").write_text(DEFINITION.replace("set:", "sett:"))
    ran = inside("graph", "greet.saga.yaml", cwd=folder)

    assert (ran.code, ran.out) == (1, "")
    assert "SD104" in ran.err


@pytest.mark.parametrize("words", [(), ("greet.saga.yaml", "--run", "x")])
def test_it_draws_either_a_file_or_a_run(folder: Path, words: tuple[str, ...]) -> None:
    ran = inside("graph", *words, cwd=folder)

    assert ran.code == 2
    assert "name a definition by its file, or a saga by `--run ID`" in ran.err


@pytest.mark.temporal
def test_a_run_is_drawn_with_the_state_of_each_step(shop: Shop) -> None:
    saga = shop.start(f"drawn-{uuid.uuid4()}", how="fail")
    shop.run("result", saga)
    drawn = shop.run("graph", "--run", saga)
    states = json.loads(shop.run("graph", "--run", saga, "-f", "json").out)["states"]

    assert '["✓ charge<br/>charge<br/>completed"]:::undone' in drawn.out, drawn
    assert '>"↩ refund<br/>undone"]:::undone' in drawn.out
    assert '["✗ ship<br/>ship<br/>failed"]:::failed' in drawn.out
    assert states["ship"] == {"state": "failed", "undo": ""}
    assert states["charge"]["undo"] == "compensated"


@pytest.mark.temporal
def test_a_run_that_nobody_knows_cannot_be_drawn(shop: Shop) -> None:
    ran = shop.run("graph", "--run", "nobody")

    assert (ran.code, ran.out) == (2, "")
    assert "nobody" in ran.err


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_page_gets_its_drawings_once(folder: Path, ending: str) -> None:
    """The rest of the page stays as it is, with the ends of its lines; an example in a fenced block is none."""
    page = folder / "page.md"
    example = ["```markdown", BEGIN, END, "```"]
    page.write_bytes(ending.join(["# Été", *example, BEGIN, "old", END, "more"]).encode())

    late = inside("graph", "inject", "page.md", "--check", cwd=folder)
    before = page.read_bytes()
    first = inside("graph", "inject", "page.md", cwd=folder)
    after = page.read_bytes().decode()
    again = inside("graph", "inject", "page.md", "--check", "--json", cwd=folder)

    assert (late.code, late.out) == (1, "page.md is out of date: 1 drawing\n")
    assert b"old" in before
    assert (first.code, first.out) == (0, "page.md is written: 1 drawing\n")
    lines = after.split(ending)
    assert lines[:6] == ["# Été", *example, BEGIN]
    assert lines[6:8] == ["```mermaid", "flowchart TD"]
    assert lines[-3:] == ["```", END, "more"]
    assert "old" not in after
    assert again.code == 0
    assert json.loads(again.out)["pages"] == [{"page": "page.md", "drawings": 1, "changed": False}]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("nothing", 2, "page.md: there is no place for a drawing"),
        (f"a\n{BEGIN}\nb", 2, "page.md:2: the comment of the drawing has no end"),
        (f"{BEGIN}\n{BEGIN}\n{END}", 2, "page.md:1: the comment of the drawing has no end"),
        (f"a\n{END}", 2, "page.md:2: `<!-- /sagadsl graph -->` has no comment before it"),
        (f"{BEGIN.replace('greet', 'gone')}\n{END}", 2, "page.md:1: `gone.saga.yaml` cannot be drawn"),
    ],
)
def test_a_page_that_cannot_be_written_stays_as_it_is(folder: Path, text: str, code: int, said: str) -> None:
    """Also the pages before it."""
    (folder / "good.md").write_text(f"{BEGIN}\n{END}\n")
    (folder / "page.md").write_text(text)
    ran = inside("graph", "inject", "good.md", "page.md", "--json", cwd=folder)

    assert ran.code == code
    assert json.loads(ran.out)["error"]["code"] == "SD985"
    assert said in json.loads(ran.out)["error"]["message"]
    assert (folder / "page.md").read_text() == text
    assert (folder / "good.md").read_text() == f"{BEGIN}\n{END}\n"
