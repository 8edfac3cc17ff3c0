"""What a release is made of: the wheel and the sdist, as docs/releasing.md says, and the image."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.clean import ROOT, Clean, build
from tests.patience import PATIENCE

DEFINITION = """\
sagadsl: 1
name: hello
version: "1"
steps:
  - {id: greet, set: {text: hello}}
output: {text: "{{ steps.greet.output.text }}"}
"""
ENCRYPTION = ("--encryption-key", "one=file:key")
NOBODY = ("--address", "127.0.0.1:1")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build(folder, "wheel", "sdist")
    return folder


@pytest.fixture(scope="module")
def clean(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Clean:
    """Sagadsl without an extra."""
    (wheel,) = dist.glob("*.whl")
    return Clean.make(tmp_path_factory.mktemp("clean") / "venv", wheel)


def _tool(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program, *arguments = map(str, command)
    found = Path(sys.executable).with_name(program)
    return subprocess.run(
        [str(found), *arguments], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_the_same_sources_give_the_same_bytes(dist: Path, tmp_path: Path) -> None:
    again = build(tmp_path, "wheel", "sdist")

    assert {each.name: each.read_bytes() for each in again} == {each.name: each.read_bytes() for each in dist.iterdir()}


def test_the_sdist_gives_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    """Whoever builds from the sources of a release gets the release."""
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    built = _tool("hatchling", "build", "-t", "wheel", "-d", tmp_path / "out", cwd=source)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(tmp_path / "out" / wheel.name) as theirs:
        assert {name: ours.read(name) for name in ours.namelist()} == {
            name: theirs.read(name) for name in theirs.namelist()
        }


def test_indexes_take_the_metadata(dist: Path) -> None:
    ran = _tool("twine", "check", "--strict", *dist.iterdir())

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("PASSED") == 2


def test_the_wheel_has_what_commands_read_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"sagadsl"}
    for part in (
        "schemas/saga.schema.json",
        "docs/diagnostics/SD104.md",
        "docs/authoring.md",
        "guides/gallery/buy_goods.saga.yaml",
        "scaffolds/templates/activities.py.in",
        "py.typed",
    ):
        assert f"sagadsl/{part}" in names
    assert not any("__pycache__" in name or name.endswith((".db", ".orig")) for name in names)


def test_without_an_extra_all_that_needs_none_works(clean: Clean, tmp_path: Path) -> None:
    (tmp_path / "hello.saga.yaml").write_text(DEFINITION, encoding="utf-8")
    for command in (
        ("validate", "."),
        ("simulate", "hello.saga.yaml"),
        ("explore", "hello.saga.yaml"),
        ("graph", "hello.saga.yaml"),
        ("new", "suite", "hello.saga.yaml"),
        ("test",),
        ("explain", "SD104"),
        ("schema",),
        ("schema", "--of", "status"),
        ("plugins",),
        ("new", "project", "shop"),
    ):
        ran = clean.run("sagadsl", *command, cwd=tmp_path)
        assert ran.code == 0, (command, ran.out, ran.err)


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("gateway", ("serve", ".", *NOBODY)),
        ("dev", ("dev", ".")),
        ("dev", ("validate", "--watch")),
        ("dev", ("init", "packaged")),
        ("encryption", ("status", "x", *NOBODY, *ENCRYPTION)),
        ("mcp", ("mcp",)),
        ("otel", ("status", "x", *NOBODY, "--otlp", "http://127.0.0.1:1")),
    ],
)
def test_a_command_says_which_extra_is_missing(
    clean: Clean, tmp_path: Path, extra: str, command: tuple[str, ...]
) -> None:
    (tmp_path / "hello.saga.yaml").write_text(DEFINITION, encoding="utf-8")
    (tmp_path / "key").write_bytes(bytes(32))
    (tmp_path / "packaged" / "old").mkdir(parents=True)
    (tmp_path / "packaged" / "old" / "__init__.py").touch()
    (tmp_path / "packaged" / "pyproject.toml").write_text('[build-system]\n[project]\nname = "old"\n')
    ran = clean.run("sagadsl", *command, cwd=tmp_path)

    assert ran.code == 3, ran.err
    assert f"pip install 'sagadsl[{extra}]'" in ran.err
    assert "Traceback" not in ran.err


def test_the_image_is_written_as_hadolint_wants_it() -> None:
    ran = _tool("hadolint", ROOT / "deploy" / "Dockerfile")

    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_owner_s_part_of_the_metadata_is_in_one_place() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")

    assert text.count("OWNER:") == 1
    assert "OWNER:" in (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    assert os.path.exists(ROOT / "SECURITY.md")


def test_the_entries_for_schemastore_name_our_schemas_and_choose_our_files() -> None:
    """Requirement of editors: each shipped file is chosen by one entry, and no other YAML file is."""
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    entries = json.loads(block)

    def chosen(path: Path) -> list[str]:
        return [each["name"] for each in entries if any(path.match(pattern) for pattern in each["fileMatch"])]

    files = [*ROOT.glob("definitions/**/*.y*ml"), *ROOT.glob("examples/**/*.saga*.y*ml")]
    assert {tuple(chosen(each)) for each in files if ".saga" in each.name} == {
        ("sagadsl saga",),
        ("sagadsl saga tests",),
    }
    assert chosen(ROOT / "deploy" / "compose.yaml") == []
    for each in entries:
        schema = json.loads((ROOT / each["url"].removeprefix("OWNER/")).read_text(encoding="utf-8"))
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
