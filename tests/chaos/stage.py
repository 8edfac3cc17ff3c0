"""The stage: a server that keeps its state, workers, gateways, a bank and a shop, and nothing that others use."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sagadsl_bank import database, ledger
from temporalio.client import Client

from deploy.cluster.parts import Cluster, postgres, temporal
from deploy.cluster.processes import State
from deploy.postgresql import as_user
from tests.chaos import participants
from tests.chaos.definitions import lay_out
from tests.chaos.parts import Part
from tests.cli.shell import SAGADSL, environment
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
BINARIES = ROOT / "build" / "cluster" / "bin"
QUEUE = "chaos"
ACCOUNTS = tuple(f"account-{number}" for number in range(8))
SHOP = "shop-account"
FUNDS = 1_000_000
_ATTRIBUTES = ("SagaName", "SagaVersion", "SagaStatus")


@dataclass(slots=True)
class Stage:
    """Everything that runs.

    Attributes:
        kind: What is behind it, for the record.
        workers: They may be killed, as may ``gateways``, the ``server``, and the ``bank``, if it is a process.
    """

    folder: Path
    address: str
    bank_url: str
    kind: str
    server: Part
    workers: list[Part]
    gateways: list[Part]
    ports: list[int]
    definitions: Path
    bank: Part | None = None
    engine: sa.Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = database.connect(self.bank_url)

    @property
    def parts(self) -> list[Part]:
        return [*self.gateways, *self.workers, self.server, *([self.bank] if self.bank else [])]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def broken(self) -> Path:
        return self.folder / "broken"

    async def connect(self) -> Client:
        return await Client.connect(self.address)

    def end(self) -> None:
        """End what still runs."""
        for part in self.parts:
            part.kill()
        self.engine.dispose()


async def set_up(folder: Path, seed: int, *, long: bool) -> Stage:
    """Begin everything. The long run has PostgreSQL for the bank, and for Temporal where its server has been built."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)  # PostgreSQL's user has to get in
    (folder / "broken").mkdir()
    bank, bank_url = (_bank_on_postgres(folder)) if long else (None, f"sqlite:///{folder}/bank.db")
    definitions = lay_out(folder / "definitions")
    if bank is not None:
        await bank.begin()
        bank_url = _own_database(bank_url)
    server, address, kind = _server(folder, long=long)
    await server.begin()
    env = environment(
        SAGADSL_BANK_URL=bank_url,
        SAGADSL_SHOP_LOG=str(folder / "shop.jsonl"),
        PYTHONPATH=str(ROOT),
        **{participants.SEED: str(seed), participants.BROKEN: str(folder / "broken")},
    )
    ports = [_free_port() for _ in range(2 if long else 1)]
    made = Stage(
        folder,
        address,
        bank_url,
        kind,
        server,
        [_worker(number, folder, address, definitions, env) for number in range(3 if long else 2)],
        [_gateway(port, folder, address, definitions, env) for port in ports],
        ports,
        definitions,
        bank,
    )
    database.create(made.engine)
    for account in (*ACCOUNTS, SHOP):
        ledger.open_account(made.engine, f"init/{account}", account)
        ledger.deposit(made.engine, f"init/{account}/money", account, FUNDS)
    try:
        await asyncio.gather(*(part.begin() for part in (*made.workers, *made.gateways)))
    except BaseException:
        made.end()
        raise
    return made


def _worker(number: int, folder: Path, address: str, definitions: Path, env: Mapping[str, str]) -> Part:
    command = [*SAGADSL, "worker", str(definitions), "-m", participants.__name__, "--task-queue", QUEUE]
    command += ["--takeover", "2", "--drain", "2", "--address", address]
    name = f"worker-{number}"
    return Part(name, command, env, folder / f"{name}.log", lambda said: "ready" in said, str(folder))


def _gateway(port: int, folder: Path, address: str, definitions: Path, env: Mapping[str, str]) -> Part:
    command = [*SAGADSL, "serve", str(definitions), "--bind", f"127.0.0.1:{port}", "--task-queue", QUEUE]
    command += ["--rate", "1000", "--address", address]
    name = f"gateway-{port}"
    return Part(name, command, env, folder / f"{name}.log", lambda said: f":{port}/" in said, str(folder))


def _server(folder: Path, *, long: bool) -> tuple[Part, str, str]:
    """Return the server: on the bank's PostgreSQL, if there is one and the server has been built; else in a file."""
    binary = Path(sys.executable).with_name("temporal")
    if long and all((BINARIES / name).exists() for name in ("server", "sql")):
        return _official(folder, binary)
    port = _free_port()
    command = [str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    command += ["--log-level", "error", "--db-filename", str(folder / "temporal.db")]
    command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    command += [word for name in _ATTRIBUTES for word in ("--search-attribute", f"{name}=Keyword")]
    address = f"127.0.0.1:{port}"
    return (
        Part("server", command, os.environ, folder / "server.log", lambda _: _serves(binary, address)),
        address,
        "dev server on SQLite",
    )


def _official(folder: Path, binary: Path) -> tuple[Part, str, str]:
    """Let the cluster's own code set it up; from then on it is ours to kill and begin again."""
    cluster, state = _cluster(folder)
    temporal(cluster, state)
    state.end("temporal")
    address = f"127.0.0.1:{state.ports['frontend']}"
    command = [str(BINARIES / "server"), "--config-file", str(folder / "server.yaml"), "--allow-no-auth", "start"]
    part = Part("server", command, os.environ, folder / "server.log", lambda _: _serves(binary, address))
    return part, address, "Temporal 1.32 on PostgreSQL"


def _cluster(folder: Path) -> tuple[Cluster, State]:
    return Cluster(folder, BINARIES, folder / "definitions"), State.read(folder)


def _bank_on_postgres(folder: Path) -> tuple[Part, str]:
    """Let the cluster's own code make a PostgreSQL; from then on it is ours."""
    cluster, state = _cluster(folder)
    postgres(cluster, state)
    command = [*as_user(), *_command_of(state.processes["postgres"].pid)]
    state.end("postgres")
    port = state.ports["postgres"]
    ready = next(str(Path(word).with_name("pg_isready")) for word in command if word.endswith("/postgres"))

    def answers(_said: str) -> bool:
        return not subprocess.run(
            [ready, "-q", "-h", "127.0.0.1", "-p", str(port)], check=False, timeout=PATIENCE
        ).returncode

    part = Part("postgres", command, os.environ, folder / "postgres.log", answers, "/")
    return part, f"postgresql+psycopg://temporal:{cluster.password}@127.0.0.1:{port}/postgres"


def _own_database(url: str) -> str:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as db:
        db.execute(sa.text("CREATE DATABASE bank"))
    engine.dispose()
    return f"{url.removesuffix('postgres')}bank"


def _command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().rstrip("\0").split("\0")


def _serves(binary: Path, address: str) -> bool:
    health = [str(binary), "--disable-config-file", "--disable-config-env", "operator", "cluster", "health"]
    return not subprocess.run(
        [*health, "--address", address], capture_output=True, check=False, timeout=PATIENCE
    ).returncode


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
