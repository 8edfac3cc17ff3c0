"""What the tests of workers in other languages share."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.shell import SAGADSL, environment
from tests.conftest import Server
from tests.foreign.programs import programs
from tests.foreign.transfers import EXAMPLE, Place


@pytest.fixture
def place(worker_a: Place) -> Place:
    """A bank, worker A, and no worker B yet."""
    return worker_a.begun


@pytest.fixture(scope="class")
def worker_a(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A bank with money in alice's account, and worker A: one for all tests of a language, which their class names."""
    built, tmp_path = programs(request.cls.language), tmp_path_factory.mktemp(request.cls.language)
    partner = f"partner-{uuid.uuid4()}"
    text = (EXAMPLE / "transfer_abroad.saga.yaml").read_text()
    (tmp_path / "transfer_abroad.saga.yaml").write_text(text.replace("task_queue: partner", f"task_queue: {partner}"))
    made = Place(tmp_path, server.address, built, f"abroad-{uuid.uuid4()}", partner)
    env = environment(SAGADSL_BANK_URL=made.bank, PATH=f"{Path(SAGADSL[0]).parent}:{os.environ['PATH']}")
    subprocess.run(["bank", "init", "--accounts", "alice=1000"], env=env, check=True, capture_output=True)
    command = [*SAGADSL, "worker", ".", "--address", server.address, "--task-queue", made.queue]
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True)
        )
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("ready"):
                break
        yield made
        process.terminate()
        process.stderr.read()
