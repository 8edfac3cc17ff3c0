"""What every test may use: one real Temporal server for the whole session, started when the first test asks for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE

APART, SEALED = "apart", "sealed"
"""Further namespaces, for tests that must not see the sagas of others."""


_SETTINGS = (
    "frontend.WorkflowPauseEnabled=true",  # for `temporal workflow pause`
    # How soon it deletes a run after it was asked: half a minute and more without this.
    'history.transferProcessorUpdateAckInterval="1s"',
    'history.visibilityProcessorUpdateAckInterval="1s"',
)
"""Settings of the server that the tests want."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the session's Temporal server listens. Use ids of your own: all tests share it."""

    address: str
    namespace: str = "default"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dev server, in memory, with the search attributes that sagas may set."""
    with serving(tmp_path_factory.mktemp("temporal") / "server.log") as address:
        yield Server(address)


@contextmanager
def serving(log: Path, *dynamic: str, database: Path | None = None, level: str = "error") -> Iterator[str]:
    """Run such a server until the end of the block, and return its address; *dynamic* is ``key=value`` for it.

    With a *database* it keeps its data in that file.
    """
    binary = Path(sys.executable).with_name("temporal")
    if not binary.exists():
        pytest.fail("the `temporal` binary is not installed beside this Python: run `make setup`")
    port = _free_port()
    attributes = [f"{name}=Keyword" for name in ("SagaName", "SagaVersion", "SagaStatus", "SagaPhase", "SagaStep")]
    command = [str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    if database is not None:
        command += ["--db-filename", str(database)]
    for each in (*_SETTINGS, *dynamic):
        command += ["--dynamic-config-value", each]
    command += [
        "--namespace",
        APART,
        "--namespace",
        SEALED,
        "--log-level",
        level,
        *(word for each in attributes for word in ("--search-attribute", each)),
    ]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            _wait_until_serving(binary, f"127.0.0.1:{port}", process, log)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def temporal_address(server: Server) -> str:
    return server.address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_serving(binary: Path, address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    health = [str(binary), "operator", "cluster", "health", "--address", address]
    deadline = time.monotonic() + PATIENCE
    while not _listens(address) or subprocess.run(health, capture_output=True, check=False).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the Temporal server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.1)


def _listens(address: str) -> bool:
    """Whether somebody listens there: cheaper to ask than a command for it."""
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    # sdk-python#300: threads of the SDK can crash the interpreter when it ends right away.
    if "temporalio" in sys.modules:
        time.sleep(0.3)


def pytest_configure() -> None:
    """Let properties take their time: on a busy machine 200 ms for one example would decide."""
    from hypothesis import HealthCheck, settings  # a workflow that is sandboxed in a test may import this module

    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
