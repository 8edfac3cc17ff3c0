"""Commands in whose process code of others runs: one document on stdout (N18, N10), no import in the way (N17)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, Ran, environment, sagadsl
from tests.conftest import Server
from tests.packages import install
from tests.patience import PATIENCE

LOUD = """\
import os, signal, sys, threading, time
from sagadsl import activity
print("import")
os.system("echo child of the import")
os.chdir("/")
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
def chat():
    while True:
        print("thread")
        time.sleep(0.01)
threading.Thread(target=chat).start()
sys.stdout = open(os.devnull, "w")

@activity
def one(n: int) -> int:
    \"""Say a word, and return it.\"""
    print("activity")
    os.system("echo child of the activity")
    return n
"""
DEFINITION = """\
sagadsl: 1
name: loud
input: {type: object, properties: {n: {type: integer}}}
steps: [{id: a, activity: loud.one, input: {n: "{{ input.n }}"}, compensation: none}]
"""
WRONG = "sagadsl: 1\nname: wrong\nsteps: [{id: a, sleep: 36501d}, {id: a, sleep: 1s}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a definition, and packages beside it that are installed."""
    _install(tmp_path, "loud", LOUD)
    (tmp_path / "loud.saga.yaml").write_text(DEFINITION)
    (tmp_path / "wrong.saga.yaml").write_text(WRONG)
    (tmp_path / "input.json").write_text('{"n": 3}')
    (tmp_path / "sagadsl.toml").write_text('plugins = {allow = ["loud", "broken"]}\n')
    return tmp_path


def _install(folder: Path, name: str, source: str) -> None:
    install(folder / "site", name, f"{name}.one = {name}:one", source)


def _in(folder: Path, *arguments: str) -> Ran:
    return sagadsl(*arguments, cwd=folder, env={"PYTHONPATH": str(folder / "site")})


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "loud.saga.yaml", "--format", "json"),
        ("simulate", "loud.saga.yaml", "-i", "@input.json", "--format", "json"),
        ("plugins", "list", "--json"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_whatever_an_import_does_stdout_is_one_document(folder: Path, arguments: tuple[str, ...]) -> None:
    """N18, N17: it prints, starts processes and threads, changes folder and streams; its thread holds up nobody."""
    ran = _in(folder, *arguments)

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["schema_version"] == 1
    assert "child of the import" in ran.err


@pytest.mark.temporal
def test_what_activities_print_is_not_in_the_document(folder: Path) -> None:
    """N18: they run in the process of `run`."""
    ran = _in(folder, "run", "loud.saga.yaml", "-i", "@input.json", "--json")

    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["output"] == {"a": 3}
    assert "child of the activity" in ran.err


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("run", "wrong.saga.yaml", "--json"), 1),
        (("simulate", "wrong.saga.yaml", "--format", "json"), 1),
        (("explore", "wrong.saga.yaml", "--format", "json"), 1),
        (("run", "nothing.saga.yaml", "--json"), 2),
    ],
)
def test_a_definition_with_mistakes_is_one_document_too(
    folder: Path, arguments: tuple[str, ...], exit_code: int
) -> None:
    """N10: stdout was empty."""
    ran = _in(folder, *arguments)

    assert ran.code == exit_code
    error = json.loads(ran.out)["error"]
    assert error["message"]
    if exit_code == 1:
        assert [each["code"] for each in error["findings"]] == ["SD501", "SD201"]
        assert "36501d" in ran.err


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
@pytest.mark.parametrize("command", ["validate loud.saga.yaml", "validate --format json", "explain SD101", "--version"])
def test_a_place_that_takes_nothing_is_told(folder: Path, command: str, redirection: str) -> None:
    """N18: a full disk or a closed standard output is a clear end."""
    ended = subprocess.run(
        ["sh", "-c", f"{' '.join(SAGADSL)} {command} {redirection}"],
        cwd=folder,
        env=environment(PYTHONPATH=str(folder / "site")),
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert ended.returncode == 74
    assert "error[SD932]: the result cannot be written to standard output" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.temporal
@pytest.mark.parametrize("source", ["import sys; sys.exit(3)", "import a_module_that_is_not_there", "1 / 0"])
def test_a_worker_starts_without_a_package_that_nobody_needs(folder: Path, server: Server, source: str) -> None:
    """N17: it says so, with the stack under `--debug`; Ctrl-C works although an import has blocked it."""
    _install(folder, "broken", source)
    command = [*SAGADSL, "worker", "loud.saga.yaml", "--debug", "--address", server.address]
    env = environment(PYTHONPATH=str(folder / "site"))
    with subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("ready"):
                break
        process.send_signal(2)
        rest = process.stderr.read()
        code = process.wait(PATIENCE)

    text = "".join(said)
    assert "activity `broken.one` of broken 1.0 cannot be used" in text
    assert "it is left out" in text
    assert "Traceback" in text
    assert said[-1].startswith("ready"), text
    assert code == 0, rest
