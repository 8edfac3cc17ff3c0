"""Bank, shop, inn and ferry in bad times: they linger, lose answers, fail, refuse to undo, and take the worker along.

A worker takes this module with ``-m``. What a call meets follows from the seed, its key and its
attempt alone, so that a seed means the same trouble whatever the processes do.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sagadsl_bank import teller
from sagadsl_shop import effects
from temporalio import activity

from sagadsl import Permanent, Transient, Unknown
from sagadsl import activity as as_activity

SEED = "SAGADSL_CHAOS_SEED"
BROKEN = "SAGADSL_CHAOS_BROKEN"
"""A folder with a file for each saga of which nothing can be undone until somebody mends it."""
LINGER = "SAGADSL_CHAOS_LINGER"
"""Seconds before and after an effect, at most."""
FAILS = "SAGADSL_CHAOS_FAILS"
"""How often an attempt meets trouble, from 0 to 1."""
DIED = "SAGADSL_CHAOS_DIED"
"""A file with a line for each worker that was killed between an effect and its answer; without it, none is."""

_Out = TypeVar("_Out")


@as_activity(name="chaos.judge")
def judge(fail: bool) -> None:
    """Say no on request."""
    if fail:
        raise Permanent("failed on request", type="Judged")


def _troubled(key: str, *, undoes: bool, effect: Callable[[], _Out]) -> _Out:
    attempt = activity.info().attempt if activity.in_activity() else 1
    chance = random.Random(f"{os.environ[SEED]} {key} {undoes} {attempt}")
    linger, fails = float(os.environ.get(LINGER, "0.1")), float(os.environ.get(FAILS, "0.05"))
    if undoes and _is_broken(key):
        raise Permanent("nothing is undone today", type="Broken")
    _rest(chance.uniform(0, linger))
    trouble = chance.random() < fails
    if trouble and chance.random() < 0.5:
        raise Transient("the line is busy", type="Busy")
    result = effect()
    _rest(chance.uniform(0, linger))
    if trouble and DIED in os.environ and chance.random() < 0.4:
        _die(key)
    if trouble:
        raise Unknown("it was done, and its answer was lost", type="AnswerLost")
    return result


def _die(key: str) -> None:
    """End this worker as SIGKILL does: the effect is committed, and nobody gets the answer."""
    with Path(os.environ[DIED]).open("a", encoding="utf-8") as died:
        died.write(f"{key}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def _is_broken(key: str) -> bool:
    return (Path(os.environ[BROKEN]) / root_of(key)).exists()


def root_of(id_: str) -> str:
    """Return the id with which people have started what a key, or the id of a child saga, belongs to."""
    return id_.partition("/")[0].partition("~")[0]


def _rest(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if activity.in_activity():
            activity.heartbeat()
        threading.Event().wait(min(left, 0.2))  # `time.sleep` fails where libfaketime shifts the clock


_move, _undo = teller.move, teller.undo
_do, _take_back = effects.do, effects.undo


def _moving(key: str, kind: Any, account: str, amount: int) -> Any:
    return _troubled(key, undoes=False, effect=lambda: _move(key, kind, account, amount))


def _undoing(key: str, kind: Any) -> Any:
    return _troubled(key, undoes=True, effect=lambda: _undo(key, kind))


def _doing(name: str, key: str, data: dict[str, Any]) -> dict[str, Any]:
    return _troubled(key, undoes=False, effect=lambda: _do(name, key, data))


def _taking_back(name: str, key: str) -> dict[str, Any]:
    return _troubled(key, undoes=True, effect=lambda: _take_back(name, key))


if SEED in os.environ:  # in a worker of a chaos run, and nowhere else
    teller.move, teller.undo = _moving, _undoing
    effects.do, effects.undo = _doing, _taking_back

    from sagadsl_ferry import tickets
    from sagadsl_inn import rooms

    _book, _give_back, _sell, _take_ticket = rooms.book, rooms.give_back, tickets.sell, tickets.take_back

    def _booking(sessions: Any, key: str, guest: str) -> Any:
        return _troubled(key, undoes=False, effect=lambda: _book(sessions, key, guest))

    def _giving_back(sessions: Any, key: str) -> Any:
        return _troubled(key, undoes=True, effect=lambda: _give_back(sessions, key))

    def _selling(key: str, voyage: str, passenger: str) -> Any:
        return _troubled(key, undoes=False, effect=lambda: _sell(key, voyage, passenger))

    def _taking_ticket(key: str) -> Any:
        return _troubled(key, undoes=True, effect=lambda: _take_ticket(key))

    rooms.book, rooms.give_back = _booking, _giving_back
    tickets.sell, tickets.take_back = _selling, _taking_ticket
