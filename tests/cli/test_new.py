"""`sagadsl new` and `sagadsl init`: what they write, and that they never write over anything."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from pathlib import Path

import pytest

from sagadsl.scaffolds.pyproject import with_activities
from tests.cli.shell import Ran, inside

DEFINITIONS = Path(__file__).parents[2] / "definitions"
PYPROJECT = """\
[build-system]
requires = ["hatchling"]

[project]  # what we are
name = "Old.Shop"
version = "3"
dependencies = [
    "pydantic",  # models
]

[project.entry-points."sagadsl.activities"]
"old_shop.reserve" = "elsewhere:mine"

[project.entry-points.pytest11]
x = "y"
"""


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _new(folder: Path, *arguments: str) -> Ran:
    return inside("new", *arguments, cwd=folder)


def _written(ran: Ran) -> list[str]:
    return [each["path"] for each in json.loads(ran.out)["files"] if each["done"] == "written"]


@pytest.mark.parametrize("what", ["project", "plugin"])
def test_a_dry_run_says_what_is_written_and_writes_nothing(tmp_path: Path, what: str) -> None:
    said = _new(tmp_path, what, "shop", "--dry-run", "--json")
    assert (said.code, _files(tmp_path)) == (0, {})

    made = _new(tmp_path, what, "shop", "--json")
    assert _written(said) == _written(made)
    assert sorted(_written(made)) == sorted(_files(tmp_path / "shop"))


def test_a_project_is_shown_file_by_file(tmp_path: Path) -> None:
    ran = _new(tmp_path, "project", "shop")

    assert " + shop/definitions/order.saga.yaml\n" in ran.out
    assert ran.err == "next: cd shop, and read README.md\n"


def test_no_template_leaves_a_place_open(tmp_path: Path) -> None:
    _new(tmp_path, "project", "my-shop")
    for name, text in _files(tmp_path).items():
        assert not any(f"__{word}__".encode() in text for word in ("NAME", "PACKAGE", "SCHEMAS", "STEPS")), name


@pytest.mark.parametrize("what", ["project", "plugin"])
def test_a_folder_with_something_in_it_stays_as_it_is(tmp_path: Path, what: str) -> None:
    (tmp_path / "shop").mkdir()
    assert _new(tmp_path, what, "shop", "--dry-run").code == 0
    (tmp_path / "shop" / "mine.txt").write_text("mine")
    ran = _new(tmp_path, what, "shop")

    assert ran.code == 2
    assert "`shop` is there already; `sagadsl init` adds to a repository that is there" in ran.err
    assert _files(tmp_path) == {"shop/mine.txt": b"mine"}


@pytest.mark.parametrize("name", ["Shop", "1shop", "my shop", "-", "shöp", "shop.py"])
def test_a_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    for what in ("project", "plugin", "saga"):
        ran = _new(tmp_path, what, "--", name)
        assert ran.code == 2
        assert "cannot be the name of" in ran.err
    assert _files(tmp_path) == {}


def test_a_saga_and_its_suite_are_written_together(tmp_path: Path) -> None:
    made = _new(tmp_path, "saga", "refund", "--activity", "bank.withdraw", "--activity", "bank.deposit")

    assert made.code == 0, made.err
    assert {"refund.saga.yaml", "refund.saga-test.yaml"} <= set(_files(tmp_path))
    assert inside("validate", "--strict", cwd=tmp_path).code == 0
    tested = inside("test", cwd=tmp_path)
    assert (tested.code, "✓ 3 cases passed" in tested.out) == (0, True), tested.out


def test_a_saga_without_activities_is_whole_too(tmp_path: Path) -> None:
    assert _new(tmp_path, "saga", "hello").code == 0
    assert inside("validate", "--strict", "--no-plugins", cwd=tmp_path).code == 0
    assert inside("test", "--no-plugins", cwd=tmp_path).code == 0


def test_the_modeline_leads_to_the_schemas_that_are_there(tmp_path: Path) -> None:
    _new(tmp_path, "project", "shop")
    inner = tmp_path / "shop" / "definitions" / "inner"
    inner.mkdir()
    assert _new(tmp_path / "shop", "saga", "hello", "--folder", "definitions/inner").code == 0
    line = (inner / "hello.saga.yaml").read_text().splitlines()[0]

    assert line == "# yaml-language-server: $schema=../../schemas/saga.schema.json"
    assert (inner / line.partition("$schema=")[2]).is_file()
    assert not (inner / "schemas").exists()


def test_an_activity_that_is_not_installed_is_named(tmp_path: Path) -> None:
    ran = _new(tmp_path, "saga", "refund", "--activity", "bank.nope")

    assert (ran.code, _files(tmp_path)) == (2, {})
    assert "no activity named `bank.nope` can be used here; `sagadsl plugins` lists them" in ran.err


@pytest.mark.parametrize("there", ["refund.saga.yaml", "refund.saga-test.yaml"])
def test_of_two_files_none_is_written_when_one_is_there(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    ran = _new(tmp_path, "saga", "refund")

    assert (ran.code, _files(tmp_path)) == (2, {there: b"mine"})
    assert f"`{there}` is there already; nothing was written" in ran.err


def test_a_link_that_leads_nowhere_is_there_too(tmp_path: Path) -> None:
    (tmp_path / "refund.saga.yaml").symlink_to(tmp_path / "outside")

    assert _new(tmp_path, "saga", "refund").code == 2
    assert not (tmp_path / "outside").exists()


def test_every_shipped_definition_gets_a_suite_that_passes(tmp_path: Path) -> None:
    """Waits, children, loops, pivots and all."""
    for file in (*DEFINITIONS.glob("*.saga.yaml"), *DEFINITIONS.glob("*.yaml")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for suite in tmp_path.glob("*.saga-test.yaml"):
        suite.unlink()
    definitions = sorted(tmp_path.glob("*.saga.yaml"))
    assert len(definitions) > 5
    for file in definitions:
        made = _new(tmp_path, "suite", file.name)
        assert made.code == 0, (file.name, made.err)

    ran = inside("test", cwd=tmp_path)
    assert ran.code == 0, ran.out


def test_a_suite_says_what_keeps_it_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "a.saga.yaml").write_text("sagadsl: 1\nname: a\nsteps: [{id: a, activty: b}]\n")
    wrong = _new(tmp_path, "suite", "a.saga.yaml")
    assert (wrong.code, "error[SD104]: unknown key `activty`" in wrong.err + wrong.out) == (1, True)
    assert "there is no file `b.saga.yaml`" in _new(tmp_path, "suite", "b.saga.yaml").err
    (tmp_path / "a.yaml").touch()
    assert "no file of a definition" in _new(tmp_path, "suite", "a.yaml").err
    assert set(_files(tmp_path)) == {"a.saga.yaml", "a.yaml"}


# init


def _old_shop(folder: Path) -> None:
    (folder / "old_shop").mkdir()
    (folder / "old_shop" / "__init__.py").write_text("")
    (folder / "pyproject.toml").write_text(PYPROJECT)


def test_entry_points_are_merged_into_what_is_there(tmp_path: Path) -> None:
    _old_shop(tmp_path)
    ran = inside("init", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert " ~ pyproject.toml\n" in ran.out
    text = (tmp_path / "pyproject.toml").read_text()
    project = tomllib.loads(text)["project"]

    assert project["entry-points"] == {
        "sagadsl.activities": {
            "old_shop.reserve": "elsewhere:mine",
            **{f"old_shop.{each}": f"old_shop.saga_activities:{each}" for each in ("release", "charge", "refund")},
        },
        "pytest11": {"x": "y"},
    }
    assert project["dependencies"] == ["pydantic", "sagadsl"]
    for line in PYPROJECT.splitlines():
        assert line in text


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    _old_shop(tmp_path)
    inside("init", cwd=tmp_path)
    before = _files(tmp_path)
    ran = inside("init", "--json", cwd=tmp_path)

    assert (ran.code, _files(tmp_path)) == (0, before)
    assert {each["done"] for each in json.loads(ran.out)["files"]} == {"kept"}


def test_files_that_are_there_are_kept_and_what_they_need_is_said(tmp_path: Path) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("mine")
    (tmp_path / ".pre-commit-config.yaml").write_text("mine")
    (tmp_path / "sagadsl.toml").write_text("plugins = {deny = []}\n")
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "order.saga.yaml").write_text("mine")
    before = _files(tmp_path)
    ran = inside("init", cwd=tmp_path)

    assert ran.code == 0
    assert " = definitions/order.saga.yaml\n" in ran.out
    for word in ("modules = ", ".gitlab-ci.yml", ".pre-commit-config.yaml"):
        assert f"{word}" in ran.err
    assert {name: text for name, text in _files(tmp_path).items() if name in before} == before
    assert not (tmp_path / ".github").exists()


def test_a_dry_run_of_init_changes_nothing(tmp_path: Path) -> None:
    _old_shop(tmp_path)
    before = _files(tmp_path)
    ran = inside("init", "--dry-run", cwd=tmp_path)

    assert (ran.code, _files(tmp_path)) == (0, before)
    assert " ~ pyproject.toml\n" in ran.out
    assert "nothing was written (--dry-run)" in ran.err


@pytest.mark.parametrize(
    "text",
    [
        'project = {name = "a", version = "1"}\n',
        '[project]\nname = "a"\nentry-points = {gui_scripts = {a = "b"}}\n',
        '[project]\nname = "a"\nentry-points."sagadsl.activities" = {"a.x" = "b:x"}\n',
        '[project]\nname = "a"\ndynamic = ["dependencies"]\n\n[tool.x]\na = 1\n',
        '[project]\nname = "a"\ndependencies = ["SagaDSL[http]>=0.1"]\n[[tool.x]]\n[project.scripts]\na = "b"\n',
    ],
)
def test_whatever_form_the_table_has_all_else_stays(text: str) -> None:
    points = {"a.x": "a:x", "a.y": "a:y"}
    before, after = tomllib.loads(text), tomllib.loads(with_activities(text, points))
    found = after["project"]["entry-points"].pop("sagadsl.activities")
    needed = after["project"].get("dependencies", [])

    assert set(found) == {"a.x", "a.y"}
    assert sum("sagadsl" in each.lower() for each in needed) == ("dynamic" not in before["project"])
    former = before["project"]
    former.setdefault("entry-points", {}).pop("sagadsl.activities", None)
    assert after["project"] | {"dependencies": 0} == former | {"dependencies": 0} or "dynamic" in former
    assert {key: each for key, each in after.items() if key != "project"} == {
        key: each for key, each in before.items() if key != "project"
    }
    assert with_activities(with_activities(text, points), points) == with_activities(text, points)


@pytest.mark.parametrize("text", ["[project\n", '[project]\nname = "a"\nentry-points = 3\n[build-system]\n'])
def test_a_pyproject_that_cannot_be_added_to_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(text)
    before = _files(tmp_path)
    ran = inside("init", cwd=tmp_path)

    assert (ran.code, _files(tmp_path)) == (2, before)
    assert "pyproject.toml" in ran.err
    assert "Traceback" not in ran.err


def test_without_tomlkit_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _old_shop(tmp_path)
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    ran = inside("init", cwd=tmp_path)

    assert ran.code == 3
    assert "pip install 'sagadsl[dev]'" in ran.err
    assert not (tmp_path / "definitions").exists()


def test_a_folder_that_takes_no_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "definitions").write_text("a file")
    ran = inside("init", cwd=tmp_path)

    assert ran.code == 2
    assert f"`definitions{os.sep}" in ran.err or "`definitions`" in ran.err
    assert "Traceback" not in ran.err
