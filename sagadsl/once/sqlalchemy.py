"""`once` and `undo` for SQLAlchemy: the record of a call and its effect in one transaction of one session.

Give a `sessionmaker` (or, to the functions that end in `_async`, an `async_sessionmaker`); each call opens a session of
its own. SQLite and PostgreSQL take the record by `ON CONFLICT DO NOTHING`, other databases inside a savepoint.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar, overload

from sagadsl.once import records
from sagadsl.once.records import DONE, REFUSED, UNDONE, CallRecord, KeptCall, TakenBack
from sagadsl.plugins.problems import PluginNeedsExtra

if find_spec("sqlalchemy") is None:
    raise PluginNeedsExtra("sqlalchemy", "pip install 'sagadsl[sqlalchemy]'")

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, sessionmaker

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker  # needs more than `sagadsl[sqlalchemy]` brings

_Out = TypeVar("_Out")


def calls_table(metadata: sa.MetaData) -> sa.Table:
    """Add the table of the records to the tables of a project, so that its migrations make it."""
    return sa.Table(
        records.TABLE,
        metadata,
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("undo_answer", sa.Text),
        sa.Column("changed_at", sa.String(32), nullable=False, index=True),
    )


_CALLS = calls_table(sa.MetaData())


@overload
def once(
    sessions: sessionmaker[Session],
    key: str,
    do: Callable[[Session], Any],
    *,
    name: str,
    asked: Any,
    returns: type[_Out],
) -> _Out: ...


@overload
def once(sessions: sessionmaker[Session], key: str, do: Callable[[Session], Any], *, name: str, asked: Any) -> Any: ...


def once(
    sessions: sessionmaker[Session],
    key: str,
    do: Callable[[Session], Any],
    *,
    name: str,
    asked: Any,
    returns: type[Any] | None = None,
) -> Any:
    """Let *do* have its effect once for this key, and give its first answer to every repetition.

    *do* works with the session that it gets, and neither commits nor rolls back. Whatever it raises takes everything
    back, the record too, so that the same call may come again.

    Args:
        key: The idempotency key of the call, `ctx.idempotency_key`.
        name: Of the activity: a key belongs to one.
        asked: What the call was asked to do, kept as JSON, and shown to its undo. The same key with something else is
            an error.
        returns: Type of the answer, for pydantic to read; JSON data if left out.

    Raises:
        Permanent: `AlreadyUndone`: the undo was here before.
        Unknown: `KeyReused`: the key belongs to another call. `OutcomeUnknown`: the commit was not confirmed.
        Transient: `DatabaseUnavailable`, `DatabaseRefused`: nothing has happened.
        RuntimeError: The engine has no transactions (`AUTOCOMMIT`), or *do* has ended the one that it got.
    """
    wanted = records.packed(asked)
    with _transaction(sessions, name) as session:
        known = _claim(session, records.row_of(key, name, DONE, wanted))
        if known is None:
            answer = _done(session, key, do(session))
        else:
            answer = records.first_answer(known, name, wanted)
    return records.unpacked(answer, returns)


def undo(
    sessions: sessionmaker[Session], key: str, take_back: Callable[[Session, KeptCall], Any], *, name: str
) -> TakenBack:
    """Let *take_back* undo the call of this key, once; a call that never came is refused from now on.

    Args:
        key: The idempotency key of the call that is undone, `ctx.step_idempotency_key` in a compensation.
        name: Of the activity that is undone.

    Raises:
        Unknown, Transient: As `once` does. What *take_back* raises leaves the call done.
    """
    with _transaction(sessions, name) as session:
        known = _claim(session, records.row_of(key, name, REFUSED, "null"))
        if known is None:
            return TakenBack(False)
        if (before := records.undone_before(known, name)) is not None:
            return before
        answer = _undone(session, key, take_back(session, records.kept_call(known)))
    return TakenBack(True, records.unpacked(answer))


async def once_async(
    sessions: async_sessionmaker[AsyncSession],
    key: str,
    do: Callable[[AsyncSession], Awaitable[Any]],
    *,
    name: str,
    asked: Any,
    returns: type[Any] | None = None,
) -> Any:
    """Do as `once` does, with an asynchronous session and function."""
    wanted = records.packed(asked)
    async with _async_transaction(sessions, name) as session:
        known = await session.run_sync(_claim, records.row_of(key, name, DONE, wanted))
        if known is None:
            answer = await session.run_sync(_done, key, await do(session))
        else:
            answer = records.first_answer(known, name, wanted)
    return records.unpacked(answer, returns)


async def undo_async(
    sessions: async_sessionmaker[AsyncSession],
    key: str,
    take_back: Callable[[AsyncSession, KeptCall], Awaitable[Any]],
    *,
    name: str,
) -> TakenBack:
    """Do as `undo` does, with an asynchronous session and function."""
    async with _async_transaction(sessions, name) as session:
        known = await session.run_sync(_claim, records.row_of(key, name, REFUSED, "null"))
        if known is None:
            return TakenBack(False)
        if (before := records.undone_before(known, name)) is not None:
            return before
        answer = await session.run_sync(_undone, key, await take_back(session, records.kept_call(known)))
    return TakenBack(True, records.unpacked(answer))


def forget(sessions: sessionmaker[Session], *, older_than: timedelta, open_sagas: Collection[str]) -> int:
    """Remove records that nothing has changed for that long, and say how many they were.

    Args:
        older_than: Longer than any attempt can be late, and than a saga that has ended may be started or reset again.
        open_sagas: Ids of the sagas that are open, and of those children of theirs that have ended and whose ids were
            chosen (`workflow_id`); docs/once.md lists both. Their records stay: without its record, an undo would find
            nothing to undo.
    """
    before, last, removed = records.until(older_than), "", 0
    open_ = frozenset(open_sagas)
    while True:
        with _transaction(sessions, "forget") as session:
            old = sa.select(_CALLS.c.id, _CALLS.c.key).where(_CALLS.c.changed_at < before, _CALLS.c.id > last)
            found = session.execute(old.order_by(_CALLS.c.id).limit(records.BATCH)).all()
            if not found:
                return removed
            last = found[-1].id
            over = [row.id for row in found if not records.belongs_to(row.key, open_)]
            session.execute(sa.delete(_CALLS).where(_CALLS.c.id.in_(over), _CALLS.c.changed_at < before))
        removed += len(over)


@contextmanager
def _transaction(sessions: sessionmaker[Session], name: str) -> Iterator[Session]:
    """One transaction: all of it or, after any exception, nothing."""
    with _in_words_of_a_saga(), sessions() as session:
        with _left_alone(session, name):
            _want_transactions(session)
            yield session
            session.flush()
        try:
            session.commit()
        except Exception as error:  # noqa: BLE001 # also of a listener that runs after the commit
            raise records.unconfirmed(_origin(error)) from None


@asynccontextmanager
async def _async_transaction(sessions: async_sessionmaker[AsyncSession], name: str) -> AsyncIterator[AsyncSession]:
    with _in_words_of_a_saga():
        async with sessions() as session:
            with _left_alone(session.sync_session, name):
                await session.run_sync(_want_transactions)
                yield session
                await session.flush()
            try:
                await session.commit()
            except Exception as error:  # noqa: BLE001 # as above
                raise records.unconfirmed(_origin(error)) from None


@contextmanager
def _left_alone(session: Session, name: str) -> Iterator[None]:
    """Let nobody but us end the transaction: a commit of the function's own would part the effect from its record."""

    def refuse(_session: Session) -> None:
        if not session.in_nested_transaction():
            raise records.ended_early(name)

    transaction = session.begin()
    event.listen(session, "before_commit", refuse)
    try:
        yield
    finally:
        event.remove(session, "before_commit", refuse)
    if session.get_transaction() is not transaction:
        raise records.ended_early(name)


def _want_transactions(session: Session) -> None:
    """Refuse a connection that commits each statement by itself, before anything is written.

    The level that the database tells is no help: SQLite and PostgreSQL name theirs also where the driver commits.
    """
    connection = session.connection()
    if getattr(connection.connection.driver_connection, "in_transaction", False):
        return  # SQLite, with a listener that begins in the driver's stead
    if _commits_by_itself(connection):
        raise records.without_transactions()


def _commits_by_itself(connection: sa.Connection) -> bool:
    dialect = connection.dialect
    with suppress(AttributeError, NotImplementedError):  # since SQLAlchemy 2.0.43, and not of every driver
        return bool(dialect.detect_autocommit_setting(connection.connection.dbapi_connection))  # type: ignore[arg-type]
    of_engine = getattr(dialect, "_on_connect_isolation_level", None)
    return bool(connection.get_execution_options().get("isolation_level", of_engine) == "AUTOCOMMIT")


@contextmanager
def _in_words_of_a_saga() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise records.unavailable(_origin(error)) from None
    except exc.DBAPIError as error:
        say = records.unavailable if error.connection_invalidated else records.refused
        raise say(_origin(error)) from None


def _origin(error: Exception) -> BaseException:
    """Return the driver's own error: SQLAlchemy's text quotes the statement, too much for a history."""
    return (error.orig if isinstance(error, exc.DBAPIError) else None) or error


def _claim(session: Session, row: dict[str, str]) -> CallRecord | None:
    """Write the row of a key, and return None; or return the one that is there.

    It comes first, since it is also the lock: where another transaction is just writing the same key, this waits for
    its end.
    """
    if _inserted(session, row):
        return None
    columns = [_CALLS.c[name] for name in CallRecord.__dataclass_fields__]
    known = session.execute(sa.select(*columns).where(_CALLS.c.id == row["id"]).with_for_update()).one_or_none()
    if known is None:  # removed meanwhile, or hidden by a snapshot of the transaction
        raise records.unavailable(RuntimeError("the record of the key was just changed by another transaction"))
    return CallRecord(*known)


def _inserted(session: Session, row: dict[str, str]) -> bool:
    dialect = session.get_bind().dialect.name
    if dialect in ("postgresql", "sqlite"):
        insert = (postgresql if dialect == "postgresql" else sqlite).insert(_CALLS)
        # RETURNING, since SQLAlchemy promises a row count for UPDATE and DELETE only
        written = insert.values(row).on_conflict_do_nothing().returning(sa.literal(1))
        return session.execute(written).first() is not None
    try:
        with session.begin_nested():
            session.execute(sa.insert(_CALLS).values(row))
    except exc.IntegrityError:
        return False
    return True


def _done(session: Session, key: str, answer: Any) -> str:
    return _changed(session, key, "answer", answer, DONE)


def _undone(session: Session, key: str, answer: Any) -> str:
    return _changed(session, key, "undo_answer", answer, UNDONE)


def _changed(session: Session, key: str, column: str, answer: Any, state: str) -> str:
    text = records.packed(answer)
    change = {column: text, "state": state, "changed_at": records.now()}
    session.execute(sa.update(_CALLS).where(_CALLS.c.id == records.row_id(key)).values(change))
    return text
