"""What `new` and `init` write, used as its author uses it: from the wheel, in an environment with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clean import Clean, build
from tests.conftest import Server


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    (wheel,) = build(tmp_path_factory.mktemp("dist"), "wheel")
    folder = tmp_path_factory.mktemp("clean") / "venv"
    return Clean.make(folder, wheel, "pytest", "hatchling", "editables", extras=["dev"])


@pytest.mark.temporal
def test_a_new_project_is_right_from_its_first_minute(clean: Clean, tmp_path: Path, server: Server) -> None:
    made = clean.run("sagadsl", "new", "project", "corner-shop", cwd=tmp_path)
    assert made.code == 0, made.err
    project = tmp_path / "corner-shop"
    clean.install("--editable", project)

    for command, shown in (
        (("sagadsl", "validate", "definitions", "--strict"), "✓ 1 saga, 2 steps, 4 activities — ok"),
        (("sagadsl", "test", "definitions"), "✓ 3 cases passed"),
        (("sagadsl", "explore", "definitions"), "✓ 1 saga: every way ends well"),
        (("sagadsl", "plugins", "check", "corner-shop"), "corner_shop.reserve"),
        (("pytest",), "6 passed"),
    ):
        ran = clean.run(*command, cwd=project)
        assert (ran.code, shown in ran.out) == (0, True), (command, ran.out, ran.err)

    order = ("--set", "item=chair", "--set", "amount=4000", "--id", tmp_path.name)
    on = ("--address", server.address, "--task-queue", tmp_path.name, "--worker", "--json")
    ran = clean.run("sagadsl", "run", "definitions/order.saga.yaml", *order, *on, cwd=project)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["status"] == "completed"


def test_a_new_saga_of_a_project_is_right_too(clean: Clean, tmp_path: Path) -> None:
    assert clean.run("sagadsl", "new", "project", "stall", cwd=tmp_path).code == 0
    project = tmp_path / "stall"
    clean.install("--editable", project)
    calls = ("--activity", "stall.reserve", "--activity", "stall.charge")
    made = clean.run("sagadsl", "new", "saga", "again", *calls, "--folder", "definitions", cwd=project)
    assert made.code == 0, made.err
    assert "definitions/again.saga-test.yaml" in made.out

    for command in (("validate", "definitions", "--strict"), ("test", "definitions"), ("explore", "definitions")):
        ran = clean.run("sagadsl", *command, cwd=project)
        assert ran.code == 0, (command, ran.out, ran.err)


def test_a_new_plugin_can_be_installed_and_called(clean: Clean, tmp_path: Path) -> None:
    assert clean.run("sagadsl", "new", "plugin", "acme-pay", cwd=tmp_path).code == 0
    clean.install("--editable", tmp_path / "acme-pay")

    assert clean.run("sagadsl", "plugins", "check", "acme-pay", cwd=tmp_path).code == 0
    tested = clean.run("pytest", cwd=tmp_path / "acme-pay")
    assert (tested.code, "3 passed" in tested.out) == (0, True), tested.out


def test_a_repository_that_is_there_gets_sagas(clean: Clean, tmp_path: Path) -> None:
    package = tmp_path / "src" / "old_shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        '[project]\nname = "old-shop"  # ours\nversion = "3"\ndependencies = ["pydantic"]\n\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["src/old_shop"]\n'
    )
    made = clean.run("sagadsl", "init", cwd=tmp_path)
    assert made.code == 0, made.err
    clean.install("--editable", tmp_path)

    for command in (("validate", "--strict"), ("test", "definitions"), ("explore", "definitions")):
        ran = clean.run("sagadsl", *command, cwd=tmp_path)
        assert ran.code == 0, (command, ran.out, ran.err)


def test_a_folder_without_a_package_gets_sagas_too(clean: Clean, tmp_path: Path) -> None:
    assert clean.run("sagadsl", "init", cwd=tmp_path).code == 0

    for command in (("validate", "--strict"), ("test",), ("explore", "definitions")):
        ran = clean.run("sagadsl", *command, cwd=tmp_path)
        assert ran.code == 0, (command, ran.out, ran.err)
