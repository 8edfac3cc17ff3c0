"""The bank as activities of a saga: typed inputs and outputs, each error in a saga's words. No bank rule is here.

What a saga has to know of an error is whether something may have happened (RULES R5). A refusal and a lost database say
no, a commit without an answer says maybe. The key makes all of them safe to try again and to undo.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from sagadsl import Context, Permanent, Transient, Unknown, activity
from sqlalchemy import Engine, exc

from sagadsl_bank import database, ledger
from sagadsl_bank.errors import BankError, KeyReused, NoBank, OutcomeUnknown, UnsupportedDatabase
from sagadsl_bank.ledger import Kind

Account = Annotated[
    str, Field(pattern=r"^[^\u0000-\u001f]{1,100}$", description="Name of the account", examples=["alice"])
]
# strict: money is neither `true` nor the text "5"
Amount = Annotated[
    int, Field(strict=True, ge=1, le=ledger.LARGEST, description="Minor units, such as cents", examples=[500])
]
Key = Annotated[str, Field(min_length=1, max_length=2000, description="Idempotency key of the call to undo")]

_COMMON = ["KeyReused", "AlreadyUndone"]


class AccountIn(BaseModel, extra="forbid"):
    """Names an account."""

    account: Account


class MoneyIn(BaseModel, extra="forbid"):
    """What to move, and where."""

    account: Account
    amount: Amount


class UndoIn(BaseModel, extra="forbid"):
    """Names the call to undo: `{{ step.idempotency_key }}` in a compensation."""

    key: Key


class MovementOut(BaseModel):
    """What the bank says to a movement; the same to every repetition."""

    reference: str = Field(description="Short name of the movement, for people")
    account: str
    balance: int = Field(description="What the account held right after it")
    key: str = Field(description="What undoes it")


class UndoOut(BaseModel):
    """What the bank says to an undo; the same to every repetition."""

    key: str
    undone: bool = Field(description="false: there was nothing to undo, and from now on the call is refused")
    account: str | None = Field(description="null if there was nothing to undo")
    balance: int | None = Field(description="What the account held right after it; null if there was nothing to undo")


class BalanceOut(BaseModel):
    """An account as it is now."""

    account: str
    balance: int
    open: bool


class StepWithErrorIn(BaseModel, extra="forbid"):
    """How to fail."""

    fail: bool = Field(True, description="false: do not fail at all")
    failing_attempts: int | None = Field(
        None, ge=1, description="Fail so many attempts, then succeed; null: fail every attempt"
    )
    kind: Literal["transient", "permanent", "unknown"] = Field(
        "transient", description="Whether another attempt makes sense, and whether something may have happened"
    )
    type: str = Field("StepWithError", min_length=1, description="Error type that the saga sees")
    message: str = Field("failed on request", min_length=1)
    seconds: float = Field(0, ge=0, le=3600, description="How long to run first, with heartbeats")


class StepWithErrorOut(BaseModel):
    """Says that it did not fail, after all."""

    attempt: int = Field(description="The attempt that succeeded, from 1")


@activity(compensated_by="bank.undo_open_account", errors=["AccountExists", *_COMMON], idempotent=True)
def open_account(inp: AccountIn, ctx: Context) -> MovementOut:
    """Open an account, or open a closed one again. It starts empty."""
    return _move(lambda bank: ledger.open_account(bank, ctx.idempotency_key, inp.account))


@activity(
    compensated_by="bank.undo_close_account",
    errors=["UnknownAccount", "AccountClosed", "AccountNotEmpty", *_COMMON],
    idempotent=True,
)
def close_account(inp: AccountIn, ctx: Context) -> MovementOut:
    """Close an empty account."""
    return _move(lambda bank: ledger.close_account(bank, ctx.idempotency_key, inp.account))


@activity(
    compensated_by="bank.undo_withdraw",
    errors=["InsufficientFunds", "UnknownAccount", "AccountClosed", *_COMMON],
    examples=[{"account": "alice", "amount": 500}],
    idempotent=True,
)
def withdraw(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Take money out of an account."""
    return _move(lambda bank: ledger.withdraw(bank, ctx.idempotency_key, inp.account, inp.amount))


@activity(
    compensated_by="bank.undo_deposit",
    errors=["UnknownAccount", "AccountClosed", "BalanceTooLarge", *_COMMON],
    examples=[{"account": "bob", "amount": 500}],
    idempotent=True,
)
def deposit(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Put money into an account."""
    return _move(lambda bank: ledger.deposit(bank, ctx.idempotency_key, inp.account, inp.amount))


@activity(errors=["AccountNotEmpty", "KeyReused"], idempotent=True)
def undo_open_account(inp: UndoIn) -> UndoOut:
    """Close the account that the call with this key opened. It must be empty."""
    return _undo(inp, Kind.OPEN)


@activity(errors=["KeyReused"], idempotent=True)
def undo_close_account(inp: UndoIn) -> UndoOut:
    """Open the account again that the call with this key closed."""
    return _undo(inp, Kind.CLOSE)


@activity(errors=["BalanceTooLarge", "KeyReused"], idempotent=True)
def undo_withdraw(inp: UndoIn) -> UndoOut:
    """Put back what the call with this key took out, or make sure it never happens. A closed account is no obstacle."""
    return _undo(inp, Kind.WITHDRAW)


@activity(errors=["InsufficientFunds", "KeyReused"], idempotent=True)
def undo_deposit(inp: UndoIn) -> UndoOut:
    """Take back what the call with this key put in, or make sure it never happens.

    If the money is gone it says `InsufficientFunds`: nobody can decide that but a person, and the saga pauses for one.
    """
    return _undo(inp, Kind.DEPOSIT)


@activity(errors=["UnknownAccount"], idempotent=True)
def balance(inp: AccountIn) -> BalanceOut:
    """What an account holds now. Changes nothing."""
    with _in_words_of_a_saga():
        found = ledger.standing(_bank(), inp.account)
    return BalanceOut(account=found.account, balance=found.balance, open=found.is_open)


@activity(errors=["StepWithError"], idempotent=True)
def step_with_error(inp: StepWithErrorIn, ctx: Context) -> StepWithErrorOut:
    """Fail on request, to see what the saga does then. Touches no money."""
    end = time.monotonic() + inp.seconds
    while (left := end - time.monotonic()) > 0:
        ctx.heartbeat()
        time.sleep(min(left, 0.2))
    if inp.fail and (inp.failing_attempts is None or ctx.attempt <= inp.failing_attempts):
        kinds = {"transient": Transient, "permanent": Permanent, "unknown": Unknown}
        raise kinds[inp.kind](inp.message, type=inp.type)
    return StepWithErrorOut(attempt=ctx.attempt)


def _move(call: Callable[[Engine], ledger.Receipt]) -> MovementOut:
    with _in_words_of_a_saga():
        receipt = call(_bank())
    name = ledger.reference(receipt.key)
    return MovementOut(reference=name, account=receipt.account, balance=receipt.balance, key=receipt.key)


def _undo(inp: UndoIn, kind: Kind) -> UndoOut:
    with _in_words_of_a_saga():
        reversal = ledger.undo(_bank(), inp.key, kind)
    return UndoOut(key=reversal.key, undone=reversal.undone, account=reversal.account, balance=reversal.balance)


class _SomethingElseHappened(Unknown):
    """Under this key another movement is on record: asking again is pointless, but there may be something to undo."""

    retryable = False


@contextmanager
def _in_words_of_a_saga() -> Iterator[None]:
    try:
        yield
    except KeyReused as error:
        raise _SomethingElseHappened(str(error), type="KeyReused") from error
    except BankError as refusal:
        raise Permanent(str(refusal), type=type(refusal).__name__) from refusal
    except OutcomeUnknown as error:
        raise Unknown(str(error), type="OutcomeUnknown") from error
    except (NoBank, UnsupportedDatabase) as error:
        raise Transient(str(error), type=type(error).__name__) from error
    except (exc.DBAPIError, exc.TimeoutError) as error:
        # Before the commit, so nothing has happened. SQLAlchemy's text quotes the statement: too much for a history.
        reason = " ".join(str(error.orig if isinstance(error, exc.DBAPIError) else error).split())
        raise Transient(f"the bank's database cannot be used: {reason}", type="DatabaseUnavailable") from None


def _bank() -> Engine:
    return _opened(database.url_from_environment(), os.getpid())


@cache
def _opened(url: str, _process: int) -> Engine:
    """One engine a process: a connection that a fork shares with its parent is broken for both."""
    engine = database.connect(url)
    database.require(engine)
    return engine
