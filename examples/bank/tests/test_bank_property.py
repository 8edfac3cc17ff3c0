"""Any calls, in any order, repeated at will: the bank answers as a ten-line model does, and the money adds up."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from sagadsl_bank import audit, database, errors, ledger
from sagadsl_bank.ledger import Kind, Receipt, Reversal, State

START = {"alice": 60, "bob": 0}


@dataclass(frozen=True, slots=True)
class Call:
    """One delivery of a do, or of the undo of a key."""

    key: str
    kind: Kind
    account: str
    amount: int
    undo: bool


@dataclass(slots=True)
class Model:
    """What the bank should be: the keys it knows, and nothing else. Balances follow from them."""

    keys: dict[str, tuple[Call, State, int]] = field(default_factory=dict)
    undone: dict[str, Reversal] = field(default_factory=dict)

    def balance(self, account: str) -> int:
        known = [call for call, state, _ in self.keys.values() if state is State.DONE and call.account == account]
        return START[account] + sum(call.amount if call.kind is Kind.DEPOSIT else -call.amount for call in known)

    def total(self) -> int:
        return sum(self.balance(account) for account in START)

    def do(self, call: Call) -> Receipt | type[errors.BankError]:
        if call.key in self.keys:
            first, state, balance = self.keys[call.key]
            if first.kind is not call.kind:
                return errors.KeyReused
            if state is not State.DONE:
                return errors.AlreadyUndone
            same = (first.account, first.amount) == (call.account, call.amount)
            return Receipt(call.key, call.account, balance) if same else errors.KeyReused
        balance = self.balance(call.account) + (call.amount if call.kind is Kind.DEPOSIT else -call.amount)
        if balance < 0:
            return errors.InsufficientFunds
        self.keys[call.key] = (call, State.DONE, balance)
        return Receipt(call.key, call.account, balance)

    def undo(self, call: Call) -> Reversal | type[errors.BankError]:
        if call.key not in self.keys:
            self.keys[call.key] = (call, State.REFUSED, 0)
            self.undone[call.key] = Reversal(call.key, False, None, None)
        first, state, balance = self.keys[call.key]
        if first.kind is not call.kind:
            return errors.KeyReused
        if state is State.DONE:
            if first.kind is Kind.DEPOSIT and self.balance(first.account) < first.amount:
                return errors.InsufficientFunds
            self.keys[call.key] = (first, State.UNDONE, balance)
            self.undone[call.key] = Reversal(call.key, True, first.account, self.balance(first.account))
        return self.undone[call.key]


def _ask(bank: Engine, call: Call) -> Receipt | Reversal | type[errors.BankError]:
    try:
        if call.undo:
            return ledger.undo(bank, call.key, call.kind)
        if call.kind is Kind.WITHDRAW:
            return ledger.withdraw(bank, call.key, call.account, call.amount)
        return ledger.deposit(bank, call.key, call.account, call.amount)
    except errors.BankError as refusal:
        return type(refusal)


CALLS = st.builds(
    Call,
    key=st.sampled_from(["k1", "k2", "k3", "k4"]),
    kind=st.sampled_from([Kind.WITHDRAW, Kind.DEPOSIT]),
    account=st.sampled_from(sorted(START)),
    amount=st.sampled_from([10, 25, 60]),
    undo=st.booleans(),
)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(CALLS, max_size=14))
def test_any_sequence_of_calls_answers_as_the_model_and_adds_up(engine: Engine, calls: list[Call]) -> None:
    """R1, R49: total = start + deposits - withdrawals in effect, each key at most once."""
    database.reset(engine)
    for account, amount in START.items():
        ledger.open_account(engine, f"open-{account}", account)
        if amount:
            ledger.deposit(engine, f"fund-{account}", account, amount)
    model = Model()

    for call in calls:
        expected = model.undo(call) if call.undo else model.do(call)
        assert _ask(engine, call) == expected, call
        assert audit.check(engine, model.total()).problems == ()
    assert {each.account: each.balance for each in audit.balances(engine)} == {
        account: model.balance(account) for account in START
    }
