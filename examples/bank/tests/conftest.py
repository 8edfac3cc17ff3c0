"""Two real databases for the same tests: a SQLite file, and a PostgreSQL server that the session starts for itself."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
from sqlalchemy import Engine

from sagadsl_bank import database

SERVER_USER = "postgres"  # the server refuses to run as root


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a bank."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bank.db"
    server: str = request.getfixturevalue("postgresql_server")
    name = f"bank_{secrets.token_hex(6)}"
    with psycopg.connect(f"{server}/postgres") as db:
        db.execute(f"CREATE SCHEMA {name}".encode())  # a database of its own would take ten times as long
    return f"{server}/postgres?options=-csearch_path%3D{name}".replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """A bank without accounts."""
    engine = database.connect(url)
    database.create(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a server on a private port, with its data in a folder of its own."""
    binaries = _server_binaries()
    folder = Path(tempfile.mkdtemp(prefix="sagadsl-bank-pg-"))
    port, password = _free_port(), secrets.token_hex(16)
    (folder / "password").write_text(password)
    as_user: list[str] = []
    if os.geteuid() == 0:
        for path in (folder, folder / "password"):
            shutil.chown(path, SERVER_USER, SERVER_USER)
        # pdeathsig: a killed test session takes its server along
        who = [f"--reuid={SERVER_USER}", f"--regid={SERVER_USER}", "--init-groups", "--pdeathsig=QUIT"]
        as_user = ["setpriv", *who]
    data = str(folder / "data")
    init = ["-D", data, "-U", "bank", "-A", "scram-sha-256", f"--pwfile={folder}/password", "--no-locale", "-E", "UTF8"]
    subprocess.run([*as_user, binaries / "initdb", "--no-sync", *init], check=True, capture_output=True, cwd="/")
    options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*as_user, binaries / "postgres", "-D", data, "-p", str(port), *options], stdout=log, stderr=log, cwd="/"
        )
    try:
        url = f"postgresql://bank:{password}@127.0.0.1:{port}"
        _wait_for(url, server, folder / "log")
        yield url
    finally:
        server.send_signal(signal.SIGQUIT)  # at once, without writing anything: nobody will read it
        server.wait(timeout=20)
        shutil.rmtree(folder)


def _server_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if not found:
        _unavailable("no PostgreSQL server in /usr/lib/postgresql/*/bin")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        _unavailable("the tests run as root, PostgreSQL must not, and there is no `setpriv`")
    return found[-1].parent


def _unavailable(reason: str) -> NoReturn:
    """Loud where it matters: a CI without PostgreSQL would be green for nothing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"PostgreSQL is not tested: {reason}")
    pytest.skip(f"PostgreSQL is not tested: {reason}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            psycopg.connect(f"{url}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the PostgreSQL server does not answer: {log.read_text()}")
