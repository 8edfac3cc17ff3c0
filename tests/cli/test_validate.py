"""`sagadsl validate`: every mistake of every file in one run, and exit codes that a script can use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.shell import Ran, environment, inside, sagadsl
from tests.cli.shop import lay_out

GOOD = """\
sagadsl: 1
name: good
version: "1"
steps:
  - id: look
    activity: acme.look
    compensation: none
"""
WARNED = (
    GOOD.replace("    compensation: none\n", "").replace("name: good", "name: warned")
    + """\
  - id: after
    activity: acme.after
    compensation: none
"""
)
BAD = GOOD.replace("activity:", "activty:").replace("name: good", "name: bad")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good definition, one with a warning and one with a mistake."""
    (tmp_path / "good.saga.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "warned.saga.yml").write_text(WARNED, encoding="utf-8")
    (tmp_path / "inner" / "bad.saga.yaml").write_text(BAD, encoding="utf-8")
    (tmp_path / "inner" / "other.yaml").write_text("not: a saga", encoding="utf-8")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "bad.saga.yaml").write_text(BAD, encoding="utf-8")
    return tmp_path


def _validate(folder: Path, *arguments: str, stdin: str = "", **env: str) -> Ran:
    ended = inside("validate", "--no-plugins", *arguments, cwd=folder, stdin=stdin, env=env)
    return Ran(ended.code, re.sub(r"\d+ ms", "N ms", ended.out), ended.err)


def test_a_good_definition_gives_one_line_and_zero(folder: Path) -> None:
    assert _validate(folder, "good.saga.yaml") == Ran(0, "✓ 1 saga, 1 step, 1 activity — ok (N ms)\n", "")


def test_quiet_says_nothing_about_what_is_good(folder: Path) -> None:
    assert _validate(folder, "good.saga.yaml", "-q") == Ran(0, "", "")
    assert "SD104" in _validate(folder, "inner/bad.saga.yaml", "-q").out


def test_a_mistake_is_shown_where_it_stands_with_a_remedy(folder: Path) -> None:
    ended = _validate(folder, "inner/bad.saga.yaml")
    assert (ended.code, ended.err) == (1, "")
    assert "error[SD104]: unknown key `activty` in step `look`\n" in ended.out
    assert "--> inner/bad.saga.yaml:6:5\n" in ended.out
    assert "     activty: acme.look\n   |     ^^^^^^^" in ended.out
    assert "= help: did you mean `activity`?\n" in ended.out


@pytest.mark.parametrize(
    ("paths", "code"),
    [
        (["good.saga.yaml"], 0),
        (["inner/warned.saga.yml"], 0),
        (["inner/bad.saga.yaml"], 1),
        (["good.saga.yaml", "inner/bad.saga.yaml"], 1),
        (["missing.saga.yaml"], 2),
        (["good.saga.yaml", "missing.saga.yaml"], 2),
        (["missing.saga.yaml", "inner/bad.saga.yaml"], 2),
        (["*.nothing"], 2),
        ([".hidden/.."], 1),
        (["inner"], 1),
        ([], 1),
        (["*.saga.yaml"], 0),
        (["inner/*.yml", "good.saga.yaml"], 0),
        (["**/*.saga.yaml"], 1),
    ],
)
def test_invalid_and_unreadable_have_different_exit_codes_and_neither_is_zero(
    folder: Path, paths: list[str], code: int
) -> None:
    assert _validate(folder, *paths).code == code


def test_every_file_is_reported_whatever_is_wrong_with_another(folder: Path) -> None:
    ended = _validate(folder, "missing.saga.yaml", "inner", "*.nothing")
    assert "`missing.saga.yaml`: there is no such file or folder" in ended.out
    assert "`*.nothing`: this pattern matches no file" in ended.out
    assert "error[SD104]" in ended.out
    assert "warning[SD602]" in ended.out
    assert "3 errors, 1 warning in 2 files" in ended.out


def test_a_folder_without_definitions_is_no_success(tmp_path: Path) -> None:
    """A check that checked nothing must not pass."""
    ended = _validate(tmp_path)
    assert ended.code == 2
    assert "`.`: there is no *.saga.yaml in this folder or below" in ended.out


def test_a_file_that_may_not_be_read_is_told_from_one_that_is_wrong(folder: Path) -> None:
    (folder / "link.saga.yaml").symlink_to(folder / "nowhere")
    (folder / "dir.saga.yaml").mkdir()
    ended = _validate(folder, "link.saga.yaml")
    assert ended.code == 2
    assert "there is no such file or folder" in ended.out


def test_hidden_folders_are_left_out_and_files_are_read_once(folder: Path) -> None:
    document = json.loads(inside("validate", "--no-plugins", "-f", "json", ".", "good.saga.yaml", cwd=folder).out)
    assert document["files"] == ["good.saga.yaml", "inner/bad.saga.yaml", "inner/warned.saga.yml"]


def test_strict_takes_warnings_for_errors(folder: Path) -> None:
    assert _validate(folder, "inner/warned.saga.yml").code == 0
    strict = _validate(folder, "inner/warned.saga.yml", "--strict")
    assert strict.code == 1
    assert "error[SD602]" in strict.out


def test_codes_can_be_left_out_or_chosen_by_their_beginning(folder: Path) -> None:
    assert _validate(folder, "inner", "--ignore", "SD104", "--strict").code == 1
    assert _validate(folder, "inner", "--ignore", "sd104,SD6", "--strict").code == 0
    chosen = _validate(folder, "inner", "--select", "SD6")
    assert chosen.code == 0
    assert "SD104" not in chosen.out
    assert "SD602" in chosen.out


def test_a_missing_file_cannot_be_ignored(folder: Path) -> None:
    assert _validate(folder, "missing.saga.yaml", "--ignore", "SD", "--exit-zero").code == 2


def test_exit_zero_is_for_steps_that_only_upload(folder: Path) -> None:
    ended = _validate(folder, "inner", "--format", "sarif", "--exit-zero")
    assert ended.code == 0
    (run,) = json.loads(ended.out)["runs"]
    assert {result["ruleId"] for result in run["results"]} == {"SD104", "SD602"}


@pytest.mark.parametrize("form", ["json", "sarif"])
@pytest.mark.parametrize("paths", [["good.saga.yaml"], ["inner"], ["missing.saga.yaml"], ["--nope"]])
def test_json_is_exactly_one_document_whatever_happens(folder: Path, form: str, paths: list[str]) -> None:
    assert isinstance(json.loads(_validate(folder, "--format", form, "-v", *paths).out), dict)


def test_concise_is_one_line_a_finding(folder: Path) -> None:
    lines = _validate(folder, "inner", "--format", "concise").out.splitlines()
    assert lines[0].startswith("inner/bad.saga.yaml:6:5: error[SD104] unknown key `activty`")
    assert lines[-1] == "1 error, 1 warning in 2 files (N ms)"


def test_github_gets_annotations_and_nothing_else(folder: Path) -> None:
    lines = _validate(folder, "inner", "--format", "github").out.splitlines()
    assert lines[0].startswith("::error title=sagadsl (SD104),file=inner/bad.saga.yaml,line=6,col=5,")
    assert all(line.startswith("::") for line in lines)


def test_the_format_can_come_from_a_variable(folder: Path) -> None:
    ended = _validate(folder, "inner", SAGADSL_VALIDATE_FORMAT="github")
    assert ended.out.startswith("::error ")


def test_standard_input_is_checked_under_the_name_that_the_editor_knows(folder: Path) -> None:
    assert _validate(folder, "-", stdin=GOOD).code == 0
    assert "<stdin>:6:5" in _validate(folder, "-", stdin=BAD).out
    named = _validate(folder, "-", "--stdin-filename", "src/bad.saga.yaml", stdin=BAD)
    assert "src/bad.saga.yaml:6:5" in named.out


def test_validating_needs_neither_temporal_nor_what_only_looks_good(folder: Path) -> None:
    """Start-up."""
    program = (
        "import sys\n"
        "from sagadsl.cli.entry import run\n"
        "run(['validate', 'good.saga.yaml'])\n"
        "print(*[name for name in ('temporalio', 'rich', 'httpx2', 'jsonschema') if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == ""


def test_a_hundred_definitions_are_checked_in_one_breath(tmp_path: Path) -> None:
    """Sixty seconds are room for a busy machine."""
    for number in range(100):
        (tmp_path / f"s{number}.saga.yaml").write_text(GOOD.replace("good", f"s{number}"), encoding="utf-8")
    began = time.monotonic()
    assert _validate(tmp_path).code == 0
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("command", ["validate", "simulate", "explore", "test", "worker", "serve", "doctor", "run"])
def test_a_name_that_no_file_can_have_is_that_of_no_file(tmp_path: Path, command: str) -> None:
    """Systems say "file name too long" of it, which is no mistake of ours."""
    ran = inside(command, "n" * 300, cwd=tmp_path)

    assert ran.code in (2, 3), ran.err
    assert "internal error" not in ran.err
    assert re.search("there is no such file or folder|neither a file|some with mistakes", ran.err + ran.out)


def test_a_field_that_no_check_can_judge_is_a_note(tmp_path: Path) -> None:
    """It has a code and a place like all findings, fails nothing, and is silenced like them."""
    folder = lay_out(tmp_path)
    told = "`ship` declares no fields of its output, so `steps.ship.output.tracking` cannot be checked"
    ran = inside("validate", "--strict", cwd=folder)
    assert ran.code == 0
    assert ran.out.startswith(f"note[SD406]: {told}\n  --> order.saga.yaml:")
    assert "\n✓ 1 saga, 3 steps, 3 activities — ok" in ran.out
    assert "more about a code: sagadsl explain SD406" in ran.out
    assert inside("validate", "-q", cwd=folder).out == ""

    document = json.loads(inside("validate", "--json", cwd=folder).out)
    assert document["summary"] | {"elapsed_ms": 0} == {
        "files": 1,
        "errors": 0,
        "warnings": 0,
        "notes": 1,
        "elapsed_ms": 0,
    }
    assert [(each["code"], each["severity"]) for each in document["findings"]] == [("SD406", "note")]
    assert (
        "::notice title=sagadsl (SD406),file=order.saga.yaml"
        in inside("validate", "--format", "github", cwd=folder).out
    )
    (issue,) = json.loads(inside("validate", "--format", "gitlab", cwd=folder).out)
    assert issue["severity"] == "info"
    sarif = json.loads(inside("validate", "--format", "sarif", cwd=folder).out)
    assert sarif["runs"][0]["results"][0]["level"] == "note"
    assert inside("validate", "--ignore", "SD406", cwd=folder).out.startswith("✓ 1 saga, 3 steps")

    activities = (folder / "shop_activities.py").read_text()
    declared = (
        "import asyncio\nfrom typing import TypedDict\nclass Shipped(TypedDict):\n    tracking: str\n" + activities
    )
    declared = declared.replace("how: str, ctx: Context) -> dict", "how: str, ctx: Context) -> Shipped")
    (folder / "shop_activities.py").write_text(declared)
    assert sagadsl("validate", cwd=folder).out.startswith("✓ 1 saga, 3 steps")  # this process has the old module


def test_of_many_notes_a_few_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "sagadsl.toml").write_text('modules = ["loose"]\n')
    (tmp_path / "loose.py").write_text(
        "from sagadsl import activity\n\n\n@activity(name='loose')\nasync def loose() -> dict:\n    return {}\n"
    )
    steps = "".join(f"  - {{id: s{each}, activity: loose, compensation: none}}\n" for each in range(5))
    read = ", ".join(f'"{{{{ steps.s{each}.output.a }}}}"' for each in range(5))
    (tmp_path / "a.saga.yaml").write_text(f"sagadsl: 1\nname: a\nsteps:\n{steps}output: {{all: [{read}]}}\n")

    shown = sagadsl("validate", cwd=tmp_path)
    assert shown.out.count("note[SD406]") == 3
    assert "\nnote: there are 2 more notes; `--format concise` shows all\n" in shown.out
    assert sagadsl("validate", "--format", "concise", cwd=tmp_path).out.count("note[SD406]") == 5


def test_what_is_installed_in_the_folder_is_not_the_project(tmp_path: Path) -> None:
    """The package has definitions and suites of its own, and the tutorial makes its environment in `venv`."""
    (tmp_path / "own.saga.yaml").write_text(GOOD, encoding="utf-8")
    there = tmp_path / "venv" / "lib" / "sagadsl"
    there.mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (there / "other.saga.yaml").write_text("sagadsl: 1\n", encoding="utf-8")
    (there / "other.saga-test.yaml").write_text("sagadsl_test: 1\n", encoding="utf-8")

    assert inside("validate", "--no-plugins", cwd=tmp_path).out.startswith("✓ 1 saga")
    assert "there is no *.saga-test.yaml in this folder or below" in inside("test", cwd=tmp_path).err
