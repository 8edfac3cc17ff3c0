"""A request to many sagas: who does not answer at once is asked again, as long as others answer."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from sagadsl.temporal.ask import many
from sagadsl.temporal.ask.many import Addressee, carried_out
from sagadsl.temporal.refusals import NotAnswered, NotPossible

MANY = [Addressee(f"saga-{number}", "order") for number in range(40)]


def _answers(ask_in_vain: dict[str, int], *, refused: str = "") -> tuple[Counter[str], Counter[str]]:
    """Ask all of them, some in vain at first; return how often each was asked, and what came of it."""
    asked: Counter[str] = Counter()

    async def ask(target: Addressee) -> str:
        asked[target.id] += 1
        await asyncio.sleep(0)
        if target.id == refused:
            raise NotPossible(target.id, "migrate", "no")
        if asked[target.id] <= ask_in_vain.get(target.id, 0):
            raise NotAnswered(target.id, "migrate", "", "r-1", "queue")
        return "migrated"

    async def main() -> Counter[str]:
        return Counter([each.outcome async for each in carried_out(MANY, ask, rate=10_000)])

    return asked, asyncio.run(main())


def test_a_saga_whose_worker_is_busy_is_asked_again_until_it_answers() -> None:
    asked, outcomes = _answers({"saga-7": 12, "saga-8": 2}, refused="saga-9")
    assert outcomes == {"done": 39, "refused": 1}
    assert (asked["saga-7"], asked["saga-8"], asked["saga-9"], asked["saga-10"]) == (13, 3, 1, 1)


def test_a_saga_that_never_answers_is_given_up() -> None:
    asked, outcomes = _answers({"saga-7": 1_000})
    assert outcomes == {"done": 39, "unknown": 1}
    assert asked["saga-7"] == 30


def test_when_nobody_answers_nobody_is_asked_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "_QUIET_SECONDS", 0.0)
    asked, outcomes = _answers(dict.fromkeys((each.id for each in MANY), 1_000))
    assert outcomes == {"unknown": 40}
    assert set(asked.values()) == {3}


def test_who_stops_waits_for_no_moment_and_those_that_have_been_asked_still_answer() -> None:
    async def main() -> list[str]:
        stop = asyncio.Event()

        async def ask(target: Addressee) -> str:
            stop.set()
            await asyncio.sleep(0)
            return "done"

        return [each.target.id async for each in carried_out(MANY, ask, rate=0.001, stop=stop)]

    assert asyncio.run(main()) == ["saga-0"]
