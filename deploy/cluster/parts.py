"""The parts of the cluster and how each is begun: PostgreSQL, the official Temporal server, workers, gateway."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy import postgresql
from deploy.cluster.processes import Failed, State, end_of
from sagadsl.temporal.link.server_process import SEARCH_ATTRIBUTES

VERSION = "v1.32.2"
"""Of the Temporal server and of its SQL tool."""

NAMESPACE = "default"
_DATABASES = {"temporal": "temporal", "temporal_visibility": "visibility"}
_BIN = Path(sys.executable).parent
_CANDIDATES = random.sample(range(20_000, 32_000), 2_000)
"""Ports: the server keeps its own in a column that ends at 32,767."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where it lives.

    Attributes:
        folder: Data, logs, state.
        binaries: What was built from Go modules; may be shared by several clusters.
        definitions: What workers and gateway serve.
    """

    folder: Path
    binaries: Path
    definitions: Path

    @property
    def data(self) -> Path:
        return self.folder / "postgres"

    @property
    def password(self) -> str:
        return (self.folder / "password").read_text()


def build(cluster: Cluster) -> None:
    """Build the server and its SQL tool, unless they are there."""
    wanted = {"server": "go.temporal.io/server/cmd/server", "sql": "go.temporal.io/server/cmd/tools/sql"}
    missing = [module for name, module in wanted.items() if not (cluster.binaries / name).exists()]
    if not missing:
        return
    go = shutil.which("go", path=str(_BIN)) or shutil.which("go")
    if go is None:
        raise Failed("the Temporal server is built from its Go module: run `make setup`, which installs Go")
    print(f"building the Temporal server {VERSION}; the first time takes minutes", flush=True)
    cluster.binaries.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOBIN": str(cluster.binaries.resolve()), "GOTOOLCHAIN": "auto"}
    command = [go, "install", *(f"{each}@{VERSION}" for each in missing)]
    built = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode:
        raise Failed(
            f"the Temporal server could not be built; the end of what `go install` said:\n{end_of(built.stdout)}"
        )


def postgres(cluster: Cluster, state: State) -> None:
    """Begin PostgreSQL on a port and a folder of its own, as a user who is not root."""
    port = _port(state, "postgres")
    try:
        programs = postgresql.programs(cluster.folder, cluster.data)
    except postgresql.Unavailable as unavailable:
        raise Failed(str(unavailable)) from None
    if not (cluster.data / "PG_VERSION").exists():
        cluster.data.mkdir(parents=True, exist_ok=True)
        secret = cluster.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(16))
        postgresql.give(cluster.data, secret)
        init = ("-D", str(cluster.data), "-U", "temporal", "-A", "scram-sha-256", f"--pwfile={secret}")
        _run(programs.command("initdb", *init, "--no-locale", "-E", "UTF8"), "initdb")
    options = ("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")  # a socket's path may be too long
    state.begin(
        "postgres",
        programs.command("postgres", "-D", str(cluster.data), "-p", str(port), *options),
        lambda: _quietly(programs.command("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port))),
        cwd="/",
    )


def schemas(cluster: Cluster, state: State) -> None:
    """Make both databases and their schemas, or bring older ones up to date, by the server's own tool."""
    done = cluster.folder / "schemas"
    if done.exists() and done.read_text() == VERSION:
        return
    env = {
        "SQL_PLUGIN": "postgres12",
        "SQL_HOST": "127.0.0.1",
        "SQL_PORT": str(state.ports["postgres"]),
        "SQL_USER": "temporal",
        "SQL_PASSWORD": cluster.password,  # in the environment: arguments are shown to everybody
    }
    tool = str(cluster.binaries / "sql")
    for database, schema in _DATABASES.items():
        if not done.exists():
            _run([tool, "--db", database, "create-database", "--defaultdb", "postgres"], "create-database", env)
            _run([tool, "--db", database, "setup-schema", "-v", "0.0"], "setup-schema", env)
        _run([tool, "--db", database, "update-schema", "--schema-name", f"postgresql/v12/{schema}"], "schema", env)
    done.write_text(VERSION)


def temporal(cluster: Cluster, state: State) -> None:
    """Begin the server on its databases, and give it the namespace and the search attributes of sagas."""
    server(cluster, state)
    for name, kind in SEARCH_ATTRIBUTES.items():
        _until_done([*_cli(state), "operator", "search-attribute", "create", "--name", name, "--type", kind])


def server(cluster: Cluster, state: State) -> None:
    """Begin the server on its databases, with the namespace alone."""
    schemas(cluster, state)
    config = cluster.folder / "server.yaml"
    config.touch(mode=0o600)  # the database's password is in it
    config.write_text(yaml.safe_dump(_config(cluster, state), sort_keys=False))
    state.begin(
        "temporal",
        [str(cluster.binaries / "server"), "--config-file", str(config), "--allow-no-auth", "start"],
        lambda: _quietly([*_cli(state), "operator", "cluster", "health"]),
    )
    namespace = [*_cli(state), "operator", "namespace"]
    if not _quietly([*namespace, "describe", "--namespace", NAMESPACE]):
        _run([*namespace, "create", "--namespace", NAMESPACE, "--retention", "72h"], "namespace")


def _cli(state: State) -> list[str]:
    """Return Temporal's command line for this server: whatever is set for other servers is not for this one."""
    return [str(_BIN / "temporal"), "--disable-config-file", "--disable-config-env", "--address", _address(state)]


def worker(cluster: Cluster, state: State, name: str) -> None:
    """Begin a worker of sagadsl."""
    command = [sys.executable, "-m", "sagadsl", "worker", str(cluster.definitions), "--address", _address(state)]
    state.begin(name, command, lambda: "ready;" in _said(state, name))


def gateway(cluster: Cluster, state: State) -> None:
    """Begin the gateway."""
    port = _port(state, "gateway")
    command = [sys.executable, "-m", "sagadsl", "serve", str(cluster.definitions), "--address", _address(state)]
    state.begin("gateway", [*command, "--bind", f"127.0.0.1:{port}"], lambda: f":{port}/" in _said(state, "gateway"))


def _config(cluster: Cluster, state: State) -> dict[str, object]:
    """Return the server's configuration: four services, one store each for runs and for lists."""

    def store(database: str) -> dict[str, object]:
        return {
            "sql": {
                "pluginName": "postgres12_pgx",
                "databaseName": database,
                "connectAddr": f"127.0.0.1:{state.ports['postgres']}",
                "connectProtocol": "tcp",
                "user": "temporal",
                "password": cluster.password,
                "maxConns": 20,
                "maxIdleConns": 20,
                "maxConnLifetime": "1h",
            }
        }

    services = {
        name: {
            "rpc": {
                "grpcPort": _port(state, name),
                "membershipPort": _port(state, f"{name} membership"),
                "bindOnLocalHost": True,
            }
        }
        for name in ("frontend", "history", "matching", "worker")
    }
    here = {"enabled": True, "initialFailoverVersion": 1, "rpcName": "frontend", "rpcAddress": _address(state)}
    return {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "numHistoryShards": 4,  # fixed for good when the first saga is started
            "datastores": {"default": store("temporal"), "visibility": store("temporal_visibility")},
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
        "services": services,
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {"active": here},
        },
        "dcRedirectionPolicy": {"policy": "noop"},
    }


def _port(state: State, name: str) -> int:
    """Return the port of a part: as it was, or a free one."""
    if name not in state.ports:
        state.ports[name] = next(port for port in _CANDIDATES if port not in state.ports.values() and _is_free(port))
        state.write()
    return state.ports[name]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _address(state: State) -> str:
    return f"127.0.0.1:{_port(state, 'frontend')}"


def _said(state: State, name: str) -> str:
    return Path(state.processes[name].log).read_text(errors="replace")


def _quietly(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def _run(command: list[str], what: str, env: dict[str, str] | None = None) -> None:
    ran = subprocess.run(
        command, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=120, check=False, cwd="/"
    )
    if ran.returncode and "already exists" not in ran.stdout + ran.stderr:
        raise Failed(f"{what} failed:\n{(ran.stdout + ran.stderr)[-2000:]}")


def _until_done(command: list[str]) -> None:
    """A namespace that has just been made takes a moment until it is known everywhere."""
    for left in reversed(range(30)):
        try:
            _run(command, "search attribute")
        except Failed:
            if not left:
                raise
            subprocess.run(["sleep", "0.5"], check=True)
        else:
            return
