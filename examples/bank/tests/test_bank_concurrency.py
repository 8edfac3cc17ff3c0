"""Threads and processes that hammer the same keys, and processes that are killed at it: the money adds up."""

from __future__ import annotations

import multiprocessing
import random
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import Engine

from sagadsl_bank import audit, database, errors, ledger
from sagadsl_bank.ledger import Kind, Receipt, Reversal

T = TypeVar("T")

THREADS = 8
PROCESSES = 3
TRANSFERS = range(12)
ACCOUNTS = ("alice", "bob", "carol")


@pytest.fixture
def bank(engine: Engine) -> Engine:
    """Three accounts with 1000 each."""
    for account in ACCOUNTS:
        ledger.open_account(engine, f"open-{account}", account)
        ledger.deposit(engine, f"fund-{account}", account, 1000)
    return engine


def _at_once(*calls: Callable[[], T]) -> list[T]:
    """Run *calls* in a thread each, all of them started before one goes on."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait(timeout=30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def _transfer(engine: Engine, number: int) -> None:
    source, target = ACCOUNTS[number % 3], ACCOUNTS[(number + 1) % 3]
    ledger.withdraw(engine, f"{number}/out", source, 10 + number)
    ledger.deposit(engine, f"{number}/in", target, 10 + number)


def _undo_transfer(engine: Engine, number: int) -> None:
    ledger.undo(engine, f"{number}/in", Kind.DEPOSIT)
    ledger.undo(engine, f"{number}/out", Kind.WITHDRAW)


def _hammer(url: str, seed: int) -> None:
    """Do every transfer, undo the even ones, all of it twice and in an order of its own."""
    engine = database.connect(url)
    doings = [partial(_transfer, engine, number) for number in TRANSFERS] * 2
    undoings = [partial(_undo_transfer, engine, number) for number in TRANSFERS if number % 2 == 0] * 2
    calls = [*doings, *undoings]
    random.Random(seed).shuffle(calls)
    for call in calls:
        try:
            call()
        except errors.AlreadyUndone:
            assert call.args[1] % 2 == 0
    engine.dispose()


def _assert_only_odd_transfers_are_in_effect(bank: Engine) -> None:
    expected = dict.fromkeys(ACCOUNTS, 1000)
    for number in TRANSFERS:
        if number % 2:
            expected[ACCOUNTS[number % 3]] -= 10 + number
            expected[ACCOUNTS[(number + 1) % 3]] += 10 + number
    assert audit.check(bank, total=3000).problems == ()
    assert {each.account: each.balance for each in audit.balances(bank)} == expected


def test_threads_that_do_and_undo_the_same_transfers_keep_the_total(bank: Engine, url: str) -> None:
    """R1, R49: whatever the order, undone ones stay undone and the others happen once."""
    _at_once(*[partial(_hammer, url, seed) for seed in range(THREADS)])

    _assert_only_odd_transfers_are_in_effect(bank)


def test_processes_that_do_and_undo_the_same_transfers_keep_the_total(bank: Engine, url: str) -> None:
    """R1, R49: several workers share one database."""
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_hammer, args=(url, seed)) for seed in range(PROCESSES)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=50)

    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    _assert_only_odd_transfers_are_in_effect(bank)


def test_the_same_call_in_all_threads_at_once_gets_one_answer(bank: Engine) -> None:
    """R49: a second attempt may start while the first, timed out, is still running."""
    answers = _at_once(*[lambda: ledger.withdraw(bank, "k", "alice", 7)] * THREADS)

    assert answers == [Receipt("k", "alice", 993)] * THREADS
    assert audit.check(bank, total=2993).problems == ()


def test_a_do_that_races_its_undo_ends_undone_whoever_wins(bank: Engine) -> None:
    """R5, R12: the timed-out attempt and the compensation run at the same time."""

    def do(key: str) -> Receipt | Reversal | None:
        try:
            return ledger.withdraw(bank, key, "alice", 100)
        except errors.AlreadyUndone:
            return None

    for number in range(25):
        key = f"k{number}"
        answers = _at_once(partial(do, key), partial(ledger.undo, bank, key, Kind.WITHDRAW))
        done = [Receipt(key, "alice", 900), Reversal(key, True, "alice", 1000)]
        assert answers in (done, [None, Reversal(key, False, None, None)])
    assert audit.check(bank, total=3000).problems == ()


def test_money_for_one_is_not_spent_twice(bank: Engine) -> None:
    """No lost update: eight withdrawals of all the money, one succeeds."""

    def spend(number: int) -> bool:
        try:
            ledger.withdraw(bank, f"k{number}", "alice", 1000)
        except errors.InsufficientFunds:
            return False
        return True

    spent = _at_once(*[partial(spend, number) for number in range(THREADS)])

    assert sorted(spent) == [False] * (THREADS - 1) + [True]
    assert audit.check(bank, total=2000).problems == ()


def test_one_new_account_opened_by_all_at_once_is_opened_by_one(bank: Engine) -> None:
    """There is no row to lock yet, and still there is one winner."""

    def opens(number: int) -> bool:
        try:
            ledger.open_account(bank, f"k{number}", "dave")
        except errors.AccountExists:
            return False
        return True

    opened = _at_once(*[partial(opens, number) for number in range(THREADS)])

    assert sorted(opened) == [False] * (THREADS - 1) + [True]
    assert audit.check(bank, total=3000).problems == ()


def test_tables_made_by_all_at_once_are_made_once(url: str) -> None:
    """Workers that start together on an empty database do not trip over each other."""

    def start() -> int:
        engine = database.connect(url)
        database.create(engine)
        total = audit.check(engine).total
        engine.dispose()
        return total

    assert _at_once(*[start] * THREADS) == [0] * THREADS


def test_a_killed_process_loses_nothing_and_its_successor_doubles_nothing(bank: Engine, url: str) -> None:
    """R53: the worker dies at any moment; the same calls again bring every transfer to its end, once."""
    code = (
        "import sys; from sagadsl_bank import database; from test_bank_concurrency import TRANSFERS, _transfer\n"
        "engine = database.connect(sys.argv[1])\n"
        "for number in TRANSFERS: _transfer(engine, number); print(number, flush=True)\n"
    )
    path = [folder for folder in sys.path if folder]
    for survived in (1, 5, 9):
        command = [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            for _ in range(survived):
                assert worker.stdout.readline() != ""
            worker.kill()
        audited = audit.check(bank)
        assert audited.problems == ()
        assert 3000 - max(TRANSFERS) - 10 <= audited.total <= 3000  # at most one transfer is half way

    for number in TRANSFERS:
        _transfer(bank, number)
    assert audit.check(bank, total=3000).problems == ()
    for number in TRANSFERS:
        _undo_transfer(bank, number)
    assert {each.balance for each in audit.balances(bank)} == {1000}
