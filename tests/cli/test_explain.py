"""`sagadsl explain` and `sagadsl schema`: what is shipped beside the code."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from sagadsl.diagnostics.codes import CODES
from tests.cli.shell import Ran, inside

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("code", list(CODES))
def test_every_code_is_explained_by_its_page(code: str) -> None:
    """The table, the pages and `explain` hold the same codes."""
    page = (ROOT / "docs" / "diagnostics" / f"{code}.md").read_text(encoding="utf-8")
    assert inside("explain", code.lower()) == Ran(0, page, "")


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
