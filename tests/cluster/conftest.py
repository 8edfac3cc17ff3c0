"""For tests on PostgreSQL that need no more than the server: the one that `make cluster` begins, without workers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.cluster.processes import State
from tests.cli.shell import environment
from tests.conftest import Server
from tests.needs import built, need

ROOT = Path(__file__).parents[2]
BINARIES = ROOT / "build" / "cluster" / "bin"
CACHE = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
"""Where Go keeps what it has built."""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The official server on PostgreSQL, in the place of the dev server that all other tests share."""
    need("postgresql")
    folder = Path(tempfile.mkdtemp(prefix="sagadsl-store-"))
    folder.chmod(0o755)  # PostgreSQL's user has to get in
    try:
        built("go", _cluster("build", folder))
        _well(_cluster("up", folder, "--server-only"))
        state = State.read(folder)
        assert set(state.processes) == {"postgres", "temporal"}
        yield Server(f"127.0.0.1:{state.ports['frontend']}")
    finally:
        _well(_cluster("down", folder, "--wipe"))
        shutil.rmtree(folder)


def _well(ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.returncode == 0, ran.stdout + ran.stderr


def _cluster(what: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    where = ("--folder", str(folder), "--binaries", str(BINARIES))
    return subprocess.run(
        [sys.executable, "-m", "deploy.cluster", what, *where, *options],
        cwd=ROOT,
        env=environment(XDG_CACHE_HOME=CACHE),
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
