"""Doing and undoing by key, in every order in which a network can deliver them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from sqlalchemy import Engine

from sagadsl_bank import audit, errors, ledger
from sagadsl_bank.ledger import Kind, Receipt, Reversal, Standing

ALICE = Standing("alice", 100, True)
EMPTY = Standing("empty", 0, True)


@dataclass(frozen=True, slots=True)
class Case:
    """A movement that is possible in the `start` world.

    Attributes:
        after: What differs from the start once it is done.
        reversed: What differs from the start once it is done and undone.
    """

    kind: Kind
    do: Callable[[Engine, str], Receipt]
    other: Callable[[Engine, str], Receipt]
    after: Standing
    reversed: Standing


CASES = [
    Case(
        Kind.WITHDRAW,
        lambda engine, key: ledger.withdraw(engine, key, "alice", 30),
        lambda engine, key: ledger.withdraw(engine, key, "alice", 31),
        after=Standing("alice", 70, True),
        reversed=ALICE,
    ),
    Case(
        Kind.DEPOSIT,
        lambda engine, key: ledger.deposit(engine, key, "alice", 30),
        lambda engine, key: ledger.deposit(engine, key, "empty", 30),
        after=Standing("alice", 130, True),
        reversed=ALICE,
    ),
    Case(
        Kind.OPEN,
        lambda engine, key: ledger.open_account(engine, key, "new"),
        lambda engine, key: ledger.open_account(engine, key, "newer"),
        after=Standing("new", 0, True),
        reversed=Standing("new", 0, False),
    ),
    Case(
        Kind.CLOSE,
        lambda engine, key: ledger.close_account(engine, key, "empty"),
        lambda engine, key: ledger.close_account(engine, key, "alice"),
        after=Standing("empty", 0, False),
        reversed=EMPTY,
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: str(case.kind))
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def bank(engine: Engine) -> Engine:
    """alice holds 100, one account is empty."""
    ledger.open_account(engine, "open-alice", "alice")
    ledger.deposit(engine, "fund-alice", "alice", 100)
    ledger.open_account(engine, "open-empty", "empty")
    return engine


def _world(*changed: Standing) -> dict[str, Standing]:
    return {standing.account: standing for standing in (ALICE, EMPTY, *changed)}


def _found(bank: Engine) -> dict[str, Standing]:
    assert audit.check(bank).problems == ()
    return {standing.account: standing for standing in audit.balances(bank)}


def test_a_movement_done_twice_moves_once_and_answers_the_same(bank: Engine, case: Case) -> None:
    """R49: the key is equal over attempts, so an attempt whose answer was lost is harmless."""
    first = case.do(bank, "k")
    second = case.do(bank, "k")

    assert first == second == Receipt("k", case.after.account, case.after.balance)
    assert _found(bank) == _world(case.after)


def test_an_undo_done_twice_undoes_once_and_answers_the_same(bank: Engine, case: Case) -> None:
    """R1: exactly once, although attempts may repeat."""
    case.do(bank, "k")
    first = ledger.undo(bank, "k", case.kind)
    second = ledger.undo(bank, "k", case.kind)

    assert first == second == Reversal("k", True, case.reversed.account, case.reversed.balance)
    assert _found(bank) == _world(case.reversed)


def test_an_undo_without_a_do_succeeds_and_changes_nothing(bank: Engine, case: Case) -> None:
    """R3, R5: an unknown outcome is undone, and may turn out never to have happened."""
    first = ledger.undo(bank, "k", case.kind)
    second = ledger.undo(bank, "k", case.kind)

    assert first == second == Reversal("k", False, None, None)
    assert _found(bank) == _world()


def test_a_do_that_arrives_after_its_undo_is_refused_for_ever(bank: Engine, case: Case) -> None:
    """R5: the attempt that timed out may still be under way while the saga undoes it."""
    ledger.undo(bank, "k", case.kind)
    for _ in range(2):
        with pytest.raises(errors.AlreadyUndone, match="`k` was already undone"):
            case.do(bank, "k")

    assert _found(bank) == _world()
    assert ledger.undo(bank, "k", case.kind) == Reversal("k", False, None, None)


def test_a_do_repeated_after_do_and_undo_is_refused(bank: Engine, case: Case) -> None:
    """R5: a late repetition must not bring back what was undone."""
    case.do(bank, "k")
    ledger.undo(bank, "k", case.kind)
    with pytest.raises(errors.AlreadyUndone):
        case.do(bank, "k")

    assert _found(bank) == _world(case.reversed)


def test_one_key_cannot_serve_two_different_movements(bank: Engine, case: Case) -> None:
    """R49: a key names one call; answering another call with its result would hide a bug."""
    case.do(bank, "k")
    other_kind = Kind.DEPOSIT if case.kind is Kind.WITHDRAW else Kind.WITHDRAW

    with pytest.raises(errors.KeyReused, match=r"key `k` belongs to"):
        case.other(bank, "k")
    with pytest.raises(errors.KeyReused, match=f"key `k` belongs to `{case.kind}`"):
        ledger.undo(bank, "k", other_kind)
    assert _found(bank) == _world(case.after)


def test_a_tombstone_of_one_kind_does_not_serve_another(bank: Engine) -> None:
    """R49: undoing by the wrong activity is a mistake in the definition, and says so."""
    ledger.undo(bank, "k", Kind.WITHDRAW)
    with pytest.raises(errors.KeyReused, match="belongs to `withdraw`, it cannot be used for `deposit`"):
        ledger.deposit(bank, "k", "alice", 5)


def test_a_repetition_gives_the_first_answer_even_after_other_movements(bank: Engine) -> None:
    """R49: later attempts see what the first saw, or the saga's decisions would depend on a lost packet."""
    first = ledger.withdraw(bank, "k", "alice", 30)
    ledger.withdraw(bank, "l", "alice", 70)
    ledger.close_account(bank, "close", "alice")

    assert ledger.withdraw(bank, "k", "alice", 30) == first == Receipt("k", "alice", 70)
    reversal = ledger.undo(bank, "k", Kind.WITHDRAW)
    ledger.undo(bank, "l", Kind.WITHDRAW)
    assert ledger.undo(bank, "k", Kind.WITHDRAW) == reversal == Reversal("k", True, "alice", 30)


def test_a_refusal_rolls_back_everything_and_keeps_the_key_free(bank: Engine) -> None:
    """R3: `failed` means nothing happened. The same key may try again, once there is money."""
    with pytest.raises(errors.InsufficientFunds, match="`alice` holds 100, 101 cannot be taken from it"):
        ledger.withdraw(bank, "k", "alice", 101)
    assert [entry.key for entry in audit.history(bank)] == ["open-alice", "fund-alice", "open-empty"]

    ledger.deposit(bank, "top-up", "alice", 1)
    assert ledger.withdraw(bank, "k", "alice", 101) == Receipt("k", "alice", 0)


def test_a_deposit_whose_money_is_gone_stays_done_until_the_money_is_back(bank: Engine) -> None:
    """R19, R20: the undo is refused, the saga pauses, an operator finds the money and retries."""
    ledger.deposit(bank, "k", "empty", 40)
    ledger.withdraw(bank, "spent", "empty", 25)
    with pytest.raises(errors.InsufficientFunds, match="`empty` holds 15, 40 cannot be taken from it"):
        ledger.undo(bank, "k", Kind.DEPOSIT)
    assert _found(bank) == _world(Standing("empty", 15, True))
    assert ledger.deposit(bank, "k", "empty", 40) == Receipt("k", "empty", 40)

    ledger.undo(bank, "spent", Kind.WITHDRAW)
    assert ledger.undo(bank, "k", Kind.DEPOSIT) == Reversal("k", True, "empty", 0)


def test_money_that_is_owed_goes_back_even_to_a_closed_account(bank: Engine) -> None:
    """R1: a compensation is not new business, so closing the account is no reason to keep the money."""
    ledger.withdraw(bank, "k", "alice", 100)
    ledger.close_account(bank, "close", "alice")

    assert ledger.undo(bank, "k", Kind.WITHDRAW) == Reversal("k", True, "alice", 100)
    assert _found(bank) == _world(Standing("alice", 100, False))


def test_an_account_that_holds_money_is_not_closed_by_undoing_its_opening(bank: Engine) -> None:
    """R20: closing it would lose the money, so the undo is refused until it is empty."""
    ledger.open_account(bank, "k", "new")
    ledger.deposit(bank, "gift", "new", 5)
    with pytest.raises(errors.AccountNotEmpty, match="`new` still holds 5"):
        ledger.undo(bank, "k", Kind.OPEN)

    ledger.undo(bank, "gift", Kind.DEPOSIT)
    assert ledger.undo(bank, "k", Kind.OPEN) == Reversal("k", True, "new", 0)


def test_undoing_an_old_opening_leaves_a_newer_one_alone(bank: Engine) -> None:
    """R1: an undo undoes its own effect, and that is no longer in force."""
    ledger.open_account(bank, "k", "new")
    ledger.close_account(bank, "close", "new")
    ledger.open_account(bank, "again", "new")

    assert ledger.undo(bank, "k", Kind.OPEN) == Reversal("k", True, "new", 0)
    assert ledger.undo(bank, "close", Kind.CLOSE) == Reversal("close", True, "new", 0)
    assert _found(bank)["new"] == Standing("new", 0, True)


@pytest.mark.parametrize(
    ("call", "refusal"),
    [
        (lambda bank: ledger.deposit(bank, "k", "nobody", 1), errors.UnknownAccount),
        (lambda bank: ledger.withdraw(bank, "k", "nobody", 1), errors.UnknownAccount),
        (lambda bank: ledger.close_account(bank, "k", "nobody"), errors.UnknownAccount),
        (lambda bank: ledger.standing(bank, "nobody"), errors.UnknownAccount),
        (lambda bank: ledger.open_account(bank, "k", "alice"), errors.AccountExists),
        (lambda bank: ledger.close_account(bank, "k", "alice"), errors.AccountNotEmpty),
        (lambda bank: ledger.deposit(bank, "k", "shut", 1), errors.AccountClosed),
        (lambda bank: ledger.withdraw(bank, "k", "shut", 1), errors.AccountClosed),
        (lambda bank: ledger.close_account(bank, "k", "shut"), errors.AccountClosed),
        (lambda bank: ledger.deposit(bank, "k", "alice", errors.LARGEST - 99), errors.BalanceTooLarge),
    ],
)
def test_each_refusal_has_its_type_changes_nothing_and_survives_pickling(
    bank: Engine, call: Callable[[Engine], object], refusal: type[errors.BankError]
) -> None:
    """R55: types are matched by name; R3: refused means nothing to undo."""
    ledger.open_account(bank, "open-shut", "shut")
    ledger.close_account(bank, "close-shut", "shut")
    with pytest.raises(refusal) as caught:
        call(bank)

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert "k" not in [entry.key for entry in audit.history(bank)]
    assert _found(bank) == _world(Standing("shut", 0, False))


def test_a_closed_account_can_be_opened_again(bank: Engine) -> None:
    ledger.close_account(bank, "close", "empty")

    assert ledger.open_account(bank, "again", "empty") == Receipt("again", "empty", 0)
    assert _found(bank) == _world()


@pytest.mark.parametrize("amount", [0, -5])
def test_an_amount_below_one_is_refused_before_the_database_is_asked(bank: Engine, amount: int) -> None:
    """A negative deposit would be a withdrawal nobody checks."""
    with pytest.raises(ValueError, match=f"not `{amount}`"):
        ledger.deposit(bank, "k", "alice", amount)
    with pytest.raises(ValueError, match=f"not `{amount}`"):
        ledger.withdraw(bank, "k", "alice", amount)
