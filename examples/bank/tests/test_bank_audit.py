"""The audit is the judge of every crash test, so each kind of damage is done to a bank and has to be found."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine

from sagadsl_bank import audit, ledger
from sagadsl_bank.ledger import Kind


@pytest.fixture
def bank(engine: Engine) -> Engine:
    """One movement of each kind and state; alice holds 95."""
    ledger.open_account(engine, "open", "alice")
    ledger.deposit(engine, "fund", "alice", 100)
    ledger.withdraw(engine, "out", "alice", 5)
    ledger.withdraw(engine, "back", "alice", 30)
    ledger.undo(engine, "back", Kind.WITHDRAW)
    ledger.undo(engine, "never", Kind.DEPOSIT)
    return engine


def test_a_sound_bank_has_no_problems_and_its_keys_are_counted(bank: Engine) -> None:
    """R1: the rule that every demo and crash test ends with."""
    assert audit.check(bank, total=95) == audit.Audit(95, {"done": 3, "undone": 1, "refused": 1}, ())


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE accounts SET balance = balance + 1", "account `alice` holds 96, its postings give 95"),
        (
            "INSERT INTO postings SELECT 9, key, leg, account, amount, 195 FROM postings WHERE key = 'fund'",
            "key `fund` (deposit, done) moved +100 on `alice` (do) and +100 on `alice` (do), "
            "+100 on `alice` (do) was due",
        ),
        (
            "DELETE FROM postings WHERE key = 'back' AND leg = 'undo'",
            "key `back` (withdraw, undone) moved -30 on `alice` (do), "
            "-30 on `alice` (do) and +30 on `alice` (undo) was due",
        ),
        (
            "UPDATE movements SET state = 'done' WHERE key = 'never'",
            "key `never` (deposit, done) moved nothing, +0 on `None` (do) was due",
        ),
        (
            "UPDATE movements SET state = 'refused' WHERE key = 'out'",
            "key `out` (withdraw, refused) moved -5 on `alice` (do), nothing was due",
        ),
        (
            "UPDATE postings SET balance = 94 WHERE key = 'out'",
            "posting 2 says that `alice` held 94 after it, the postings so far give 95",
        ),
    ],
    ids=["balance", "twice", "half", "unposted", "tombstone", "order"],
)
def test_each_kind_of_damage_is_found_and_named(bank: Engine, damage: str, problem: str) -> None:
    """R1: money made, money lost, a key applied twice, an undo without its effect."""
    with bank.begin() as db:
        db.exec_driver_sql("DROP INDEX postings_once")
        db.exec_driver_sql(damage)

    assert problem in audit.check(bank).problems


def test_money_that_was_moved_without_a_key_is_found(bank: Engine) -> None:
    """R49: nothing moves without a key."""
    delete = "DELETE FROM movements WHERE key = 'out'"
    if bank.dialect.name == "postgresql":
        with bank.begin() as db:
            db.exec_driver_sql("SET LOCAL session_replication_role = replica")  # foreign keys are not looked at
            db.exec_driver_sql(delete)
    else:
        with closing(sqlite3.connect(str(bank.url.database))) as other, other:  # the same, by default
            other.execute(delete)

    assert "key `out` moved money without being recorded" in audit.check(bank).problems


def test_a_total_that_is_not_the_expected_one_is_a_problem(bank: Engine) -> None:
    """Only the caller knows what the bank should hold."""
    assert audit.check(bank, total=100).problems == ("the bank holds 95 in all, 100 were expected",)


def test_the_history_shows_every_key_or_those_of_one_account(bank: Engine) -> None:
    ledger.open_account(bank, "open-bob", "bob")

    assert [(entry.key, entry.state) for entry in audit.history(bank)] == [
        ("open", "done"),
        ("fund", "done"),
        ("out", "done"),
        ("back", "undone"),
        ("never", "refused"),
        ("open-bob", "done"),
    ]
    assert [entry.key for entry in audit.history(bank, "bob")] == ["open-bob"]
