"""Where the bank is kept: tables, and transactions that several processes and threads can share.

Knows how SQLite and PostgreSQL lock; knows nothing of what a movement means.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event, exc
from sqlalchemy.engine import URL, make_url

from sagadsl_bank.errors import NoBank, OutcomeUnknown, UnsupportedDatabase

DEFAULT_URL = "sqlite:///bank.db"
LOCK_SECONDS = 20  # below a step's usual start_to_close of 1m, so that the reason is a lock and not a bare timeout

METADATA = sa.MetaData()

ACCOUNTS = sa.Table(
    "accounts",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("balance", sa.BigInteger, sa.CheckConstraint("balance >= 0"), nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("changed_by", sa.Text, nullable=False),  # key of the call that last opened or closed it
)

# One row a key, whatever became of it: the memory that makes a repeated call harmless.
MOVEMENTS = sa.Table(
    "movements",
    METADATA,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("account", sa.Text),  # null in a tombstone: the undo came first and knows only the key
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("balance", sa.BigInteger),  # the first answer to the call, given again to every repetition
    sa.Column("undone_balance", sa.BigInteger),  # the same for the undo
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("undone_at", sa.Text),
)

# What really moved, in order, only ever added to: the evidence that `bank check` compares with the two tables above.
POSTINGS = sa.Table(
    "postings",
    METADATA,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("key", sa.Text, sa.ForeignKey("movements.key"), nullable=False),
    sa.Column("leg", sa.Text, nullable=False),  # do | undo
    sa.Column("account", sa.Text, sa.ForeignKey("accounts.name"), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),  # what the balance changed by
    sa.Column("balance", sa.BigInteger, nullable=False),  # what it was afterwards
    sa.Index("postings_once", "key", "leg", unique=True),
)


def url_from_environment() -> str:
    """The database of this process: `SAGADSL_BANK_URL`, or a file in the current folder."""
    return os.environ.get("SAGADSL_BANK_URL") or DEFAULT_URL


def shown(engine: Engine) -> str:
    """The engine's URL without its password."""
    return engine.url.render_as_string(hide_password=True)


def reason(error: exc.DBAPIError) -> str:
    """What the database said, in one line: what follows quotes statements and rows."""
    return next(iter(str(error.orig).splitlines()), type(error.orig).__name__)


def connect(url: str) -> Engine:
    """An engine for *url*; nothing is contacted yet.

    Raises:
        UnsupportedDatabase: The URL cannot be read, or names a database that cannot do this.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        without_password = url.rpartition("@")[2]
        raise UnsupportedDatabase(without_password, "this is not a database URL such as `sqlite:///bank.db`") from None
    name = parsed.render_as_string(hide_password=True)
    try:
        match parsed.get_backend_name():
            case "sqlite":
                return _sqlite(parsed, name)
            case "postgresql":
                return _postgresql(parsed)
    except exc.NoSuchModuleError:
        raise UnsupportedDatabase(name, f"no driver `{parsed.drivername}`") from None
    except ModuleNotFoundError as error:
        hint = (
            f"`{error.name}` is not installed; pip install 'sagadsl-bank[postgresql]' and say `postgresql+psycopg://`"
        )
        raise UnsupportedDatabase(name, hint) from None
    raise UnsupportedDatabase(name, f"`{parsed.get_backend_name()}` is not supported, only sqlite and postgresql are")


def create(engine: Engine) -> None:
    """Make the tables that are missing. Several processes may do so at once."""
    with transaction(engine) as db:
        _one_at_a_time(db)
        METADATA.create_all(db)


def reset(engine: Engine) -> None:
    """Forget everything: accounts, money and keys."""
    with transaction(engine) as db:
        _one_at_a_time(db)
        METADATA.drop_all(db)
        METADATA.create_all(db)


def require(engine: Engine) -> None:
    """Raise `NoBank` where `create` was never run, without leaving an empty file behind."""
    path = engine.url.database
    missing_file = engine.dialect.name == "sqlite" and path is not None and not os.path.exists(path)
    if missing_file or not sa.inspect(engine).has_table(ACCOUNTS.name):
        raise NoBank(shown(engine))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One local transaction: all of it or, after any exception, nothing.

    Raises:
        OutcomeUnknown: The commit was sent, and it is not known whether it took.
    """
    with engine.connect() as db:
        yield db
        try:
            db.commit()
        except exc.DBAPIError as error:
            raise OutcomeUnknown(reason(error)) from error


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Everything read inside belongs to one moment, and no writer waits for it."""
    readers = {"sqlite": {"bank_begin": "BEGIN"}, "postgresql": {"isolation_level": "REPEATABLE READ"}}
    with engine.connect().execution_options(**readers[engine.dialect.name]) as db:
        yield db


def _sqlite(url: URL, name: str) -> Engine:
    path = url.database
    if not path or path == ":memory:" or "mode=memory" in str(url):
        raise UnsupportedDatabase(name, "a database in memory is another one for each connection; name a file")
    # As many connections as threads ask for: they queue at the file's lock anyway.
    engine = sa.create_engine(
        url, pool_size=5, max_overflow=-1, hide_parameters=True, connect_args={"timeout": LOCK_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself, `begin` below does
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")  # NORMAL may lose the last commits with the power
        connection.execute("PRAGMA foreign_keys = ON")
        record.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def same_file(_connection: Any, record: Any, _proxy: Any) -> None:
        # Somebody deleted the file and made it anew: what is written to the old one is lost without an error.
        if record.info["file"] != _identity(path):
            raise exc.DisconnectionError

    @event.listens_for(engine, "begin")
    def begin(db: Connection) -> None:
        # The write lock is taken first. A transaction that reads, then writes, cannot wait for it: SQLite fails it at
        # once, since what it has read may be old.
        db.exec_driver_sql(db.get_execution_options().get("bank_begin", "BEGIN IMMEDIATE"))

    return engine


def _write_ahead(connection: Any) -> None:
    """Put a new file into WAL mode, once: that takes a lock for which SQLite does not wait by itself."""
    give_up = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() >= give_up:
                raise
            time.sleep(0.01)


def _postgresql(url: URL) -> Engine:
    asked = url.query.get("options", "")  # those of the URL come last, so that they win
    options = f"-c lock_timeout={LOCK_SECONDS}s {asked if isinstance(asked, str) else ' '.join(asked)}"
    return sa.create_engine(
        url,
        isolation_level="READ COMMITTED",  # whatever the server's default is: locked rows are read as they are now
        pool_pre_ping=True,  # a database that was restarted costs no failed step
        hide_parameters=True,
        connect_args={"connect_timeout": url.query.get("connect_timeout", "5"), "options": options},
    )


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _one_at_a_time(db: Connection) -> None:
    """`CREATE TABLE IF NOT EXISTS` races with itself in PostgreSQL; in SQLite BEGIN IMMEDIATE is enough."""
    if db.dialect.name == "postgresql":
        db.execute(sa.text("SELECT pg_advisory_xact_lock(7241)"))
