"""A package that changes all it can at import, and one that is broken: commands stay themselves beside them."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, Ran, environment, sagadsl
from tests.conftest import Server
from tests.packages import install
from tests.patience import PATIENCE

RUDE = """\
import asyncio, io, locale, logging, logging.config, os, signal, sys, threading, time, warnings
from sagadsl import activity
print("printed")
os.write(1, b"written")
os.system("echo of a child")
os.chdir("/")
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
signal.alarm(1)
io.TextIOWrapper(sys.stdout.buffer).close()
sys.stdout.close()
os.close(1)
sys.stdout = sys.stderr = open(os.devnull, "w")
logging.basicConfig(stream=sys.__stdout__, level=logging.DEBUG)
logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
logging.disable(logging.CRITICAL)
class Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self):
        raise RuntimeError("no loop for you")
asyncio.set_event_loop_policy(Policy())
locale.setlocale(locale.LC_ALL, "C")
warnings.simplefilter("error")
warnings.warn = warnings.showwarning = None
sys.setrecursionlimit(150)
sys.excepthook = lambda *_: None
def chat():
    while True:
        os.write(1, b"chat")
        time.sleep(0.01)
threading.Thread(target=chat).start()

@activity
def one() -> int:
    \"""Say one.\"""
    print("at work")
    return 1
"""
LEAVING = "import os\n\nos._exit(0)\n"
DEFINITION = """\
sagadsl: 1
name: {name}
steps: [{{id: a, activity: {name}.one, compensation: none}}]
"""
SUITE = "sagadsl_test: 1\nsaga: rude.saga.yaml\ncases: [{name: well, then: {status: completed}}]\n"
COMMANDS = {
    "validate": "validate rude.saga.yaml --format json",
    "simulate": "simulate rude.saga.yaml --format json",
    "explore": "explore rude.saga.yaml --format json",
    "test": "test rude.saga-test.yaml --json",
    "plugins list": "plugins list --json",
    "plugins show": "plugins show rude.one --json",
    "plugins check": "plugins check rude --json",
    "run": "run rude.saga.yaml --json",
}
"""A call of each command that loads plugins and ends by itself."""


def _install(folder: Path, name: str, source: str) -> None:
    install(folder / "site", name, f"{name}.one = {name}:one", source)
    (folder / f"{name}.saga.yaml").write_text(DEFINITION.format(name=name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a rude package, one that leaves, and a definition of each."""
    _install(tmp_path, "rude", RUDE)
    _install(tmp_path, "leaving", LEAVING)
    (tmp_path / "rude.saga-test.yaml").write_text(SUITE)
    (tmp_path / "sagadsl.toml").write_text('plugins = {allow = ["rude", "leaving"]}\n')
    return tmp_path


def _in(folder: Path, call: str) -> Ran:
    return sagadsl(*call.split(), cwd=folder, env={"PYTHONPATH": str(folder / "site")})


@pytest.mark.temporal
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_stays_itself_beside_a_rude_and_a_broken_package(folder: Path, command: str) -> None:
    """Stdout is one document, the exit code is the command's, nobody needs the package that is broken."""
    ran = _in(folder, COMMANDS[command])

    document = json.loads(ran.out)
    assert (ran.code, document.get("error")) == (0, None), ran.err
    assert "Traceback" not in ran.err
    if command == "plugins list":
        assert [each["message"] for each in document["problems"]] == [
            "activity `leaving.one` of leaving 1.0 cannot be used: its import calls `os._exit(0)` (site/leaving.py:3)"
        ]


@pytest.mark.temporal
@pytest.mark.parametrize("command", ["validate", "run", "worker", "worker --processes 2"])
def test_a_package_that_is_needed_is_an_error_with_file_and_line(folder: Path, server: Server, command: str) -> None:
    """Exit code 3, and where the author's code went wrong; its stack under `--debug`."""
    where = f" --address {server.address}" if command.startswith("worker") else ""
    for debug in (False, True):
        ran = _in(folder, f"{command} leaving.saga.yaml{where}{' --debug' if debug else ''}")

        assert ran.code == 3, ran.err
        assert "its import calls `os._exit(0)` (site/leaving.py:3)" in ran.err + ran.out
        assert ("Traceback" in ran.err, 'leaving.py", line 3' in ran.err) == (debug, debug), ran.err


@pytest.mark.temporal
@pytest.mark.parametrize("command", ["worker .", "worker . --processes 2", "serve ."])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_serves_leaves_out_the_broken_package_and_ends_when_it_is_told(
    folder: Path, server: Server, command: str, number: int
) -> None:
    """The other package blocks signals, starts a thread that never ends, and sets up logging."""
    (folder / "leaving.saga.yaml").unlink()
    bind = ("--bind", "127.0.0.1:0") if command.startswith("serve") else ()
    words = (*SAGADSL, *command.split(), "--address", server.address, *bind)
    said = folder / "said"
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment(PYTHONPATH=str(folder / "site")),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
    try:
        _wait(lambda: any(word in said.read_text() for word in ("Ctrl-C", "http://")) or process.poll() is not None)
        process.send_signal(number)
        code = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()

    text = said.read_text().replace("chat", "")
    assert (code, "Traceback" in text) == (0, False), text
    if command.startswith("worker"):
        assert "its import calls `os._exit(0)` (site/leaving.py:3); it is left out" in text


def _wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
