"""PostgreSQL and the official Temporal server, role by role: begun by the cluster's own code, then ours to break."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from deploy.cluster import parts
from deploy.cluster.parts import VERSION, Cluster
from deploy.cluster.processes import State
from deploy.postgresql import as_user
from tests.chaos.parts import Part, serves
from tests.patience import PATIENCE

BUILT = Path(__file__).parents[2] / "build"
BINARIES = BUILT / "cluster" / "bin"
OLDER = "v1.31.2"
"""The release before, from which the server is upgraded; built into a folder of this name beside the other."""
ROLES = ("frontend", "history", "matching", "worker")
CLOCK = "libfaketimeMT.so.1"
RETENTION = "24h"


@dataclass(slots=True)
class OnPostgres:
    """The server in four processes, one a role.

    Attributes:
        admin: URL of its PostgreSQL.
    """

    cluster: Cluster
    state: State
    roles: list[Part]
    admin: str
    version: str

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.state.ports['frontend']}"

    @property
    def kind(self) -> str:
        return f"Temporal {self.version} in four roles on PostgreSQL, retention {RETENTION}"

    def role(self, name: str) -> Part:
        return self.roles[ROLES.index(name)]

    async def upgrade(self) -> None:
        """End all roles, bring the schemas up to date by the newer release's tool, and begin the newer release."""
        for role in reversed(self.roles):
            await role.stop()
        (self.cluster.folder / "schemas").write_text(self.version)
        newer = Cluster(self.cluster.folder, BINARIES, self.cluster.definitions)
        parts.schemas(newer, self.state)
        self.cluster, self.version = newer, VERSION
        for role in self.roles:
            role.command = [str(BINARIES / "server"), *role.command[1:]]
        # At once: each one looks for those that were there a moment ago, and gives up after half a minute.
        await asyncio.gather(*(role.begin() for role in self.roles))


def is_built(folder: Path = BINARIES) -> bool:
    """Whether the server and its tool are there."""
    return all((folder / name).exists() for name in ("server", "sql"))


def official(folder: Path, *, older: bool) -> OnPostgres | None:
    """Set up the server on the PostgreSQL that `postgresql` has begun; None where it has not been built."""
    binaries = BUILT / "cluster" / OLDER if older else BINARIES
    if not is_built(binaries):
        assert not older, f"Temporal {OLDER} is not built: see docs/chaos.md"
        return None
    cluster, state = Cluster(folder, binaries, folder / "definitions"), State.read(folder)
    parts.temporal(cluster, state)
    _keep_a_day(f"127.0.0.1:{state.ports['frontend']}")
    state.end("temporal")
    admin = f"postgresql+psycopg://temporal:{cluster.password}@127.0.0.1:{state.ports['postgres']}/postgres"
    roles = [_role(name, cluster, state) for name in ROLES]
    return OnPostgres(cluster, state, roles, admin, OLDER if older else VERSION)


def _role(name: str, cluster: Cluster, state: State) -> Part:
    config = str(cluster.folder / "server.yaml")
    server = [str(cluster.binaries / "server"), "--config-file", config, "--allow-no-auth", "start", "--service", name]
    port, address = state.ports[name], f"127.0.0.1:{state.ports['frontend']}"

    def ready(_said: str) -> bool:
        return serves(address) if name == "frontend" else _listens(port)

    return Part(f"role {name}", server, os.environ, cluster.folder / f"role-{name}.log", ready)


def _keep_a_day(address: str) -> None:
    temporal = [str(Path(sys.executable).with_name("temporal")), "--disable-config-file", "--disable-config-env"]
    update = ["operator", "namespace", "update", "--namespace", "default", "--retention", RETENTION]
    subprocess.run([*temporal, *update, "--address", address], check=True, capture_output=True, timeout=PATIENCE)


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def postgresql(folder: Path) -> tuple[Part, str]:
    """Let the cluster's own code make a PostgreSQL; from then on it is ours."""
    cluster, state = Cluster(folder, BINARIES, folder / "definitions"), State.read(folder)
    parts.postgres(cluster, state)
    command = [*as_user(), *_command_of(state.processes["postgres"].pid), "-c", "max_wal_size=256MB"]
    state.end("postgres")
    port = state.ports["postgres"]
    ready = next(str(Path(word).with_name("pg_isready")) for word in command if word.endswith("/postgres"))

    def answers(_said: str) -> bool:
        return not subprocess.run(
            [ready, "-q", "-h", "127.0.0.1", "-p", str(port)], check=False, timeout=PATIENCE
        ).returncode

    part = Part("postgres", command, os.environ, folder / "postgres.log", answers, "/")
    return part, f"postgresql+psycopg://temporal:{cluster.password}@127.0.0.1:{port}/postgres"


def own_database(url: str, name: str) -> str:
    """Make a database on that server, and return its URL."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{url.removesuffix('postgres')}{name}"


def _command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")


def shifted(hours: str) -> dict[str, str]:
    """Return the environment of a process whose clock is off by *hours*, `+1h`; durations stay as they are."""
    places = [*Path("/usr/lib").glob(f"*/faketime/{CLOCK}"), *(BUILT / "faketime").rglob(CLOCK)]
    assert places, f"{CLOCK} is not there: see docs/chaos.md"
    return {"LD_PRELOAD": str(places[0]), "FAKETIME": hours, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
