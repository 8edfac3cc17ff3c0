"""A real PostgreSQL server for tests, which the session starts for itself."""

from __future__ import annotations

import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.needs import missing


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a server on a private port, with its data in a folder of its own."""
    from deploy import postgresql

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sagadsl-pg-")))
        secret, data = folder / "password", folder / "data"
        port, password = _free_port(), secrets.token_hex(16)
        secret.write_text(password)
        postgresql.give(folder, secret)
        try:
            programs = postgresql.programs(folder, data)
        except postgresql.Unavailable as unavailable:
            missing("postgresql", str(unavailable))
        place = ("-D", str(data))
        init = (*place, "-U", "bank", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-locale", "-E", "UTF8")
        subprocess.run(programs.command("initdb", "--no-sync", *init), check=True, capture_output=True, cwd="/")
        options = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off")
        command = programs.command("postgres", *place, "-p", str(port), *options, tied=True)
        log = stack.enter_context((folder / "log").open("wb"))
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
        stack.callback(server.wait, timeout=20)
        stack.callback(server.send_signal, signal.SIGQUIT)  # at once, without writing anything: nobody will read it
        url = f"postgresql://bank:{password}@127.0.0.1:{port}"
        _wait_for(url, server, folder / "log")
        yield url


@pytest.fixture
def postgresql_schema(postgresql_server: str) -> str:
    """URL of an empty schema of its own: a database would take ten times as long."""
    import psycopg

    name = f"schema_{secrets.token_hex(6)}"
    with psycopg.connect(f"{postgresql_server}/postgres") as db:
        db.execute(f"CREATE SCHEMA {name}".encode())
    return f"{postgresql_server}/postgres?options=-csearch_path%3D{name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

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
