"""How a run asks what a lost workflow task had heard, and waits for its turn; see ``in_turn``. Replay-critical."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow

from sagadsl.temporal.run.in_turn import ASK, this_turn
from sagadsl.temporal.run.scheduling import ended_well, look_up
from sagadsl.temporal.wire.lost_tasks import LOST_ACTIVITY, from_json

_WITHIN = timedelta(seconds=6)
"""How long a question may take: less than the time after which the worker asks for more, and may hear of more."""


async def asked_at_first() -> None:
    """Ask, before a run begins, what a lost workflow task had heard, if the runner wants to know it."""
    if (asked := asked_now()) is not None:
        await workflow.wait_condition(asked.done)


def asked_now() -> Any:
    """Ask what a lost workflow task had heard if the runner wants to know it; return the task that ends with it."""
    turn = this_turn()
    question = None if turn is None else turn.question()
    if question is None:
        return None
    number, since, upto = question  # the SDK compares ids: no length of the history, see `Turn._has_to_ask`
    return look_up(LOST_ACTIVITY, f"turn {number}", since, upto, summary="what had a lost task heard?", within=_WITHIN)


async def heard_in_turn() -> None:
    """Wait, in the handler of an update, until the run has heard what came before and has made its local calls.

    Without a lost workflow task nothing is waited for.
    """
    turn = this_turn()
    if turn is None:
        return
    if turn.is_asking():
        await workflow.wait_condition(lambda: not turn.is_asking())
    elif (asked := None if turn.keeps_back() else asked_now()) is not None:
        await workflow.wait_condition(asked.done)
        if not ended_well(asked) or from_json(asked.result()) != ():
            await turn.idle()
            return
    if turn.keeps_back():
        await turn.idle()


def holds_back() -> bool:
    """Whether something has come that the run has not heard: were it to continue as new, nobody would hear it."""
    turn = this_turn()
    return turn is not None and turn.holds()


def is_of_the_runner(signal: str) -> bool:
    """Whether a signal is none: the runner has sent it, to have this run ask, or look again at what it waits for."""
    turn = this_turn()
    if signal != ASK or turn is None or not turn.is_speaking:
        return False
    if turn.asks:
        asked_now()
    return True


def say_calls_locally() -> None:
    """Tell the runner that the run calls local activities."""
    if (turn := this_turn()) is not None:
        turn.calls_locally()
