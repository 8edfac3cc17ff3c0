"""The stage: a server that keeps its state, workers, gateways, a bank and a shop, and nothing that others use."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sagadsl_bank import database, ledger
from temporalio.client import Client

from tests.chaos import cluster, disks, guests, participants
from tests.chaos.cluster import OnPostgres
from tests.chaos.definitions import lay_out
from tests.chaos.faults import HOUR, ON_A_DISK
from tests.chaos.parts import Part, serves
from tests.chaos.wire import Wire
from tests.cli.shell import SAGADSL, environment

ROOT = Path(__file__).parents[2]
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
        workers: They may be killed, as may ``gateways``, the ``servers``, and the ``database``, if it is a process.
        guests: What the inn and the ferry have to know.
        wire: Between workers and server, where it can be cut.
        official: The official server on PostgreSQL, if it is that one.
        hands: Who holds it begins and ends workers.
    """

    folder: Path
    address: str
    bank_url: str
    kind: str
    servers: list[Part]
    workers: list[Part]
    gateways: list[Part]
    ports: list[int]
    definitions: Path
    guests: dict[str, str]
    database: Part | None = None
    wire: Wire | None = None
    official: OnPostgres | None = None
    hands: asyncio.Lock = field(default_factory=asyncio.Lock)
    engine: sa.Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = database.connect(self.bank_url)

    @property
    def parts(self) -> list[Part]:
        return [*self.gateways, *self.workers, *self.servers, *([self.database] if self.database else [])]

    @property
    def urls(self) -> list[str]:
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    @property
    def died(self) -> Path:
        return self.folder / "died"

    @property
    def broken(self) -> Path:
        return self.folder / "broken"

    async def connect(self) -> Client:
        return await Client.connect(self.address)

    def end(self) -> None:
        """End what still runs."""
        for part in self.parts:
            part.kill()
        if self.wire is not None:
            self.wire.end()
        self.engine.dispose()


async def set_up(folder: Path, seed: int, *, long: bool, faults: Collection[str] = ()) -> Stage:
    """Begin everything. The long run has PostgreSQL for the bank, and for Temporal where its server has been built.

    Args:
        faults: Names of those of `faults.py` for which something has to be made ready.
    """
    folder.mkdir(parents=True)
    folder.chmod(0o755)  # PostgreSQL's user has to get in
    (folder / "broken").mkdir()
    if ON_A_DISK & set(faults):
        disks.mount(folder / "postgres")
    database_part, bank_url = cluster.postgresql(folder) if long else (None, f"sqlite:///{folder}/bank.db")
    definitions = lay_out(folder / "definitions")
    if database_part is not None:
        await database_part.begin()
        bank_url = cluster.own_database(bank_url, "bank")
    official = cluster.official(folder, older="upgrade" in faults) if long else None
    if official is not None:
        if "server-clock" in faults:
            official.role("matching").ahead = -HOUR
        servers, address, kind = official.roles, official.address, official.kind
    else:
        servers, address, kind = _dev_server(folder)
    await asyncio.gather(*(each.begin() for each in servers))
    visitors = guests.settings(folder, bank_url if long else "")
    wire, far = None, address
    if "partition" in faults:
        host, _, port = address.partition(":")
        wire = Wire(host, int(port))
        far = await wire.begin()
    env = environment(
        SAGADSL_BANK_URL=bank_url,
        SAGADSL_SHOP_LOG=str(folder / "shop.jsonl"),
        PYTHONPATH=os.pathsep.join((str(ROOT), guests.PATH)),
        **visitors,
        **{participants.SEED: str(seed), participants.BROKEN: str(folder / "broken")},
        **{participants.DIED: str(folder / "died")},
    )
    hours = [cluster.shifted(hours) for hours in ("+1h", "-1h")] if "clock" in faults else []
    ports = [_free_port() for _ in range(2 if long else 1)]
    made = Stage(
        folder,
        address,
        bank_url,
        kind,
        servers,
        [
            _worker(number, folder, far, definitions, env | (hours[number] if number < len(hours) else {}))
            for number in range(3 if long else 2)
        ],
        [_gateway(port, folder, address, definitions, env) for port in ports],
        ports,
        definitions,
        visitors,
        database_part,
        wire,
        official,
    )
    database.create(made.engine)
    for account in (*ACCOUNTS, SHOP):
        ledger.open_account(made.engine, f"init/{account}", account)
        ledger.deposit(made.engine, f"init/{account}/money", account, FUNDS)
    try:
        await asyncio.to_thread(guests.open_both, visitors)
        await asyncio.gather(*(part.begin() for part in (*made.workers, *made.gateways)))
    except BaseException:
        made.end()
        raise
    return made


def _worker(number: int, folder: Path, address: str, definitions: Path, env: Mapping[str, str]) -> Part:
    command = [*SAGADSL, "worker", str(definitions), "--task-queue", QUEUE]
    for module in (participants.__name__, "sagadsl_inn.activities", "sagadsl_ferry.activities"):
        command += ["-m", module]
    command += ["--takeover", "2", "--drain", "2", "--address", address]
    name = f"worker-{number}"
    return Part(name, command, env, folder / f"{name}.log", lambda said: "ready" in said, str(folder))


def _gateway(port: int, folder: Path, address: str, definitions: Path, env: Mapping[str, str]) -> Part:
    command = [*SAGADSL, "serve", str(definitions), "--bind", f"127.0.0.1:{port}", "--task-queue", QUEUE]
    command += ["--rate", "1000", "--address", address]
    name = f"gateway-{port}"
    return Part(name, command, env, folder / f"{name}.log", lambda said: f":{port}/" in said, str(folder))


def _dev_server(folder: Path) -> tuple[list[Part], str, str]:
    """Return the dev server, on a file."""
    binary = Path(sys.executable).with_name("temporal")
    port = _free_port()
    command = [str(binary), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    command += ["--log-level", "error", "--db-filename", str(folder / "temporal.db")]
    command += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    command += [word for name in _ATTRIBUTES for word in ("--search-attribute", f"{name}=Keyword")]
    address = f"127.0.0.1:{port}"
    server = Part("server", command, os.environ, folder / "server.log", lambda _: serves(address))
    return [server], address, "dev server on SQLite"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
