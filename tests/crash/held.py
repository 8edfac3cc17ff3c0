"""The bank's activities as a local module, each of which stops where a test wants to interfere.

A test holds a place (before or after the effect of one call of one saga) by a file, and lets
go by removing it. What happens is a line in a log that all worker processes share.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sagadsl_bank import activities as bank
from sagadsl_bank.activities import MoneyIn, MovementOut, UndoIn, UndoOut

from sagadsl import Context, Permanent, Transient, activity

FOLDER = "SAGADSL_TEST_HELD"
"""Where the log and the files of held places are."""
LINGER = "SAGADSL_TEST_LINGER"
"""Seconds to spend before and after each effect, so that a kill at random finds something to interrupt."""

_Out = TypeVar("_Out")


@activity(name="held.withdraw")
def withdraw(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Take money out of an account."""
    return _held(ctx, lambda: bank.withdraw(inp, ctx))


@activity(name="held.deposit")
def deposit(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Put money into an account."""
    return _held(ctx, lambda: bank.deposit(inp, ctx))


@activity(name="held.down")
def down(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Find a bank that is down."""
    raise Transient("the bank is down", type="BankDown")


@activity(name="held.undo_withdraw")
def undo_withdraw(inp: UndoIn, ctx: Context) -> UndoOut:
    """Put back what a call took out."""
    return _held(ctx, lambda: bank.undo_withdraw(inp, ctx))


@activity(name="held.put_back")
def put_back(inp: UndoIn, ctx: Context) -> UndoOut:
    """Do what `held.undo_withdraw` does, by another name."""
    return _held(ctx, lambda: bank.undo_withdraw(inp, ctx))


@activity(name="held.undo_deposit")
def undo_deposit(inp: UndoIn, ctx: Context) -> UndoOut:
    """Take back what a call put in."""
    return _held(ctx, lambda: bank.undo_deposit(inp, ctx))


@activity(name="held.judge")
def judge(fail: bool, ctx: Context) -> None:
    """Say no on request."""
    _held(ctx, lambda: None)
    if fail:
        raise Permanent("failed on request", type="Judged")


@activity(name="held.judge_once")
def judge_once(fail: bool, ctx: Context) -> None:
    """Say no on request, and forget it: whoever asks again from another process hears yes."""
    fail = fail and not _was_elsewhere(ctx)
    _held(ctx, lambda: None)
    if fail:
        raise Permanent("failed on request", type="Judged")


@activity(name="held.deposit_again")
def deposit_again(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Put money into an account; what was taken back meanwhile gets the answer that it had."""
    try:
        return _held(ctx, lambda: bank.deposit(inp, ctx))
    except Permanent as refused:
        if refused.type != "AlreadyUndone":
            raise
        return MovementOut(reference="", account=inp.account, balance=0, key=ctx.idempotency_key)


@activity(name="held.deposit_or_refuse")
def deposit_or_refuse(inp: MoneyIn, ctx: Context) -> MovementOut:
    """Put money into an account; refuse that if another process has begun to do so."""
    if _was_elsewhere(ctx):
        raise Permanent("somebody else has begun it", type="Refused")
    return _held(ctx, lambda: bank.deposit(inp, ctx))


def _was_elsewhere(ctx: Context) -> bool:
    """Whether another process has begun this call."""
    return any(each["pid"] != os.getpid() and each["call"] == ctx.step for each in _log(ctx.saga_id))


def _log(saga: str) -> list[dict[str, Any]]:
    log = Path(os.environ[FOLDER]) / "log.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [each for each in map(json.loads, lines) if each["saga"] == saga]


def _held(ctx: Context, effect: Callable[[], _Out]) -> _Out:
    _pause(ctx, "before")
    result = effect()
    _pause(ctx, "after")
    return result


def _pause(ctx: Context, place: str) -> None:
    folder = Path(os.environ[FOLDER])
    call = f"{ctx.step}.compensation" if ctx.is_compensation else ctx.step
    line = {"saga": ctx.saga_id, "call": call, "attempt": ctx.attempt, "place": place, "pid": os.getpid()}
    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({**line, "key": ctx.idempotency_key, "activity": ctx.activity}) + "\n")
    end = time.monotonic() + float(os.environ.get(LINGER, "0"))
    while time.monotonic() < end or (folder / f"{ctx.saga_id}@{call}@{place}").exists():
        ctx.heartbeat()
        time.sleep(0.05)
