"""What docs/ci.md says works: the hooks in pre-commit itself, the shell of the action, the jobs of GitLab."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.cli.shell import environment
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
    "wheel"
]
PACKAGED = ("pyproject.toml", "README.md", ".pre-commit-hooks.yaml", *WHEEL["packages"], *WHEEL["force-include"])
GOOD = """\
sagadsl: 1
name: good
version: "1"
steps:
  - id: look
    activity: acme.look
    compensation: none
"""
BAD = GOOD.replace("activity:", "activty:")
SUITE = """\
sagadsl_test: 1
saga: good.saga.yaml
cases:
  - name: looks
    then: {status: completed}
"""
README = "# Ours\n\n<!-- sagadsl graph good.saga.yaml -->\n<!-- /sagadsl graph -->\n"


def _block(name: str) -> Any:
    """Return the block of the page that begins with the name of its file."""
    (found,) = (text for text in BLOCKS if text.startswith(f"# {name}\n"))
    return yaml.safe_load(found)


def _ran(*command: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment(PATH=path, **env),
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )


def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    ran = _ran("git", *who, *arguments, cwd=folder, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_SYSTEM=os.devnull)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def _commit(folder: Path) -> str:
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "all")
    return _git(folder, "rev-parse", "HEAD")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository with the page's configuration of pre-commit."""

    folder: Path
    home: Path

    def hook(self, name: str) -> tuple[int, str]:
        """Run a hook on all files."""
        _git(self.folder, "add", "--all")
        ran = _ran(
            sys.executable,
            *("-m", "pre_commit", "run", name, "--all-files", "--color=never"),
            cwd=self.folder,
            GIT_CONFIG_GLOBAL=os.devnull,
            PRE_COMMIT_HOME=str(self.home),
            # there is no network: what sagadsl needs is that of the tests
            PYTHONPATH=os.pathsep.join(site.getsitepackages()),
            PIP_NO_INDEX="1",
            PIP_NO_DEPS="1",
            PIP_NO_BUILD_ISOLATION="0",
        )
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """A repository of sagadsl, its revision, and where pre-commit keeps what it has installed."""
    folder = tmp_path_factory.mktemp("sagadsl")
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder, _commit(folder), tmp_path_factory.mktemp("pre-commit")


@pytest.fixture
def repository(tmp_path: Path, hooks: tuple[Path, str, Path]) -> Repository:
    source, revision, home = hooks
    config = yaml.safe_dump(_block(".pre-commit-config.yaml"))
    config = config.replace("REPOSITORY", source.as_uri()).replace("REVISION", revision)
    (tmp_path / ".pre-commit-config.yaml").write_text(config, encoding="utf-8")
    (tmp_path / "good.saga.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "good.saga-test.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    _git(tmp_path, "init", "--quiet")
    return Repository(tmp_path, home)


def test_pre_commit_checks_definitions(repository: Repository) -> None:
    code, said = repository.hook("sagadsl-validate")
    assert (code, "Passed" in said) == (0, True), said

    (repository.folder / "bad.saga.yaml").write_text(BAD, encoding="utf-8")
    code, said = repository.hook("sagadsl-validate")
    assert code == 1
    assert "error[SD104]: unknown key `activty` in step `look`\n  --> bad.saga.yaml:6:5" in said


def test_pre_commit_plays_suites(repository: Repository) -> None:
    code, said = repository.hook("sagadsl-test")
    assert (code, "Passed" in said) == (0, True), said

    wrong = SUITE.replace("completed", "compensated")
    (repository.folder / "good.saga-test.yaml").write_text(wrong, encoding="utf-8")
    code, said = repository.hook("sagadsl-test")
    assert code == 1
    assert "expected compensated" in said


def test_pre_commit_draws_what_has_changed(repository: Repository) -> None:
    code, said = repository.hook("sagadsl-graph-inject")
    assert (code, "files were modified by this hook" in said) == (1, True), said
    assert "acme.look" in (repository.folder / "README.md").read_text(encoding="utf-8")

    code, said = repository.hook("sagadsl-graph-inject")
    assert (code, "Passed" in said) == (0, True), said


# the action


ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def _step(name: str, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run one step of the action as GitHub does, with these inputs."""
    given = {key: str(entry["default"]) for key, entry in ACTION["inputs"].items()} | inputs
    (step,) = (each for each in ACTION["runs"]["steps"] if each.get("name") == name)
    values = {f"${{{{ inputs.{key} }}}}": value for key, value in given.items()}
    values["${{ github.action_path }}"] = "the action"
    env = {key: values[text] for key, text in step["env"].items()}
    script = folder.parent / "step.sh"
    script.write_text(step["run"], encoding="utf-8")
    return _ran("bash", "--noprofile", "--norc", "-eo", "pipefail", script, cwd=folder, **env)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "with space").mkdir(parents=True)
    (folder / "good.saga.yaml").write_text(GOOD, encoding="utf-8")
    (folder / "good.saga-test.yaml").write_text(SUITE, encoding="utf-8")
    (folder / "with space" / "bad.saga.yaml").write_text(BAD, encoding="utf-8")
    return folder


def test_no_step_of_the_action_puts_an_input_into_its_script() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_action_marks_the_lines_of_a_pull_request(project: Path) -> None:
    ran = _step("Validate", project, plugins="false")

    assert ran.returncode == 1
    assert ran.stdout.startswith("::error title=sagadsl (SD104),file=with space/bad.saga.yaml,line=6,col=5")


def test_the_action_takes_several_paths_and_writes_sarif(project: Path) -> None:
    given = {"plugins": "false", "paths": "good.saga.yaml\nwith space\n", "sarif-file": "found.sarif"}
    ran = _step("Validate", project, **given)

    assert ran.returncode == 1, ran.stderr
    assert '"ruleId": "SD104"' in (project / "found.sarif").read_text(encoding="utf-8")
    assert _step("Validate", project, **given | {"paths": "good.saga.yaml"}).returncode == 0


def test_the_action_can_be_strict(project: Path) -> None:
    (project / "good.saga.yaml").write_text(
        GOOD.replace("    compensation: none\n", "") + "  - {id: b, activity: a.b}\n"
    )
    given = {"plugins": "false", "paths": "good.saga.yaml"}

    assert _step("Validate", project, **given).returncode == 0
    assert _step("Validate", project, **given, strict="true").returncode == 1


def test_the_action_plays_suites(project: Path) -> None:
    ran = _step("Play suites", project, suites="good.saga-test.yaml", plugins="false")

    assert ran.returncode == 0, ran.stderr
    assert "✓ 1 case passed" in ran.stdout


def test_the_action_installs_itself_and_what_its_user_names(project: Path, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    python.chmod(0o755)
    (step,) = (each for each in ACTION["runs"]["steps"] if each.get("name") == "Install")
    ran = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        env={"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "SOURCE": "/a b", "INSTALL": ".\nacme pay\n"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )

    assert ran.stdout == "<-m><pip><install><--quiet><--disable-pip-version-check></a b><.><acme pay>"


def test_the_page_names_the_inputs_of_the_action() -> None:
    (_, used) = _block(".github/workflows/sagas.yaml")["jobs"]["sagas"]["steps"]

    assert set(used["with"]) <= set(ACTION["inputs"])
    for name in ACTION["inputs"]:
        assert name in PAGE


# GitLab


def test_the_job_of_gitlab_writes_its_reports(project: Path) -> None:
    job = _block(".gitlab-ci.yml")["sagas"]
    install, *commands = job["script"]
    assert install.startswith("pip install sagadsl")
    (project / "definitions").mkdir()
    for name in ("good.saga.yaml", "good.saga-test.yaml"):
        (project / name).rename(project / "definitions" / name)
    without = {"SAGADSL_VALIDATE_NO_PLUGINS": "1", "SAGADSL_TEST_NO_PLUGINS": "1"}  # none of them is installed here
    for command in commands:
        ran = _ran("bash", "-c", command, cwd=project, **without)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    reports = job["artifacts"]["reports"]
    assert (project / reports["codequality"]).read_text(encoding="utf-8") == "[]\n"
    assert ElementTree.parse(project / reports["junit"]).getroot().attrib["tests"] == "1"
