"""The bank's rules: each call one local transaction, done at most once for its key, undone at most once.

Rule 1: a key belongs to one movement for ever. Repeating a call, or its undo, gives the first answer again.
Rule 2: an undo without a do succeeds and leaves a tombstone: nothing happened, and now nothing can.
Rule 3: a do that arrives after its undo is refused. The undo wins, whatever the network did to their order.
Rule 4: what is refused leaves no trace, so the same key may be tried again (after a top-up, say).

Knows nothing of sagas, retries or who calls. Locks are taken in one order, the key's row before the account's, and a
transaction takes at most one of each, so two calls never wait for each other in a circle.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, assert_never

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Row
from sqlalchemy.dialects import postgresql, sqlite

from sagadsl_bank.database import ACCOUNTS, MOVEMENTS, POSTINGS, snapshot, transaction
from sagadsl_bank.errors import (
    LARGEST,
    AccountClosed,
    AccountExists,
    AccountNotEmpty,
    AlreadyUndone,
    BalanceTooLarge,
    InsufficientFunds,
    KeyReused,
    UnknownAccount,
)


class Kind(StrEnum):
    """What a movement does."""

    OPEN = "open_account"
    CLOSE = "close_account"
    WITHDRAW = "withdraw"
    DEPOSIT = "deposit"


class State(StrEnum):
    """What became of a key."""

    DONE = "done"
    UNDONE = "undone"
    REFUSED = "refused"
    """A tombstone: undone before it was done, so it never will be."""


class Leg(StrEnum):
    """Which half of a movement a posting belongs to."""

    DO = "do"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a movement.

    Attributes:
        balance: What the account held right after it; the same in every repetition.
    """

    key: str
    account: str
    balance: int


@dataclass(frozen=True, slots=True)
class Reversal:
    """The answer to an undo.

    Attributes:
        undone: False if there was nothing to undo; from now on the movement is refused.
        account: None if there was nothing to undo.
        balance: What the account held right after it; None if there was nothing to undo.
    """

    key: str
    undone: bool
    account: str | None
    balance: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as it is now."""

    account: str
    balance: int
    is_open: bool


def open_account(engine: Engine, key: str, account: str) -> Receipt:
    """Open *account*, or open a closed one again. It starts empty: opening makes no money."""
    return move(engine, key, Kind.OPEN, account)


def close_account(engine: Engine, key: str, account: str) -> Receipt:
    """Close an empty account."""
    return move(engine, key, Kind.CLOSE, account)


def withdraw(engine: Engine, key: str, account: str, amount: int) -> Receipt:
    """Take *amount* (minor units, at least 1) out of *account*."""
    return move(engine, key, Kind.WITHDRAW, account, amount)


def deposit(engine: Engine, key: str, account: str, amount: int) -> Receipt:
    """Put *amount* (minor units, at least 1) into *account*."""
    return move(engine, key, Kind.DEPOSIT, account, amount)


def move(engine: Engine, key: str, kind: Kind, account: str, amount: int = 0) -> Receipt:
    """One movement of any *kind*; *amount* counts only where money moves."""
    if kind in (Kind.WITHDRAW, Kind.DEPOSIT) and amount < 1:
        raise ValueError(f"an amount is at least 1 minor unit, not `{amount}`")
    with transaction(engine) as db:
        if not _claim(db, key, kind, State.DONE, account=account, amount=amount):
            return _first_answer(_movement(db, key), kind, account, amount)
        balance = _perform(db, key, kind, account, amount)
        db.execute(sa.update(MOVEMENTS).where(MOVEMENTS.c.key == key).values(balance=balance))
    return Receipt(key, account, balance)


def undo(engine: Engine, key: str, kind: Kind) -> Reversal:
    """Undo the movement of that *key*, or make sure that it never happens.

    A closed account is no obstacle: money that is owed goes back. Undoing a deposit whose money is gone raises
    `InsufficientFunds` and leaves the movement done, to be tried again when the money is there.
    """
    with transaction(engine) as db:
        if _claim(db, key, kind, State.REFUSED):
            return Reversal(key, False, None, None)
        movement = _movement(db, key, lock=True)
        if movement.kind != kind:
            raise KeyReused(key, movement.kind, f"undo of {kind}")
        match State(movement.state):
            case State.REFUSED:
                return Reversal(key, False, None, None)
            case State.UNDONE:
                return Reversal(key, True, movement.account, movement.undone_balance)
            case State.DONE:
                balance = _reverse(db, movement, _locked(db, movement.account))
                change = {"state": State.UNDONE, "undone_balance": balance, "undone_at": _now()}
                db.execute(sa.update(MOVEMENTS).where(MOVEMENTS.c.key == key).values(change))
                return Reversal(key, True, movement.account, balance)
            case never:
                assert_never(never)


def reference(key: str) -> str:
    """A short name of the movement for people to quote; it follows from the key."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def standing(engine: Engine, account: str) -> Standing:
    """What *account* holds now."""
    with snapshot(engine) as db:
        row = db.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.name == account)).one_or_none()
    if row is None:
        raise UnknownAccount(account)
    return Standing(row.name, row.balance, row.is_open)


def _claim(db: Connection, key: str, kind: Kind, state: State, *, account: str | None = None, amount: int = 0) -> bool:
    """Write the key's row if there is none; False if there is one.

    Where another transaction is just writing the same key, this waits for its end: the primary key is the lock.
    """
    row = {"key": key, "kind": kind, "state": state, "account": account, "amount": amount, "created_at": _now()}
    return _insert_once(db, MOVEMENTS, row)


def _insert_once(db: Connection, table: sa.Table, row: dict[str, Any]) -> bool:
    """False if there is a row with this primary key already."""
    insert = postgresql.insert(table) if db.dialect.name == "postgresql" else sqlite.insert(table)
    # RETURNING, since SQLAlchemy promises a row count for UPDATE and DELETE only
    written = insert.values(row).on_conflict_do_nothing().returning(sa.literal(1))
    return db.execute(written).first() is not None


def _first_answer(movement: Row[Any], kind: Kind, account: str, amount: int) -> Receipt:
    if movement.kind != kind:
        raise KeyReused(movement.key, movement.kind, kind)
    if movement.state != State.DONE:
        raise AlreadyUndone(movement.key)
    if (movement.account, movement.amount) != (account, amount):
        before, now = f"{kind} {movement.amount} {movement.account}", f"{kind} {amount} {account}"
        raise KeyReused(movement.key, before, now)
    return Receipt(movement.key, account, movement.balance)


def _perform(db: Connection, key: str, kind: Kind, account: str, amount: int) -> int:
    """Do the movement; returns the new balance."""
    row = _locked(db, account)
    if kind is Kind.OPEN:
        return _open(db, key, account, row)
    if row is None:
        raise UnknownAccount(account)
    if not row.is_open:
        raise AccountClosed(account)
    match kind:
        case Kind.CLOSE:
            return _mark(db, key, row, is_open=False)
        case Kind.WITHDRAW:
            return _post(db, key, Leg.DO, row, -amount)
        case Kind.DEPOSIT:
            return _post(db, key, Leg.DO, row, amount)
        case never:
            assert_never(never)


def _reverse(db: Connection, movement: Row[Any], row: Row[Any] | None) -> int:
    """Undo a movement that was done; returns the new balance."""
    if row is None:
        raise UnknownAccount(movement.account)
    match Kind(movement.kind):
        case Kind.WITHDRAW:
            return _post(db, movement.key, Leg.UNDO, row, movement.amount)
        case Kind.DEPOSIT:
            return _post(db, movement.key, Leg.UNDO, row, -movement.amount)
        case Kind.OPEN | Kind.CLOSE as kind:
            # Opened or closed again by somebody else since then: his word stands, ours is no longer in effect.
            if row.changed_by != movement.key:
                return int(row.balance)
            return _mark(db, movement.key, row, is_open=kind is Kind.CLOSE)
        case never:
            assert_never(never)


def _open(db: Connection, key: str, account: str, row: Row[Any] | None) -> int:
    if row is None:
        # Two calls may open the same new account at once, and there is no row yet to lock.
        if not _insert_once(db, ACCOUNTS, {"name": account, "balance": 0, "is_open": True, "changed_by": key}):
            raise AccountExists(account)
        return 0
    if row.is_open:
        raise AccountExists(account)
    return _mark(db, key, row, is_open=True)


def _mark(db: Connection, key: str, row: Row[Any], *, is_open: bool) -> int:
    if not is_open and row.balance:
        raise AccountNotEmpty(row.name, row.balance)
    change = {"is_open": is_open, "changed_by": key}
    db.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.name == row.name).values(change))
    return int(row.balance)


def _post(db: Connection, key: str, leg: Leg, row: Row[Any], amount: int) -> int:
    balance = int(row.balance) + amount
    if balance < 0:
        raise InsufficientFunds(row.name, row.balance, -amount)
    if balance > LARGEST:
        raise BalanceTooLarge(row.name, amount)
    db.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.name == row.name).values(balance=balance))
    posting = {"key": key, "leg": leg, "account": row.name, "amount": amount, "balance": balance}
    db.execute(sa.insert(POSTINGS).values(posting))
    return balance


def _movement(db: Connection, key: str, *, lock: bool = False) -> Row[Any]:
    query = sa.select(MOVEMENTS).where(MOVEMENTS.c.key == key)
    return db.execute(query.with_for_update() if lock else query).one()


def _locked(db: Connection, account: str) -> Row[Any] | None:
    return db.execute(sa.select(ACCOUNTS).where(ACCOUNTS.c.name == account).with_for_update()).one_or_none()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
