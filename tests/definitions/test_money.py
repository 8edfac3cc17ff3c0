"""`transfer_money` on the bank, and `three_steps`: the two sagas of the seed."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest
from sagadsl_bank import ledger

from sagadsl.temporal.refusals import InputRefused
from tests.cli.shell import Ran, inside
from tests.conftest import Server
from tests.definitions.conftest import Bank, Shop
from tests.definitions.hosting import play

pytestmark = pytest.mark.temporal

ROOT = Path(__file__).parents[2]
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
    with pytest.raises(InputRefused, match="amount"):
        play(server.address, "transfer-money", {**TRANSFER, "amount": 0})
    assert bank.balances() == {"alice": 100, "bob": 50}


def test_three_steps_compose_their_output(shop: Shop, server: Server) -> None:
    """The seed: two parameters, none, and a line that is printed once under the activity's other name."""
    played = play(server.address, "three-steps", {"name": "ada", "times": 2})

    assert played.ended.output == {"greeting": "hello ada, hello ada!", "printed": "from the worker no. 42"}
    assert shop.data("print") == [{"text": "from the worker no. 42"}]


def _transfer(server: Server, id_: str, *more: str) -> Ran:
    """Run a transfer of 30 under an id, as a person does."""
    place = ("--address", server.address, "--task-queue", f"again-{id_}", "--worker", "--id", id_, "--json")
    sets = ("--set", "from_account=alice", "--set", "to_account=bob", "--set", "amount=30")
    env = {"SAGADSL_BANK_URL": os.environ["SAGADSL_BANK_URL"]}
    return inside("run", "definitions/transfer_money.saga.yaml", *sets, *place, *more, cwd=ROOT, env=env)


def test_the_same_id_again_after_an_undone_run_moves_the_money(bank: Bank, server: Server) -> None:
    """R49: the bank answers `AlreadyUndone` for the keys of the first run; the second one has keys of its own."""
    bank.open(alice=100, bob=50)
    id_ = f"transfer-{uuid.uuid4().hex[:8]}"

    failed = _transfer(server, id_, "--set", "fail=true")
    assert (failed.code, bank.balances()) == (10, {"alice": 100, "bob": 50})

    moved = _transfer(server, id_)
    assert (moved.code, bank.balances()) == (0, {"alice": 70, "bob": 80})
    assert (
        "the run before under this id has failed; this one begins anew, with idempotency keys of its own" in moved.err
    )

    refused = _transfer(server, id_)
    assert (refused.code, bank.balances()) == (4, {"alice": 70, "bob": 80})


def test_again_after_a_completed_run_moves_the_money_once_more(bank: Bank, server: Server) -> None:
    """R49: whatever says `completed` has moved the money: twice said, twice moved."""
    bank.open(alice=100, bob=50)
    id_ = f"transfer-{uuid.uuid4().hex[:8]}"

    ends = [_transfer(server, id_).code, _transfer(server, id_, "--again").code]

    assert (ends, bank.balances()) == ([0, 0], {"alice": 40, "bob": 110})


def test_a_run_that_began_anew_is_undone_by_its_own_keys(bank: Bank, server: Server) -> None:
    """R49: and a third one moves the money."""
    bank.open(alice=100, bob=50)
    id_ = f"transfer-{uuid.uuid4().hex[:8]}"

    ends = [_transfer(server, id_, "--set", f"fail={fail}").code for fail in ("true", "true", "false")]

    assert (ends, bank.balances()) == ([10, 10, 0], {"alice": 70, "bob": 80})
    assert bank.undone() == ["deposit", "withdraw"] * 2
