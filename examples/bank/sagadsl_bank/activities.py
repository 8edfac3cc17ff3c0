"""The bank as activities of a saga: names, typed inputs and outputs. Everything else is the teller's and the ledger's.

Checking a saga file imports this module, so the database's library is imported by the first call only.
"""

from __future__ import annotations

import time
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from sagadsl import Context, Permanent, Transient, Unknown, activity

from sagadsl_bank.errors import LARGEST

Account = Annotated[
    str, Field(pattern=r"^[^\u0000-\u001f]{1,100}$", description="Name of the account", examples=["alice"])
]
# strict: money is neither `true` nor the text "5"
Amount = Annotated[int, Field(strict=True, ge=1, le=LARGEST, description="Minor units, such as cents", examples=[500])]
Key = Annotated[str, Field(min_length=1, max_length=2000)]

_Kind = Literal["open_account", "close_account", "withdraw", "deposit"]

_COMMON = ["KeyReused", "AlreadyUndone"]


class AccountIn(BaseModel, extra="forbid"):
    """Names an account."""

    account: Account


class MoneyIn(BaseModel, extra="forbid"):
    """What to move, and where."""

    account: Account
    amount: Amount


class UndoIn(BaseModel, extra="forbid"):
    """Names the call to undo."""

    key: Key | None = Field(
        default=None, description="Idempotency key of the call to undo; left out in a compensation: that of its step"
    )


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

    fail: bool = Field(default=True, description="false: do not fail at all")
    failing_attempts: int | None = Field(
        default=None, ge=1, description="Fail so many attempts, then succeed; null: fail every attempt"
    )
    kind: Literal["transient", "permanent", "unknown"] = Field(
        default="transient", description="Whether another attempt makes sense, and whether something may have happened"
    )
    type: str = Field(default="StepWithError", min_length=1, description="Error type that the saga sees")
    message: str = Field(default="failed on request", min_length=1)
    seconds: float = Field(default=0, ge=0, le=3600, description="How long to run first, with heartbeats")


class StepWithErrorOut(BaseModel):
    """Says that it did not fail, after all."""

    attempt: int = Field(description="The attempt that succeeded, from 1")


@activity(compensated_by="bank.undo_open_account", errors=["AccountExists", *_COMMON], idempotent=True)
def open_account(inp: AccountIn, ctx: Context) -> MovementOut:
    """Open an account, or open a closed one again. It starts empty."""
    return _move(ctx, "open_account", inp.account)


@activity(
    compensated_by="bank.undo_close_account",
    errors=["UnknownAccount", "AccountClosed", "AccountNotEmpty", *_COMMON],
    idempotent=True,
)
def close_account(inp: AccountIn, ctx: Context) -> MovementOut:
    """Close an empty account."""
    return _move(ctx, "close_account", inp.account)


@activity(
    compensated_by="bank.undo_withdraw",
    errors=["InsufficientFunds", "UnknownAccount", "AccountClosed", *_COMMON],
    examples=[{"account": "alice", "amount": 500}],
    idempotent=True,
)
def withdraw(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Take money out of an account."""
    return _move(ctx, "withdraw", inp.account, inp.amount)


@activity(
    compensated_by="bank.undo_deposit",
    errors=["UnknownAccount", "AccountClosed", "BalanceTooLarge", *_COMMON],
    examples=[{"account": "bob", "amount": 500}],
    idempotent=True,
)
def deposit(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Put money into an account."""
    return _move(ctx, "deposit", inp.account, inp.amount)


@activity(errors=["AccountNotEmpty", "KeyReused"], idempotent=True)
def undo_open_account(inp: UndoIn, ctx: Context) -> UndoOut:
    """Close the account that the call with this key opened. It must be empty."""
    return _undo(inp, ctx, "open_account")


@activity(errors=["KeyReused"], idempotent=True)
def undo_close_account(inp: UndoIn, ctx: Context) -> UndoOut:
    """Open the account again that the call with this key closed."""
    return _undo(inp, ctx, "close_account")


@activity(errors=["BalanceTooLarge", "KeyReused"], idempotent=True)
def undo_withdraw(inp: UndoIn, ctx: Context) -> UndoOut:
    """Put back what the call with this key took out, or make sure it never happens. A closed account is no obstacle."""
    return _undo(inp, ctx, "withdraw")


@activity(errors=["InsufficientFunds", "KeyReused"], idempotent=True)
def undo_deposit(inp: UndoIn, ctx: Context) -> UndoOut:
    """Take back what the call with this key put in, or make sure it never happens.

    If the money is gone it says `InsufficientFunds`: nobody can decide that but a person, and the saga pauses for one.
    """
    return _undo(inp, ctx, "deposit")


@activity(errors=["UnknownAccount"], idempotent=True)
def balance(inp: AccountIn) -> BalanceOut:
    """What an account holds now. Changes nothing."""
    from sagadsl_bank import teller  # noqa: PLC0415 # see the top

    found = teller.standing(inp.account)
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


def _move(ctx: Context, kind: _Kind, account: str, amount: int = 0) -> MovementOut:
    from sagadsl_bank import ledger, teller  # noqa: PLC0415 # see the top

    receipt = teller.move(ctx.idempotency_key, ledger.Kind(kind), account, amount)
    name = ledger.reference(receipt.key)
    return MovementOut(reference=name, account=receipt.account, balance=receipt.balance, key=receipt.key)


def _undo(inp: UndoIn, ctx: Context, kind: _Kind) -> UndoOut:
    from sagadsl_bank import ledger, teller  # noqa: PLC0415 # see the top

    key = inp.key or (ctx.step_idempotency_key if ctx.is_compensation else None)
    if key is None:
        raise Permanent("`key` is missing: outside of a compensation, say what to undo", type="InvalidInput")
    reversal = teller.undo(key, ledger.Kind(kind))
    return UndoOut(key=key, undone=reversal.undone, account=reversal.account, balance=reversal.balance)
