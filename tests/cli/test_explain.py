"""`sagadsl explain` and `sagadsl schema`: what is shipped beside the code."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from sagadsl.cli import explain
from sagadsl.cli.page_text import shown
from sagadsl.diagnostics.codes import CODES
from sagadsl.language.bundled import page_names, page_text
from tests.cli.shell import Ran, inside

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("code", list(CODES))
def test_every_code_is_explained_by_its_page(code: str) -> None:
    """The table, the pages and `explain` hold the same codes."""
    page = (ROOT / "docs" / "diagnostics" / f"{code}.md").read_text(encoding="utf-8")
    ran = inside("explain", code.lower())
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == page.splitlines()[0]
    assert json.loads(inside("explain", code, "--json").out)["page"] == page


def _pages() -> list[str]:
    return [f"SD{code[2:]}" for code in CODES] + list(page_names())


@pytest.mark.parametrize("name", _pages())
def test_every_link_of_a_page_is_a_command_that_works(name: str) -> None:
    """Nobody can follow `../operations/encryption.md` in a terminal, or in an installed package."""
    ran = inside("explain", name)
    assert ran.code == 0, ran.err
    prose = re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1$", "", ran.out, flags=re.M | re.S)
    assert not re.search(r"\]\((?!https?:)", re.sub(r"`[^`]*`", "", prose)), prose
    for target in {
        *re.findall(r"\(`sagadsl explain ([^`]+)`\)", prose),
        *re.findall(r"`sagadsl explain (SD\d+)`", prose),
    }:
        assert inside("explain", target).code == 0, target


def test_a_part_of_a_page_is_all_below_its_heading() -> None:
    part = inside("explain", "supply-chain#signed-definitions").out
    assert part.startswith("## Signed definitions\n")
    assert not re.search(r"^## (?!Signed definitions)", part, re.M)


def test_the_pages_are_listed() -> None:
    lines = inside("explain", "--pages").out.splitlines()
    listed = [line.split()[0] for line in lines]
    assert sorted(listed) == list(page_names())
    assert {"language", "tutorial", "operations/supply-chain", "patterns/loops"} <= set(listed)
    decisions = [name.startswith("decisions/") for name in listed]
    assert decisions == sorted(decisions)  # they come last
    titles = [line.split(maxsplit=1)[1] for line in lines if line.startswith("decisions/")]
    assert [title for title in titles if not re.match(r"\d+\. ", title)] == []


@pytest.mark.parametrize("width", [40, 80])
def test_the_pages_are_listed_for_a_terminal(width: int) -> None:
    pages = [{"name": "graph", "title": "Drawings"}, {"name": "decisions/a-long-one", "title": f"1. {'Word ' * 20}"}]
    graph, name, *title = explain._listed(pages, width)
    assert (graph, name) == ("graph  Drawings", "decisions/a-long-one")
    assert " ".join(" ".join(title).split()) == pages[1]["title"].strip()
    assert all(line.startswith("    ") and len(line) <= width for line in title)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("langage", "there is neither a code nor a page `langage`; did you mean `language`?"),
        ("language#activty", "the page `language` has no part `activty`; did you mean `activity`?"),
        ("xyzzy", "`sagadsl explain --pages` lists the pages"),
        ("SD104 --pages", "leave out `SD104`, or the option"),
    ],
)
def test_a_page_that_does_not_exist_is_a_usage_error(words: str, message: str) -> None:
    ran = inside("explain", *words.split())
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("name", _pages())
def test_a_page_fits_a_terminal(name: str, width: int) -> None:
    """Prose, headings and tables. Words are not broken, and what stands between backticks is copied as one."""
    text = page_text(name) or page_text(f"diagnostics/{name}")
    assert text is not None
    fits = _without_code(shown(text, name, width))
    for line in fits.splitlines():
        is_kept = line.startswith(("<!--", "!")) or not re.search(r" ", re.sub(r"`[^`]*`\S*", "", line.strip()))
        is_term = not re.search(r" ", re.sub(r"^[^`]*: (?=`)|`[^`]*`\S*", "", line.strip()))
        assert is_kept or is_term or len(line) <= width, line
    prose = re.sub(r"^ *\|.*\n?", "", text, flags=re.M)
    whole, filled = (_without_code(shown(prose, name, each)) for each in (None, width))
    assert re.sub(r"\s+", " ", filled) == re.sub(r"\s+", " ", whole)


def _without_code(text: str) -> str:
    return re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1$", "", text, flags=re.M | re.S)


TABLE = """\
| name | | what it means |
|---|:-:|---|
| `a` | 1 | one `x \\| y` thing, [SD977](diagnostics/SD977.md) |
| `b` | | |

After it.
"""


def test_a_table_that_fits_stands_side_by_side() -> None:
    assert shown(TABLE, "page", 80).splitlines() == [
        "name     what it means",
        "`a`   1  one `x | y` thing, `sagadsl explain SD977`",
        "`b`",
        "",
        "After it.",
    ]


def test_a_table_that_does_not_fit_has_one_row_below_the_other() -> None:
    assert shown(TABLE, "page", 40).splitlines() == [
        "`a`",
        "    1",
        "    what it means: one `x | y` thing,",
        "      `sagadsl explain SD977`",
        "`b`",
        "",
        "After it.",
    ]


def test_without_a_code_all_are_listed() -> None:
    assert inside("explain").out.splitlines() == [f"{code.code}  {code.title}" for code in CODES.values()]


def test_a_code_that_does_not_exist_is_a_usage_error() -> None:
    ran = inside("explain", "SD1044")
    assert (ran.code, ran.out) == (2, "")
    assert "error: there is no code `SD1044`; did you mean `SD104`?\n" in ran.err


def test_an_explanation_can_be_read_by_programs() -> None:
    document = json.loads(inside("explain", "SD104", "--json").out)
    assert (document["schema_version"], document["code"], document["severity"]) == (1, "SD104", "error")
    assert document["page"].startswith("# SD104: ")


def test_every_error_that_a_command_can_end_with_has_an_explanation() -> None:
    """What is raised on purpose carries a code, and a code has a page."""
    codes = set()
    for module in (ROOT / "sagadsl").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) == 5:
                codes |= {node.value} if node.value.startswith("SD9") else set()
    assert codes
    assert codes <= set(CODES)


def test_the_schema_is_json_and_can_go_into_a_file(tmp_path: Path) -> None:
    printed = inside("schema")
    assert json.loads(printed.out)["title"]
    written = inside("schema", "-o", "saga.schema.json", cwd=tmp_path)
    assert written == Ran(0, "", "wrote saga.schema.json\n")
    assert (tmp_path / "saga.schema.json").read_text(encoding="utf-8") == printed.out


def test_the_schema_of_suites_is_another_one() -> None:
    """Both are draft-07, which is what editors take, and every key of a suite says what it means."""
    suite = json.loads(inside("schema", "--suite").out)

    assert suite["properties"].keys() >= {"sagadsl_test", "saga", "cases"}
    assert suite["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert "oneOf" not in json.dumps(suite)
    for name, definition in suite["definitions"].items():
        for key, value in definition.get("properties", {}).items():
            assert "$ref" in value or {"description", "examples"} <= value.keys() or "title" in value, (name, key)


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    ran = inside("schema", "-o", "no/such/folder.json", cwd=tmp_path)
    assert ran == Ran(2, "", "error: `no/such/folder.json` cannot be written: no such file or directory\n")
