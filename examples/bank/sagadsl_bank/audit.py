"""Reads the whole bank and says whether it adds up. Writes nothing, and trusts no table alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, Row

from sagadsl_bank.database import ACCOUNTS, MOVEMENTS, POSTINGS, snapshot
from sagadsl_bank.ledger import Kind, Leg, Standing, State, reference

_SIGN = {Kind.WITHDRAW: -1, Kind.DEPOSIT: 1, Kind.OPEN: 0, Kind.CLOSE: 0}
_LEGS = {State.DONE: [Leg.DO], State.UNDONE: [Leg.DO, Leg.UNDO], State.REFUSED: []}


@dataclass(frozen=True, slots=True)
class Entry:
    """One key and what became of it.

    Attributes:
        reference: Short name of the movement, for people.
        account: None in a tombstone.
        created_at: ISO text, UTC.
        undone_at: ISO text, UTC; None if it is not undone.
    """

    key: str
    reference: str
    kind: str
    state: str
    account: str | None
    amount: int
    created_at: str
    undone_at: str | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What `check` found.

    Attributes:
        total: Sum of all balances.
        keys: How many keys the bank has seen, by state.
        problems: One sentence each; empty if everything adds up.
    """

    total: int
    keys: dict[str, int]
    problems: tuple[str, ...]


def balances(engine: Engine) -> list[Standing]:
    """All accounts, by name."""
    with snapshot(engine) as db:
        return _standings(db)


def history(engine: Engine, account: str | None = None) -> list[Entry]:
    """All keys in order of their first arrival; only those of *account* if it is given."""
    query = sa.select(MOVEMENTS).order_by(MOVEMENTS.c.created_at, MOVEMENTS.c.key)
    if account is not None:
        query = query.where(MOVEMENTS.c.account == account)
    with snapshot(engine) as db:
        return [
            Entry(
                row.key, reference(row.key), row.kind, row.state, row.account, row.amount, row.created_at, row.undone_at
            )
            for row in db.execute(query)
        ]


def check(engine: Engine, total: int | None = None) -> Audit:
    """Compare balances, postings and keys with each other, and the sum of all money with *total* if it is given."""
    with snapshot(engine) as db:
        standings = _standings(db)
        postings = db.execute(sa.select(POSTINGS).order_by(POSTINGS.c.id)).all()
        movements = {row.key: row for row in db.execute(sa.select(MOVEMENTS).order_by(MOVEMENTS.c.key))}
    held = sum(standing.balance for standing in standings)
    problems = [*_unbalanced(standings, postings), *_misapplied(movements, postings)]
    if total is not None and held != total:
        problems.append(f"the bank holds {held} in all, {total} were expected")
    return Audit(held, dict(Counter(row.state for row in movements.values())), tuple(problems))


def _standings(db: Connection) -> list[Standing]:
    rows = db.execute(sa.select(ACCOUNTS).order_by(ACCOUNTS.c.name))
    return [Standing(row.name, row.balance, row.is_open) for row in rows]


def _unbalanced(standings: Sequence[Standing], postings: Sequence[Row[Any]]) -> Iterator[str]:
    """Each balance is the sum of its postings, and each posting starts where the one before ended."""
    sums: dict[str, int] = defaultdict(int)
    for row in postings:
        sums[row.account] += row.amount
        if row.balance != sums[row.account]:
            found = f"says that `{row.account}` held {row.balance} after it, the postings so far give"
            yield f"posting {row.id} {found} {sums[row.account]}"
    for standing in standings:
        posted = sums[standing.account]
        if standing.balance != posted:
            yield f"account `{standing.account}` holds {standing.balance}, its postings give {posted}"
        if standing.balance < 0:
            yield f"account `{standing.account}` holds less than nothing: {standing.balance}"


def _misapplied(movements: Mapping[str, Row[Any]], postings: Sequence[Row[Any]]) -> Iterator[str]:
    """Each key moved its amount once, back once if it is undone, and never if it was refused."""
    moved: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in postings:
        moved[row.key].append(row)
    for key in sorted(moved.keys() - movements.keys()):
        yield f"key `{key}` moved money without being recorded"
    for key, movement in movements.items():
        sign = _SIGN[Kind(movement.kind)]
        legs = _LEGS[State(movement.state)] if sign else []
        due = [(leg, movement.account, (-1 if leg is Leg.UNDO else 1) * sign * movement.amount) for leg in legs]
        done = [(row.leg, row.account, row.amount) for row in moved[key]]
        if done != due:
            yield f"key `{key}` ({movement.kind}, {movement.state}) moved {_text(done)}, {_text(due)} was due"


def _text(moves: Sequence[tuple[Any, Any, Any]]) -> str:
    return " and ".join(f"{amount:+} on `{account}` ({leg})" for leg, account, amount in moves) or "nothing"
