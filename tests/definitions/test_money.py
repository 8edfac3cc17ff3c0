"""`transfer_money` on the bank, and `three_steps`: the two sagas of the seed."""

from __future__ import annotations

import pytest
from sagadsl_bank import ledger

from sagadsl.temporal.refusals import InvalidInput
from tests.conftest import Server
from tests.definitions.conftest import Bank, Shop
from tests.definitions.hosting import play

pytestmark = pytest.mark.temporal

TRANSFER = {"from_account": "alice", "to_account": "bob", "amount": 30}


def test_a_transfer_moves_the_money_and_says_what_both_hold(bank: Bank, server: Server) -> None:
    bank.open(alice=100, bob=50)
    played = play(server.address, "transfer-money", TRANSFER)

    assert played.ended.status == "completed"
    assert bank.balances() == {"alice": 70, "bob": 80}
    key = f"{played.ended.id}/withdraw/do"
    assert played.ended.output == {"reference": ledger.reference(key), "from_balance": 70, "to_balance": 80}


def test_a_transfer_back_and_forth_leaves_both_as_they_were(bank: Bank, server: Server) -> None:
    """Each run has keys of its own, so the second is not taken for a repetition of the first."""
    bank.open(alice=100, bob=50)
    back = {"from_account": "bob", "to_account": "alice", "amount": 30}

    assert play(server.address, "transfer-money", TRANSFER).ended.status == "completed"
    assert play(server.address, "transfer-money", back).ended.status == "completed"
    assert bank.balances() == {"alice": 100, "bob": 50}


def test_a_transfer_whose_last_step_fails_is_undone(bank: Bank, server: Server) -> None:
    """The seed's StepWithError: three attempts, then the deposit and the withdrawal, newest first (R1, R10, R23)."""
    bank.open(alice=100, bob=50)
    played = play(server.address, "transfer-money", {**TRANSFER, "fail": True})

    assert (played.ended.status, played.error) == ("compensated", "StepWithError")
    assert played.step("step_with_error")["attempts"] == 3
    assert played.report["undone"] == ["deposit", "withdraw"]
    assert (played.report["not_undone"], played.report["not_attempted"]) == ([], [])
    assert bank.undone() == ["deposit", "withdraw"]
    assert bank.balances() == {"alice": 100, "bob": 50}


def test_a_transfer_that_goes_on_in_a_new_run_is_undone_in_the_same_order(bank: Bank, server: Server) -> None:
    """R10, R50: the journal's objects arrive with their keys sorted, and `deposit` comes before `withdraw`."""
    bank.open(alice=100, bob=50)
    played = play(server.address, "transfer-money", {**TRANSFER, "fail": True}, continue_after_events=9)

    assert played.continued
    assert played.report["undone"] == ["deposit", "withdraw"]
    assert bank.undone() == ["deposit", "withdraw"]
    assert bank.balances() == {"alice": 100, "bob": 50}


def test_a_transfer_that_the_bank_refuses_has_nothing_to_undo(bank: Bank, server: Server) -> None:
    """R3: a step that said no has done nothing, and is not called again."""
    bank.open(alice=20, bob=50)
    played = play(server.address, "transfer-money", TRANSFER)

    assert (played.ended.status, played.error) == ("compensated", "InsufficientFunds")
    assert played.step("withdraw")["attempts"] == 1
    assert played.report["undone"] == []
    assert bank.balances() == {"alice": 20, "bob": 50}


def test_a_transfer_to_nobody_returns_the_money(bank: Bank, server: Server) -> None:
    """R2, R3: the withdrawal is undone, the refused deposit is not, the last step never started."""
    bank.open(alice=100)
    played = play(server.address, "transfer-money", {**TRANSFER, "to_account": "nobody"})

    assert (played.ended.status, played.error) == ("compensated", "UnknownAccount")
    assert played.report["undone"] == ["withdraw"]
    assert bank.balances() == {"alice": 100}


def test_a_transfer_of_nothing_does_not_start(bank: Bank, server: Server) -> None:
    """The definition's own schema says what a transfer is."""
    bank.open(alice=100, bob=50)
    with pytest.raises(InvalidInput, match="amount"):
        play(server.address, "transfer-money", {**TRANSFER, "amount": 0})
    assert bank.balances() == {"alice": 100, "bob": 50}


def test_three_steps_compose_their_output(shop: Shop, server: Server) -> None:
    """The seed: two parameters, none, and a line that is printed once under the activity's other name."""
    played = play(server.address, "three-steps", {"name": "ada", "times": 2})

    assert played.ended.output == {"greeting": "hello ada, hello ada!", "printed": "from the worker no. 42"}
    assert shop.data("print") == [{"text": "from the worker no. 42"}]
