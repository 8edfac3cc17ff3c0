"""What the bank relies on: durable transactions, the right file, and honesty about what is not known."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, event, exc

from sagadsl_bank import audit, database, errors, ledger
from sagadsl_bank.ledger import Kind, Receipt


class _AnswerLost(sqlite3.Connection):
    """Commits, and then fails as if the answer had never come."""

    def commit(self) -> None:
        super().commit()
        raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bank.db"


def test_sqlite_writes_ahead_and_waits_for_the_disk(sqlite_url: str) -> None:
    """WAL lets readers pass writers; only FULL keeps a commit through a power cut."""
    engine = database.connect(sqlite_url)
    with engine.connect() as db:
        modes = [db.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    engine.dispose()

    assert modes == ["wal", 2]


def test_a_reader_does_not_wait_for_a_writer_and_sees_one_moment(engine: Engine) -> None:
    """An operator can look at the bank while a transfer holds its locks."""
    ledger.open_account(engine, "open", "alice")
    with engine.connect() as writer:
        writer.execute(sa.update(database.ACCOUNTS).values(balance=5))

        assert ledger.standing(engine, "alice").balance == 0
        assert audit.check(engine, total=0).problems == ()


def test_a_file_that_was_deleted_and_made_anew_is_the_one_that_is_used(sqlite_url: str, tmp_path: Path) -> None:
    """A running worker would go on writing into the deleted file, and the money would be lost without an error."""
    old = database.connect(sqlite_url)
    database.create(old)
    ledger.open_account(old, "open", "alice")
    for file in tmp_path.iterdir():
        file.unlink()
    new = database.connect(sqlite_url)
    database.create(new)
    ledger.open_account(new, "open-again", "alice")

    ledger.deposit(old, "k", "alice", 5)
    assert ledger.standing(new, "alice").balance == 5
    old.dispose()
    new.dispose()


def test_a_bank_that_was_never_made_is_named_and_no_file_is_left_behind(url: str, tmp_path: Path) -> None:
    """The usual mistake: the worker runs in another folder than `bank init` did."""
    engine = database.connect(url)
    with pytest.raises(errors.NoBank, match="run `bank init`") as caught:
        database.require(engine)
    engine.dispose()

    assert engine.url.password is None or engine.url.password not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "name a file"),
        ("mysql://root:secret@localhost/bank", "`mysql` is not supported"),
        ("root:secret@localhost", "not a database URL"),
        ("postgresql+nodriver://bank:secret@localhost/bank", "no driver"),
        ("postgresql+pg8000://bank:secret@localhost/bank", "is not installed"),
    ],
)
def test_a_database_that_cannot_keep_a_bank_is_refused_with_the_reason(url: str, reason: str) -> None:
    """Each connection to memory is a bank of its own; another database locks in other ways. No password is shown."""
    with pytest.raises(errors.UnsupportedDatabase, match=reason) as caught:
        database.connect(url)

    assert "secret" not in str(caught.value)


def test_a_commit_whose_answer_is_lost_is_unknown_and_the_key_finds_out(sqlite_url: str) -> None:
    """R5: it happened here, nobody could know, and neither the repetition nor the undo does harm."""
    engine = database.connect(sqlite_url)
    database.create(engine)
    ledger.open_account(engine, "open", "alice")

    lossy = database.connect(sqlite_url)

    @event.listens_for(lossy, "do_connect")
    def lose(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
        parameters["factory"] = _AnswerLost

    with pytest.raises(errors.OutcomeUnknown, match="did not confirm the commit: disk I/O error"):
        ledger.deposit(lossy, "k", "alice", 5)
    assert ledger.deposit(engine, "k", "alice", 5) == Receipt("k", "alice", 5)
    assert ledger.undo(engine, "k", Kind.DEPOSIT).undone
    assert audit.check(engine, total=0).problems == ()
    lossy.dispose()
    engine.dispose()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_connection_lost_at_commit_is_unknown_and_the_next_call_has_a_new_one(engine: Engine) -> None:
    """R5: here it did not happen, which nobody could know either."""
    ledger.open_account(engine, "open", "alice")
    dies = "BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END"
    at_commit = "AFTER INSERT ON postings DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()"
    with engine.begin() as db:
        db.exec_driver_sql(f"CREATE FUNCTION die() RETURNS trigger AS '{dies}' LANGUAGE plpgsql")
        db.exec_driver_sql(f"CREATE CONSTRAINT TRIGGER dies {at_commit}")
    with pytest.raises(errors.OutcomeUnknown, match="did not confirm the commit"):
        ledger.deposit(engine, "k", "alice", 5)
    assert audit.check(engine, total=0).problems == ()

    with engine.begin() as db:
        db.exec_driver_sql("DROP TRIGGER dies ON postings")
    assert ledger.deposit(engine, "k", "alice", 5) == Receipt("k", "alice", 5)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_options_of_the_url_stand_beside_those_of_the_bank(url: str) -> None:
    """A search path, say; the bank adds a bound on waiting for locks, which the URL may change."""
    for more, lock_timeout in (("", "20s"), ("%20-clock_timeout%3D3s", "3s")):
        engine = database.connect(url + more)
        with engine.connect() as db:
            found = [db.exec_driver_sql(f"SHOW {name}").scalar() for name in ("search_path", "lock_timeout")]
        engine.dispose()

        assert found == [url.rpartition("%3D")[2], lock_timeout]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_idle_connections_that_the_server_closed_cost_no_failed_call(engine: Engine) -> None:
    """R53: a database that restarts between two steps is no reason for a failed attempt."""
    ledger.open_account(engine, "open", "alice")
    other = database.connect(engine.url.render_as_string(hide_password=False))
    with other.begin() as db:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        found = db.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        assert found.all() != []
    other.dispose()

    assert ledger.deposit(engine, "k", "alice", 5) == Receipt("k", "alice", 5)


def test_a_movement_cannot_be_posted_twice_even_by_a_bug(engine: Engine) -> None:
    """R1: the last defence is in the database itself."""
    ledger.open_account(engine, "open", "alice")
    ledger.deposit(engine, "k", "alice", 5)
    again = {"key": "k", "leg": "do", "account": "alice", "amount": 5, "balance": 10}

    with pytest.raises(exc.IntegrityError), engine.begin() as db:
        db.execute(sa.insert(database.POSTINGS).values(again))
