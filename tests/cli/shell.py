"""Running the command line as people do: a process with an exit code and two streams."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TextIO

import pytest

from sagadsl.cli.entry import run
from tests.patience import PATIENCE

WITHOUT_SCHEMATHESIS = "-p no:schemathesis"
"""For `PYTEST_ADDOPTS`: a pytest that tests start loads every plugin that is installed, and this one takes a second."""

SAGADSL = (sys.executable, "-m", "sagadsl")


@dataclass(frozen=True, slots=True)
class Ran:
    """How one call ended."""

    code: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Return this process's environment without anything that would change a command, and with *extra*."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "SAGADSL_", "OTEL_"))
    }
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "COLUMNS"):
        kept.pop(name, None)
    own = {"XDG_CONFIG_HOME": os.devnull, "XDG_CACHE_HOME": os.devnull, "PYTEST_ADDOPTS": WITHOUT_SCHEMATHESIS}
    return {**kept, **own, **extra}


def sagadsl(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = "", env: Mapping[str, str] | None = None
) -> Ran:
    """Run one command to its end."""
    ended = subprocess.run(
        [*SAGADSL, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def inside(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = "", env: Mapping[str, str] | None = None
) -> Ran:
    """Run one command in this process: the same, without the half second that a new interpreter takes."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, chdir(cwd or Path.cwd()), redirect_stdout(out), redirect_stderr(err):
        clean = environment(**(env or {}))
        for name in os.environ.keys() - clean.keys():
            patch.delenv(name)
        for name, value in clean.items():
            patch.setenv(name, value)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = run([str(each) for each in arguments])
    return Ran(code, out.getvalue(), err.getvalue())


@contextmanager
def ready(command: Sequence[str], folder: Path, **env: str) -> Iterator[None]:
    """Run a command until the end of the block; it has said that it is ready, and ends well when it is told to.

    What it says goes into a file: a pipe that nobody reads would hold it up some day.
    """
    with (
        NamedTemporaryFile("w+", prefix="said-") as said,
        Path(said.name).open() as heard,
        subprocess.Popen(command, cwd=folder, env=environment(**env), stderr=said) as process,
    ):
        deadline = time.monotonic() + PATIENCE
        while not re.search("^ready", text := _all_of(heard), re.M):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.05)
        try:
            yield
        finally:
            process.terminate()
        assert process.wait(PATIENCE) == 0, _all_of(heard)


def _all_of(heard: TextIO) -> str:
    heard.seek(0)
    return heard.read()
