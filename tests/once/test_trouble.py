"""What a saga is told when the database or the worker is lost, or the author's function ends the transaction itself."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

from sagadsl.authoring import Transient, Unknown
from sagadsl.once.sqlalchemy import forget, once, undo
from sagadsl.plugins.problems import PluginNeedsExtra
from tests.once.places import NAME, PLACES, Asynchronous, BySavepoint, Django, Place, Plain
from tests.patience import PATIENCE

KEY = "order-7/pay/do"
ASKED = {"amount": 5}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Plain]:
    """A file of SQLite."""
    made = Plain(f"sqlite:///{tmp_path}/acme.db")
    yield made
    made.engine.dispose()


@pytest.fixture(params=[Plain, Asynchronous, Django])
def on_postgresql(request: pytest.FixtureRequest, postgresql_schema: str) -> Iterator[Place]:
    """Each library on PostgreSQL."""
    made = request.param(postgresql_schema.replace("postgresql://", "postgresql+psycopg://"))
    yield made
    if isinstance(made, Plain):
        made.engine.dispose()


_CUT_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
_CUT_AT_COMMIT = """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION cut()
"""


def _asked_of(url: str, statement: str) -> None:
    with psycopg.connect(url) as db:
        db.execute(statement.encode())


def test_a_connection_that_is_cut_before_the_commit_says_that_nothing_has_happened(
    on_postgresql: Place, postgresql_schema: str
) -> None:
    """R5: and the next attempt has a connection again."""
    with pytest.raises(Transient) as raised:
        on_postgresql.do(KEY, ASKED, meanwhile=lambda: _asked_of(postgresql_schema, _CUT_OTHERS))

    assert raised.value.type == "DatabaseUnavailable"
    assert on_postgresql.effects() == []
    on_postgresql.do(KEY, ASKED)
    assert on_postgresql.effects() == [(KEY, "do")]


def test_a_commit_that_nobody_confirms_is_unknown(on_postgresql: Place, postgresql_schema: str) -> None:
    """R5: it looks like any other lost connection, and is the one that loses money if it is taken for a no."""
    _asked_of(postgresql_schema, _CUT_AT_COMMIT)
    with pytest.raises(Unknown) as raised:
        on_postgresql.do(KEY, ASKED)

    assert (raised.value.type, raised.value.retryable) == ("OutcomeUnknown", True)
    _asked_of(postgresql_schema, "DROP TRIGGER cut ON effects")
    assert on_postgresql.undo(KEY).undone is False


def test_a_statement_that_is_refused_is_told_without_its_values(on_postgresql: Place, postgresql_schema: str) -> None:
    """Messages stay in histories."""
    _asked_of(postgresql_schema, "CREATE UNIQUE INDEX ON effects (effect_key)")
    _asked_of(postgresql_schema, f"INSERT INTO effects (effect_key, leg) VALUES ('{KEY}', 'by somebody else')")
    with pytest.raises(Transient) as raised:
        on_postgresql.do(KEY, ASKED)

    assert raised.value.type == "DatabaseRefused"
    assert "UniqueViolation" in str(raised.value)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("make", [Plain, BySavepoint])
def test_a_table_that_no_migration_has_made_is_named(make: Callable[[str], Plain], plain: Plain) -> None:
    with plain.engine.begin() as db:
        db.execute(sa.text("DROP TABLE sagadsl_calls"))
    with pytest.raises(Transient, match=r"no such table: sagadsl_calls; .* is made by a migration"):
        plain.do(KEY, ASKED)


def test_that_the_table_is_missing_is_told_on_postgresql_too(on_postgresql: Place, postgresql_schema: str) -> None:
    _asked_of(postgresql_schema, "DROP TABLE sagadsl_calls")
    with pytest.raises(Transient, match=r"sagadsl_calls. does not exist; .* is made by a migration"):
        on_postgresql.do(KEY, ASKED)


@pytest.mark.parametrize("how", ["commit", "rollback"])
def test_a_function_that_ends_the_transaction_itself_is_refused_and_has_no_effect(plain: Plain, how: str) -> None:
    """An effect without its record would happen again."""

    def act(session: Session) -> None:
        session.execute(sa.text("INSERT INTO effects (effect_key, leg) VALUES ('k', 'do')"))
        getattr(session, how)()
        session.execute(sa.text("INSERT INTO effects (effect_key, leg) VALUES ('k', 'more')"))

    with pytest.raises(RuntimeError, match=r"`acme\.pay` ended the transaction"):
        once(plain.sessions, KEY, act, name=NAME, asked=ASKED)
    assert plain.effects() == []


def _asks_without_transactions(place: Plain) -> None:
    """A repetition would be told an answer of an effect that was never there, and an undo would take it back."""
    for ask in (lambda: place.do(KEY, ASKED), lambda: place.undo(KEY)):
        with pytest.raises(RuntimeError, match="AUTOCOMMIT"):
            ask()
    with place.engine.connect() as db:
        assert db.execute(sa.text("SELECT count(*) FROM sagadsl_calls")).scalar() == 0
    assert place.effects() == []


def test_sqlite_that_commits_by_itself_is_refused(plain: Plain) -> None:
    plain.sessions = sessionmaker(plain.engine.execution_options(isolation_level="AUTOCOMMIT"))

    _asks_without_transactions(plain)


@pytest.mark.parametrize("make", [Plain, Asynchronous])
@pytest.mark.parametrize("given", [{"isolation_level": "AUTOCOMMIT"}, {"connect_args": {"autocommit": True}}])
def test_postgresql_that_commits_by_itself_is_refused(
    make: type[Plain], given: dict[str, Any], postgresql_schema: str
) -> None:
    """Whether SQLAlchemy was told, or the driver alone."""
    place = make(postgresql_schema.replace("postgresql://", "postgresql+psycopg://"))
    place.options = given
    place.sessions = sessionmaker(sa.create_engine(place.engine.url, **given, poolclass=sa.NullPool))

    _asks_without_transactions(place)
    place.engine.dispose()


def test_sqlite_whose_transactions_a_listener_begins_is_taken(plain: Plain) -> None:
    """As SQLAlchemy's manual shows it; to the driver, that looks like none."""
    plain.engine.dispose()
    sa.event.listen(plain.engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
    sa.event.listen(plain.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    def fail() -> None:
        raise ValueError("not done")

    with pytest.raises(ValueError, match="not done"):
        plain.do(KEY, ASKED, meanwhile=fail)
    plain.do(KEY, ASKED)
    assert plain.effects() == [(KEY, "do")]


def test_a_function_may_have_savepoints_of_its_own(plain: Plain) -> None:
    def act(session: Session) -> None:
        with session.begin_nested():
            session.execute(sa.text("INSERT INTO effects (effect_key, leg) VALUES ('k', 'do')"))
        savepoint = session.begin_nested()
        session.execute(sa.text("INSERT INTO effects (effect_key, leg) VALUES ('k', 'not this')"))
        savepoint.rollback()

    once(plain.sessions, KEY, act, name=NAME, asked=ASKED)
    assert plain.effects() == [("k", "do")]


def test_what_listens_for_the_commit_and_fails_makes_no_definite_no(plain: Plain) -> None:
    """The effect stands by then."""
    sessions = sessionmaker(plain.engine)

    @sa.event.listens_for(sessions, "after_commit")
    def fail(_session: Session) -> None:
        raise ValueError("the mail server is away")

    with pytest.raises(Unknown, match="did not confirm the commit: the mail server is away"):
        once(sessions, KEY, lambda _: None, name=NAME, asked=ASKED)
    assert undo(plain.sessions, KEY, lambda _session, _call: None, name=NAME).undone


def test_django_refuses_to_share_a_transaction(tmp_path: Path) -> None:
    """The outer one could be rolled back after the answer."""
    place = Django(f"sqlite:///{tmp_path}/acme.db")
    from django.db import transaction

    with transaction.atomic(using=place.alias), pytest.raises(RuntimeError, match="durable"):
        place.do(KEY, ASKED)


@dataclass(frozen=True)
class Receipt:
    """An answer."""

    reference: str
    total: Decimal


def test_the_answer_comes_in_the_type_that_is_asked_for(plain: Plain) -> None:
    receipt = Receipt("r-1", Decimal("5.50"))

    def ask() -> Receipt:
        return once(plain.sessions, KEY, lambda _: receipt, name=NAME, asked=None, returns=Receipt)

    assert [ask(), ask()] == [receipt, receipt]


def test_a_moment_in_the_future_is_refused(plain: Plain) -> None:
    with pytest.raises(ValueError, match="in the future"):
        forget(plain.sessions, older_than=timedelta(hours=-1), open_sagas=())


def test_many_records_are_forgotten_batch_by_batch(plain: Plain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagadsl.once.records.BATCH", 2)
    for number in range(5):
        plain.undo(f"order-{number}/pay/do")

    assert plain.forget(timedelta(0), {"order-0", "order-3"}) == 3
    assert plain.forget(timedelta(0), set()) == 2


_DIES = """
import os, signal, sys
from tests.once.places import PLACES
place, moment = PLACES[sys.argv[1]][0](sys.argv[2]), sys.argv[3]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
meanwhile = die if moment == "before" else lambda: None
print(place.do({key!r}, {asked!r}, answer=os.getpid(), meanwhile=meanwhile), flush=True)
die()
"""


@pytest.mark.parametrize("name", ["sqlalchemy, sqlite", "django, sqlite"])
@pytest.mark.parametrize("moment", ["before the commit", "between the commit and the answer"])
def test_a_worker_that_is_killed_loses_nothing_and_the_next_one_doubles_nothing(
    name: str, moment: str, tmp_path: Path
) -> None:
    """R49, R53."""
    url = f"sqlite:///{tmp_path}/acme.db"
    place: Any = PLACES[name][0](url)
    source = _DIES.format(key=KEY, asked=ASKED)
    command = [sys.executable, "-c", source, name, url, moment.partition(" ")[0]]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert died.returncode == -signal.SIGKILL, died.stderr
    first = died.stdout.strip()
    assert place.effects() == ([(KEY, "do")] if first else [])
    assert place.do(KEY, ASKED, answer="the next one's") == (int(first) if first else "the next one's")
    assert bool(first) == moment.startswith("between")
    assert place.effects() == [(KEY, "do")]
    if isinstance(place, Plain):
        place.engine.dispose()


@pytest.mark.parametrize("library", ["sqlalchemy", "django"])
def test_a_library_that_is_missing_is_named_with_its_extra(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, f"sagadsl.once.{library}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(PluginNeedsExtra, match=rf"pip install 'sagadsl\[{library}\]'"):
        importlib.import_module(f"sagadsl.once.{library}")
